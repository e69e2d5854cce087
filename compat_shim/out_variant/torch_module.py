"""torch's own module of out variants, for releases that have none."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from compat_shim.out_variant import discovery, registry
from compat_shim.out_variant import schema as schemas


def make_module(name: str) -> ModuleType:
    """The module ``torch._library._out_variant`` (#174473, native since torch 2.11)."""
    module = ModuleType(name, discovery.__doc__)
    contents: dict[str, Any] = {
        "to_out_variant": discovery.to_out_variant,
        "check_out_variant": discovery.check_out_variant,
        "get_out_arg_names": discovery.get_out_arg_names,
        "register_out_variant": registry.register_out_variant,
        "lookup_manual_out_variant": registry.lookup_manual_out_variant,
        "_is_functional": schemas.is_functional,
    }
    vars(module).update(contents)
    return module
