"""What a start file (PEP 829) calls. The package's own import has activated it by then."""

from compat_shim import process


def start() -> None:
    """Say how it came about."""
    process.owner().route = "enable"
