"""Out variants: discovery, pairs by hand, ``custom_op``, direct calls, and Inductor's lowering.

The names below are torch's own (``torch._library._out_variant``, native since 2.11 and 2.12), but for
``check_kernels``.

This is the one door to torch: whatever stands in this folder may have ``import torch`` at its top. Whoever imports
it first may be torch itself, which applies patches in the midst of its own import. So at the top of a module here

- ``torch`` is whole: its features wait until its ``__init__`` has run, though its import is not over;
- a module of torch whose patches are being applied is whole, since the engine waits for the end of its code;
- any other module of torch may be half made, or not imported. It is imported where it is used, with the reason
  beside it, unless a feature waits for it or ``import torch`` brings it.
"""

from importlib import import_module

import torch  # noqa: F401  (before anything else of this folder: see above)

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

_LATER = {"check_kernels": "check"}  # of no use to torch's import, and slow


if not TYPE_CHECKING:  # checkers would believe it of every name

    def __getattr__(name: str) -> object:
        if name in _LATER:
            return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
