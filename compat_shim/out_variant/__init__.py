"""Out variants: the tag, the discovery, pairs registered by hand, and Inductor's lowering.

The public names are torch's own (``torch._library._out_variant``, native since 2.11 and 2.12).
They need torch, so they are looked up when first used: the patches' data in this package is
read without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compat_shim.out_variant.discovery import check_out_variant, get_out_arg_names, to_out_variant
    from compat_shim.out_variant.pairing import lookup_manual_out_variant, register_out_variant

__all__ = [
    "check_out_variant",
    "get_out_arg_names",
    "lookup_manual_out_variant",
    "register_out_variant",
    "to_out_variant",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Before the modules below: importing torch applies patches that import them too.
    importlib.import_module("torch")
    home = "pairing" if name.endswith("_out_variant") and name.startswith(("lookup", "register")) else "discovery"
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
