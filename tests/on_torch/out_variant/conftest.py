"""Each file here may be run alone: the shim is active before a test module imports torch's own new names."""

import compat_shim  # noqa: F401
