"""Out variants: the tag, the discovery, pairs registered by hand, and Inductor's lowering.

The names below are torch's own (``torch._library._out_variant``, native since 2.11 and 2.12).
Importing them does not import torch.
"""

from compat_shim.out_variant.discovery import check_out_variant, get_out_arg_names, to_out_variant
from compat_shim.out_variant.pairing import lookup_manual_out_variant, register_out_variant

__all__ = [
    "check_out_variant",
    "get_out_arg_names",
    "lookup_manual_out_variant",
    "register_out_variant",
    "to_out_variant",
]
