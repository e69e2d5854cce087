"""May two elements of an output share memory? Answered without a guard on any symbol.

Most outputs are settled by comparing each stride with what the dimensions below it span, as
``statically_known_true`` can. Where it cannot (a size that is only known at run time, a stride
padded up to a multiple), a proof is tried here: ``stride - span`` is written as a polynomial in
integers that are never negative, and it is never negative itself if no coefficient is.
"""

from __future__ import annotations

from typing import Any

import sympy
import torch
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.utils._sympy import functions

_MOST_FORMS = 8  # of variables with several forms in one polynomial: each doubles the search
_SAMPLE = 1009  # a size that is large, and no multiple of what sizes are padded to
_UNLIMITED = 2**40  # an upper bound from here on says nothing about real sizes


def may_overlap(tensor: torch.Tensor) -> bool:
    """Whether two elements may share memory. True also where symbolic strides leave it open."""
    if all(type(value) is int for value in (*tensor.shape, *tensor.stride())) and tensor.is_contiguous():
        return False  # by far the most: no symbols, and nothing to sort
    if any(statically_known_true(size == 0) for size in tensor.shape):
        return False
    dims = [
        (size, stride) for size, stride in zip(tensor.shape, tensor.stride()) if not statically_known_true(size == 1)
    ]
    # From the innermost dimension on, each stride must step over all that those below it span.
    # A dense tensor's strides are products of its sizes, so `extent` is compared without
    # evaluating a symbol; `span`, the exact bound, serves the odd padded one.
    span: Any = 1
    extent: Any = 1
    for size, stride in sorted(dims, key=lambda dim: _hint(dim[1])):
        if not (statically_known_true(stride >= extent) or statically_known_true(stride >= span)):
            return not _proved_apart(dims)
        span = span + (size - 1) * stride
        extent = size * stride
    return False


def hint(value: Any) -> int | None:
    """A size or a stride in this compile: what a symbol stands for, or None where that is not known."""
    if isinstance(value, int):
        return value
    found = value.node.hint if value.node.has_hint() else None
    return None if found is None else int(found)


def _hint(value: Any) -> float:
    known = hint(value)
    return float("inf") if known is None else known


def _proved_apart(dims: list[tuple[Any, Any]]) -> bool:
    shape_env = next((v.node.shape_env for dim in dims for v in dim if isinstance(v, torch.SymInt)), None)
    if shape_env is None:
        return False  # all numbers, which were compared
    try:
        return _Proof(shape_env, [(_expression(size), _expression(stride)) for size, stride in dims]).succeeds()
    except _Unknown:
        return False


class _Unknown(Exception):
    """An expression of which too little is known."""


def _expression(value: Any) -> Any:
    expr = sympy.Integer(value) if isinstance(value, int) else getattr(value.node, "expr", None)
    if expr is None:
        raise _Unknown(value)  # a nested tensor's length, say
    return expr


