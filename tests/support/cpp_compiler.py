"""What a test run need not repeat of Inductor's work with the C++ compiler.

Before its first C++ kernel a process compiles a probe for each of AMX, VNNI and bfloat16 that the processor has, up to
six, and loads each in one more interpreter that imports torch: half a minute. The setting ``TORCHINDUCTOR_VEC_ISA_OK``
leaves out the first probe of each set alone, and torch 2.6 does not read it. From 2.8 on AOTInductor precompiles the
headers of its wrapper: eight seconds, for one wrapper or two. (Those of kernels serve many, and are worth it.)
"""

from __future__ import annotations

import os
from typing import Any

from torch._inductor import config, cpu_vec_isa


def trust_the_compiler() -> None:
    """Believe that the compiler knows what the processor has, where ``TORCHINDUCTOR_VEC_ISA_OK`` says so."""
    isa: Any = cpu_vec_isa.VecISA
    if os.environ.get("TORCHINDUCTOR_VEC_ISA_OK") == "1":
        isa.check_build = lambda self, code: True


def compile_no_headers() -> None:
    """Let AOTInductor precompile no header."""
    if hasattr(config.aot_inductor, "precompile_headers"):
        config.aot_inductor.precompile_headers = False
