"""Random signatures: the arguments of a functional op, where its outs stand, and how a call passes them."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st

# Kind of an argument → its default in a schema (None: it has none) and what calls pass, as source.
# {t} stands for a tensor of the graph, {n} for an int that may be symbolic.
KINDS: dict[str, tuple[str | None, list[str]]] = {
    "Tensor": (None, ["{t}"]),
    "Tensor?": ("None", ["{t}", "None"]),
    "Tensor[]": (None, ["[{t}]", "[{t}, {t}]", "[]"]),
    "Tensor?[]": (None, ["[None, {t}]", "[{t}, None, {t}]"]),
    "int": ("3", ["1", "-2"]),
    "int?": ("None", ["1", "None"]),
    "SymInt": ("4", ["2", "{n}", "{n} + 1"]),
    "SymInt?": ("None", ["{n}", "None"]),
    "float": ("0.5", ["1.5", "-2.0", "float('inf')", "float('nan')", "1e-07"]),
    "float?": ("None", ["2.5", "None"]),
    "bool": ("False", ["True", "False"]),
    "str": ('"ab"', ['"x"', '"it\'s"', r'"a\n\\\""']),
    "str?": ("None", ['"y"', "None"]),
    "Scalar": ("2", ["1", "2.5", "True"]),
    "Scalar?": ("None", ["1.5", "None"]),
    "ScalarType": (None, ["torch.float64", "torch.int8", "torch.float8_e5m2"]),
    "ScalarType?": ("None", ["torch.bfloat16", "None"]),
    "Device": (None, ['torch.device("cpu")']),
    "Device?": ("None", ['torch.device("cpu")', "None"]),
    "Layout": (None, ["torch.strided"]),
    "Layout?": ("None", ["torch.strided", "None"]),
    "MemoryFormat": (None, ["torch.channels_last", "torch.contiguous_format"]),
    "MemoryFormat?": ("None", ["torch.preserve_format", "None"]),
    "int[]": ("[1, 2]", ["[1]", "[2, -3]", "[]"]),
    "int[2]": ("1", ["[1, 4]"]),
    "SymInt[]": (None, ["[4]", "[2, {n}]", "[{n}, {n} * 2]"]),
    "float[]": (None, ["[0.5]", "[1.0, 2.0]"]),
    "bool[]": (None, ["[True]", "[False, True]"]),
    "bool[2]": (None, ["[False, True]"]),
}

# The overload's name of a functional op and of its out variant; a flat name starts with "_".
NAMES = [("", ".out"), (".per_tensor", ".per_tensor_out"), (".Tensor", ".Tensor_out"), ("", ".into")]
FLAT = ("", "_out")


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument of a functional op."""

    kind: str
    name: str
    has_default: bool
    keyword_only: bool

    def declare(self) -> str:
        return f"{self.kind} {self.name}" + (f"={KINDS[self.kind][0]}" if self.has_default else "")


@dataclasses.dataclass(frozen=True)
class Signature:
    """Both schemas of a pair, without the name of the op.

    Attributes:
        arguments: of the functional op, positional ones first; one is the Tensor ``x``.
        out_arguments: their declarations with those of the outs: positional, keyword-only.
        returned: whether the out variant returns its outs.
    """

    arguments: tuple[Argument, ...]
    out_arguments: tuple[tuple[str, ...], tuple[str, ...]]
    outputs: int
    returned: bool

    def functional(self) -> str:
        positional = [a.declare() for a in self.arguments if not a.keyword_only]
        keyword = [a.declare() for a in self.arguments if a.keyword_only]
        return f"({_join(positional, keyword)}) -> {_returns(['Tensor'] * self.outputs)}"

    def out(self) -> str:
        returns = [f"Tensor({letter}!)" for letter in "abcde"[: self.outputs]]
        return f"({_join(*self.out_arguments)}) -> {_returns(returns) if self.returned else '()'}"


def _join(positional: list[str] | tuple[str, ...], keyword: list[str] | tuple[str, ...]) -> str:
    return ", ".join([*positional, *(["*", *keyword] if keyword else [])])


def _returns(types: list[str]) -> str:
    return types[0] if len(types) == 1 else f"({', '.join(types)})"


@st.composite
def arguments(draw: st.DrawFn) -> tuple[Argument, ...]:
    count = draw(st.integers(0, 5))
    at = draw(st.integers(0, count))
    found: list[Argument] = []
    positional, defaults = True, False
    for index in range(count + 1):
        kind = "Tensor" if index == at else draw(st.sampled_from(sorted(KINDS)))
        positional = positional and draw(st.integers(0, 4)) > 0
        has_default = KINDS[kind][0] is not None and draw(st.booleans())
        if positional and defaults and not has_default:
            positional = False  # a schema wants defaults after defaults
        defaults = defaults or has_default
        found.append(Argument(kind, "x" if index == at else f"a{index}", has_default, not positional))
    return tuple(found)


@st.composite
def signatures(draw: st.DrawFn, outputs: int, positional_outs: bool | None = None) -> Signature:
    """A signature of ``outputs`` outputs; ``positional_outs`` says where all outs stand, if given."""
    args = draw(arguments())
    returned = draw(st.booleans())
    letters = "abcde" if returned or draw(st.booleans()) else None
    outs = [f"Tensor({letters[i]}!) o{i}" if letters else f"Tensor! o{i}" for i in range(outputs)]
    positional = [a.declare() for a in args if not a.keyword_only]
    keyword = [a.declare() for a in args if a.keyword_only]
    if positional_outs is None:
        split = draw(st.sampled_from([0, 0, 0, outputs, draw(st.integers(0, outputs))]))
    else:
        split = outputs if positional_outs else 0
    # A positional out has no default, so it stands before the first argument that has one.
    room = sum(not a.has_default for a in args if not a.keyword_only)
    for index, place in enumerate(sorted(draw(st.integers(0, room)) for _ in range(split))):
        positional.insert(place + index, outs[index])
    for index, place in enumerate(sorted(draw(st.integers(0, len(keyword))) for _ in range(outputs - split))):
        keyword.insert(place + index, outs[split + index])
    return Signature(args, (tuple(positional), tuple(keyword)), outputs, returned)


@st.composite
def calls(draw: st.DrawFn, signature: Signature, x: str, tensors: list[str], size: str) -> str:
    """The arguments of one call as source: positions, keywords, defaults left out.

    Args:
        x: what is passed for ``x``. tensors: what may be passed for the others. size: an int.
    """
    by_position = True
    passed: list[str] = []
    for argument in signature.arguments:
        if argument.name == "x":
            text = x
        else:
            text = draw(st.sampled_from(KINDS[argument.kind][1]))
            while "{t}" in text:
                text = text.replace("{t}", draw(st.sampled_from(tensors)), 1)
            text = text.replace("{n}", size)
        if argument.has_default and draw(st.integers(0, 2)) == 0:
            by_position = False
        elif argument.keyword_only or not by_position or draw(st.integers(0, 4)) == 0:
            by_position = False
            passed.append(f"{argument.name}={text}")
        else:
            passed.append(text)
    return ", ".join(passed)
