"""Run code written for PyTorch's out-variant lowering on the torch a project is pinned to.

Importing this package activates it, before or after ``import torch``, and does not itself
import torch. ``COMPAT_SHIM=off`` in the environment makes the import do nothing.
"""

from compat_shim import shim as _shim

TYPE_CHECKING = False  # typing is slow to import at start-up; checkers know this name
if TYPE_CHECKING:
    from compat_shim.explaining.compile import explain
    from compat_shim.out_variant import register_out_variant

__version__ = _shim.VERSION

__all__ = [
    "activate",
    "deactivate",
    "explain",
    "is_active",
    "register_out_variant",
    "status",
]

activate = _shim.activate
deactivate = _shim.deactivate
is_active = _shim.is_active
status = _shim.status


def __getattr__(name: str) -> object:
    # Looked up when they are first used: their modules are slow to import at start-up.
    if name == "register_out_variant":
        from compat_shim.out_variant import register_out_variant

        return register_out_variant
    if name == "explain":
        from compat_shim.explaining.compile import explain

        return explain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_shim.activate_on_import()
