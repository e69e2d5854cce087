"""Loads vLLM's library of CPU ops: ``import vllm`` wants an engine's worth of requirements."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_found = importlib.util.find_spec("vllm")
assert _found is not None
assert _found.submodule_search_locations is not None
_name = "_C_AVX512" if torch.backends.cpu.get_cpu_capability() == "AVX512" else "_C_AVX2"
torch.ops.load_library(Path(_found.submodule_search_locations[0]) / f"{_name}.abi3.so")
