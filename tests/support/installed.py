"""What the installed torch has of its own."""

from __future__ import annotations

import torch

HAS_NATIVE_LOWERING = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 12)
