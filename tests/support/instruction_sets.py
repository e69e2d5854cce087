"""Inductor's probes of the processor's instruction sets, which a test run need not repeat.

Before its first C++ kernel a process compiles a probe for each of AMX, VNNI and bfloat16 that the processor
has, up to six, and loads each in one more interpreter that imports torch: half a minute. The setting
``TORCHINDUCTOR_VEC_ISA_OK`` leaves out the first probe of each set alone, and torch 2.6 does not read it.
"""

from __future__ import annotations

import os
from typing import Any

from torch._inductor import cpu_vec_isa


def trust_the_compiler() -> None:
    """Believe that the compiler knows what the processor has, where ``TORCHINDUCTOR_VEC_ISA_OK`` says so."""
    isa: Any = cpu_vec_isa.VecISA
    if os.environ.get("TORCHINDUCTOR_VEC_ISA_OK") == "1":
        isa.check_build = lambda self, code: True