class _Proof:
    """A proof that no elements overlap, for all values that the symbols can have.

    A tensor with a size of 0 has no elements, so every size is taken to be at least 1.

    Attributes:
        dims: size and stride of each dimension, as sympy expressions.
    """

    def __init__(self, shape_env: Any, dims: list[tuple[Any, Any]]) -> None:
        self.dims = dims
        self._shape_env = shape_env
        self._sizes = {size for size, _ in dims}
        self._least = self._least_of_symbols()
        self._known: dict[Any, Any] = {}  # an expression, written in the variables
        # Variables that are bounded otherwise than by 0: what each may be replaced by, in turn, to
        # have only variables that are never negative. A later one's forms may contain earlier ones.
        self._forms: dict[Any, tuple[Any, ...]] = {}

    def succeeds(self) -> bool:
        # Only one order can do for every value of the symbols, so any values tell it.
        sample = {symbol: self._least[symbol] + _SAMPLE for symbol in self._symbols()}
        span: Any = 1
        for size, stride in sorted(self.dims, key=lambda dim: _number(dim[1], sample)):
            length, step = self._write(size), self._write(stride)
            if not self._never_negative(step - span):
                return False
            span = span + (length - 1) * step
        return True

    def _symbols(self) -> set[Any]:
        return {symbol for dim in self.dims for value in dim for symbol in value.free_symbols}

    def _least_of_symbols(self) -> dict[Any, Any]:
        """The lower bound of each symbol, from its range and from sizes like ``n`` and ``2*n - 3``."""
        least = {}
        for symbol in self._symbols():
            bounds = [self._shape_env.bound_sympy(symbol).lower]
            for size in self._sizes:
                if size.free_symbols == {symbol} and size.is_polynomial(symbol) and sympy.degree(size, symbol) == 1:
                    factor, rest = size.coeff(symbol, 1), size.coeff(symbol, 0)
                    if factor > 0:
                        bounds.append(sympy.ceiling((1 - rest) / factor))
            finite = [bound for bound in bounds if bound.is_Integer]
            if not finite:
                raise _Unknown(symbol)
            least[symbol] = max(finite)
        return least

    def _never_negative(self, poly: Any) -> bool:
        poly = sympy.expand(poly)
        bounded = [variable for variable in self._forms if variable in poly.free_symbols]
        if len(bounded) > _MOST_FORMS:
            return False
        if bounded:
            return any(self._never_negative(poly.xreplace({bounded[-1]: form})) for form in self._forms[bounded[-1]])
        return all(factor >= 0 for factor in poly.as_coefficients_dict().values())

    def _write(self, expr: Any) -> Any:
        """The expression as a polynomial in the proof's variables."""
        if expr not in self._known:
            self._known[expr] = self._written(expr)
        return self._known[expr]

    def _written(self, expr: Any) -> Any:
        if expr.is_Integer:
            return expr
        if expr.is_Symbol:
            return self._between(self._least[expr], self._shape_env.bound_sympy(expr).upper)
        if expr.is_Add or expr.is_Mul or (expr.is_Pow and expr.exp.is_Integer and expr.exp > 0):
            return expr.func(*(self._write(part) for part in expr.args))
        if isinstance(expr, (functions.FloorDiv, functions.Mod, functions.PythonMod)) and expr.args[1].is_Integer:
            value, divisor = expr.args
            if divisor > 0:
                rest = self._rest(value, divisor)
                return (self._write(value) - rest) / divisor if isinstance(expr, functions.FloorDiv) else rest
        if isinstance(expr, (sympy.Max, functions.Max)):
            return self._greatest([*expr.args])
        if expr in self._sizes:
            return self._between(1)
        if expr.is_integer and expr.is_nonnegative:
            return self._between(0)
        raise _Unknown(expr)

    def _between(self, least: Any, most: Any = None) -> Any:
        """A new variable with these bounds."""
        above = sympy.Dummy("above", integer=True, nonnegative=True)
        if most is None or not most.is_Integer or most > _UNLIMITED:
            return least + above
        variable = sympy.Dummy("bounded", integer=True)
        self._forms[variable] = (least + above, most - above)
        return variable

    def _rest(self, value: Any, divisor: Any) -> Any:
        """What a division leaves: ``value - divisor * (value // divisor)``, the same one each time."""
        key = ("rest", value, divisor)
        if key not in self._known:
            self._write(value)  # its variables come first
            self._known[key] = self._between(sympy.Integer(0), divisor - 1)
        return self._known[key]

    def _greatest(self, values: list[Any]) -> Any:
        # A size takes part as what it is at least, which is how torch writes the stride above it.
        candidates = [value for value in values if value != 1 or self._sizes.isdisjoint(values)]
        written = [self._write(value) for value in candidates]
        for value in written:
            if all(self._never_negative(value - other) for other in written):
                return value
        above = sympy.Dummy("above", integer=True, nonnegative=True)
        variable = sympy.Dummy("greatest", integer=True)
        self._forms[variable] = tuple(value + above for value in written)
        return variable


def _number(expr: Any, values: dict[Any, Any]) -> int:
    number = expr.xreplace(values)
    if not number.is_Integer:
        raise _Unknown(expr)
    return int(number)
