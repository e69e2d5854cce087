"""Each file here may be run alone: the shim is active before a test module imports torch's own new names."""

import pytest

import compat_shim  # noqa: F401
from support.instruction_sets import trust_the_compiler


@pytest.fixture(scope="session", autouse=True)
def _no_probes() -> None:
    trust_the_compiler()
