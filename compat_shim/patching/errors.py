"""The errors that the shim raises of its own accord."""


class ShimError(RuntimeError):
    """A feature could not be applied, and ``COMPAT_SHIM=strict`` asks for an error."""


class KernelContractError(AssertionError):
    """The kernel of an out variant does something else than the functional op's: see ``check_kernels``."""
