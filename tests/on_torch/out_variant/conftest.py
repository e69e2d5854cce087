"""Each file here may be run alone: the shim is active before a test module imports torch's own new names."""

import pytest

import compat_shim  # noqa: F401
from support.cpp_compiler import compile_no_headers, trust_the_compiler


@pytest.fixture(scope="session", autouse=True)
def _quick_compiles() -> None:
    trust_the_compiler()
    compile_no_headers()
