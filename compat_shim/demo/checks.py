"""Is what a contender computes right? Eager on the same kernels is the reference."""

from __future__ import annotations

import dataclasses

import torch

from compat_shim.demo.block import Block, ops_alone
from compat_shim.demo.contenders import Contender, describe


@dataclasses.dataclass(frozen=True)
class Reference:
    """Eager's results on one input, and how far from them the block's output may be.

    The ops alone must give eager's very bits. Between them the block has kernels fused by
    Inductor, whose floats may differ from eager's in the last bit; that may round an int8 the
    other way. So the block's output (float32) may be off by one int8 step of its range.
    """

    x: torch.Tensor
    block: torch.Tensor
    alone: tuple[torch.Tensor, ...]
    tolerance: float

    @staticmethod
    def eager(block: Block, x: torch.Tensor) -> Reference:
        """Run everything in eager. ``x``: float32, (rows, width)."""
        expected = block(x)
        return Reference(x, expected, ops_alone(x, block[0]), expected.abs().max().item() / 127)


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found. ``output`` is None if the contender could not run."""

    output: torch.Tensor | None
    same_bits: bool
    worst: float
    problems: tuple[str, ...]


def check(contender: Contender, block: Block, reference: Reference) -> Result:
    """Run a compiled contender, and compare with eager. Raises nothing for what it raises."""
    if contender.error:
        return Result(None, False, float("nan"), (contender.error,))
    try:
        output, alone = contender.step(reference.x), contender.alone(reference.x, block[0])
    except Exception as error:
        return Result(None, False, float("nan"), (describe(error),))
    problems = []
    same_bits = all(torch.equal(found, expected) for found, expected in zip(alone, reference.alone))
    if not same_bits:
        problems.append("the ops alone do not give eager's bits")
    worst = (output - reference.block).abs().max().item()
    if not worst <= reference.tolerance:  # so that NaN fails
        problems.append(f"the block is off by {worst:.2g}; {reference.tolerance:.2g} is allowed")
    return Result(output, same_bits, worst, tuple(problems))
