"""What a start file (PEP 829) calls. The package's own import has activated it by then."""

from compat_shim import shim


def start() -> None:
    """Say how it came about."""
    shim.set_route("enable")
