"""Out variants: the tag, the discovery, pairs registered by hand, and Inductor's lowering.

The names below are torch's own (``torch._library._out_variant``, native since 2.11 and 2.12), but for
``check_kernels``. Importing them does not import torch.
"""

from compat_shim.out_variant.discovery import check_out_variant, get_out_arg_names, to_out_variant
from compat_shim.out_variant.registry import lookup_manual_out_variant, register_out_variant

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from compat_shim.out_variant.check import check_kernels

__all__ = [
    "check_kernels",
    "check_out_variant",
    "get_out_arg_names",
    "lookup_manual_out_variant",
    "register_out_variant",
    "to_out_variant",
]


def __getattr__(name: str) -> object:
    if name == "check_kernels":  # its module imports torch
        from compat_shim.out_variant.check import check_kernels

        return check_kernels
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
