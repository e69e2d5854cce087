"""Run code written for PyTorch's out-variant lowering on the torch a project is pinned to.

Importing this package activates it, before or after ``import torch``, and does not itself
import torch. ``COMPAT_SHIM=off`` in the environment makes the import do nothing.
"""

from compat_shim import activation as _activation
from compat_shim import shim as _shim
from compat_shim._version import VERSION as _VERSION
from compat_shim.patching.errors import KernelContractError, ShimError

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from compat_shim import out_variant as out_variant
    from compat_shim import testing as testing
    from compat_shim.extension import include_paths
    from compat_shim.out_variant.functional import functional_of
    from compat_shim.out_variant.marks import tag_out
    from compat_shim.out_variant.namespace import pair_namespace
    from compat_shim.out_variant.registry import register_out_variant
    from compat_shim.out_variant.reuse import may_reuse_input
    from compat_shim.reports.explain import explain
    from compat_shim.reports.status import status

__version__ = _VERSION

__all__ = [
    "KernelContractError",
    "ShimError",
    "activate",
    "deactivate",
    "explain",
    "functional_of",
    "include_paths",
    "is_active",
    "may_reuse_input",
    "pair_namespace",
    "register_out_variant",
    "status",
    "tag_out",
]

activate = _shim.activate
deactivate = _shim.deactivate
is_active = _shim.is_active


# Looked up when they are first used: their modules import torch, or are slow to import at start-up.
_LATER = {
    "explain": "reports.explain",
    "functional_of": "out_variant.functional",
    "include_paths": "extension",
    "may_reuse_input": "out_variant.reuse",
    "pair_namespace": "out_variant.namespace",
    "register_out_variant": "out_variant.registry",
    "status": "reports.status",
    "tag_out": "out_variant.marks",
}
# Packages with public names of their own.
_ROOMS = ("out_variant", "testing")


if not TYPE_CHECKING:  # checkers would believe it of every name

    def __getattr__(name: str) -> object:
        from importlib import import_module  # not there yet in each interpreter that starts

        if name in _LATER:
            return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        if name in _ROOMS:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__, *_ROOMS} - {"TYPE_CHECKING"})


if not _activation.is_command():  # a command does it itself, and says what is wrong in one line
    _shim.activate_on_import()
