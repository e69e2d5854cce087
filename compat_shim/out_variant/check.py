"""``check_kernels``: compare the kernels of a pair by hand, in the manner of ``torch.library.opcheck``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch._ops import OpOverload, OpOverloadPacket
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map

from compat_shim.out_variant import comparing, contract, in_place, names, pairing, reuse
from compat_shim.patching.errors import KernelContractError


def check_kernels(
    op: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None, *, raise_exception: bool = True
) -> dict[str, str]:
    """Compare the kernels of a functional op and of its out variant on real arguments.

    The out variant gets buffers with the sizes, strides, dtypes and devices that the functional op's
    outputs have, filled with NaN (integers: their largest value), as Inductor would pass them. In the
    manner of ``torch.library.opcheck``.

    Args:
        op: the functional op, an ``OpOverload`` such as ``torch.ops.ns.op.default``.
        args, kwargs: what it is called with; tensors of any shape, dtype and device that it takes.
        raise_exception: raise the first failure instead of returning it.

    Returns:
        Name of a check → ``"SUCCESS"``, or what went wrong, also what a kernel raised. The checks are
        ``"pair"`` (an out variant is found), ``"fake"`` (the fake kernel foretells sizes, strides, dtypes and
        devices) and ``"out"`` (the contract is kept and both kernels agree); ``"in place"`` is there where
        ``may_reuse_input`` names the op, and ``"functional"`` where the functional op itself fails. An op that
        differs from itself is "not deterministic, not compared".

    Raises:
        KernelContractError: with ``raise_exception``; the message names the op and what differs.
        TypeError: ``op`` is not an overload; the message names the overloads of a packet.
    """
    _require_overload(op)
    return _Checks(raise_exception).run_all(op, args, dict(kwargs or {}))


class _Checks:
    """The checks of one pair, and what became of each."""

    def __init__(self, raise_exception: bool) -> None:
        self.results: dict[str, str] = {}
        self._raise_exception = raise_exception

    def run_all(self, op: OpOverload, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, str]:
        pair = self._run("pair", lambda: contract.pair_of(op))
        if pair is None:
            return self.results
        given = pair.arguments_by_name(args, kwargs)
        expected = self._run(
            "functional", lambda: contract.outputs(pair, op(*comparing.copy_of(args), **comparing.copy_of(kwargs)))
        )
        if expected is None:
            return self.results
        del self.results["functional"]
        self._run("fake", lambda: contract.compare_layouts(pair, given, _fakes(pair, args, kwargs), expected))

        def call_out() -> None:
            buffers = [comparing.empty_like(tensor) for tensor in expected]
            not_compared = contract.call_and_compare(pair, {**given, **dict(zip(pair.out_names, buffers))})[1]
            self.results["out"] = not_compared or "SUCCESS"

        self._run("out", call_out)
        if reuse.declared(pair):
            not_compared = self._run("in place", lambda: in_place.compare(pair, given, expected))
            if not_compared:
                self.results["in place"] = not_compared
        return self.results

    def _run(self, name: str, check: Callable[[], Any]) -> Any:
        self.results[name] = "SUCCESS"
        try:
            return check()
        except Exception as error:
            if self._raise_exception:
                raise
            is_ours = isinstance(error, KernelContractError)
            self.results[name] = str(error) if is_ours else f"{type(error).__name__}: {error}"
            return None


def _require_overload(op: Any) -> None:
    if isinstance(op, OpOverload):
        return
    if isinstance(op, OpOverloadPacket):
        schemas_found = names.schemas_of(op._qualified_op_name)
        found = [names.source(names.of_schema(schema)) for schema in schemas_found if not schema.is_mutable]
        raise TypeError(
            f"check_kernels takes an overload, not {op} with all of its overloads: pass {' or '.join(found)}"
        )
    raise TypeError(f"check_kernels takes an OpOverload such as torch.ops.ns.op.default, found {op!r}")


def _fakes(pair: pairing.Pair, args: Sequence[Any], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    with FakeTensorMode() as mode:
        convert = lambda value: mode.from_tensor(value) if isinstance(value, torch.Tensor) else value  # noqa: E731
        return contract.outputs(pair, pair.functional(*tree_map(convert, list(args)), **tree_map(convert, kwargs)))
