"""The author of a random registry."""

from __future__ import annotations

import dataclasses
import random

from support.registries.registry import BY_POSITION, Functional, Input, Out, Registry, fits

TORCHGEN = ("", "Tensor", "Scalar", "int", "dim_int", "dim_IntList")
USERS = ("", "fast", "hi", "v2", "Fast")
# Attributes of an OpOverloadPacket, keywords, and names that say one thing and are another.
ADVERSARIAL = ("op", "overloads", "lambda", "out", "x_out", "schema", "cache", "yield", "tags", "self")
BASES = ("scale", "scale", "quant", "op", "overloads", "default_op", "out", "self")
NAMES = ("x", "input", "self", "op", "out", "functional", "args", "kwargs", "func", "kernel", "cls", "fn", "y", "n")
TYPES = ("Tensor", "Tensor?", "Tensor[]", "int", "SymInt", "int[]", "SymInt[]", "float", "str", "bool", "ScalarType")
TYPES += ("ScalarType?", "Scalar", "int?")
DEFAULTS = {
    "Tensor?": ("None",),
    "int": ("1", "4"),
    "SymInt": ("1", "4"),
    "float": ("0.5", "2.0"),
    "str": ('"q"', '"q.out"'),
    "bool": ("True", "False"),
    "ScalarType?": ("None",),
    "int?": ("None", "3"),
}
COMPOSITE = ("CompositeExplicitAutograd",)
TRACED = ("CompositeImplicitAutograd",)


def may_be_custom_op(inputs: tuple[Input, ...]) -> bool:
    """A custom_op takes no Tensor by keyword only, on most releases."""
    return not any(given.keyword_only and given.type.startswith("Tensor") for given in inputs)


def draw_registry(seed: str, changing: bool, traced: bool) -> Registry:
    """A random registry.

    Args:
        changing: something may change between two compiles.
        traced: a functional kernel may be CompositeImplicitAutograd, which Inductor compiles by itself.
    """
    return _Author(random.Random(seed), changing, traced).write(seed)


class _Author:
    def __init__(self, draw: random.Random, changing: bool, traced: bool) -> None:
        self.draw, self.changing, self.traced = draw, changing, traced

    def maybe(self, chance: float) -> bool:
        return self.draw.random() < chance

    def write(self, seed: str) -> Registry:
        mode = self.draw.choice(["tag", "tag", "tag", "namespace", "namespace", "explicit", "mixed", "none"])
        usual = [self.inputs()]
        if self.maybe(0.3):
            usual.append(self.inputs())
        returns = self.draw.choice([1, 1, 1, 2, 3])
        functionals = self.functionals(usual, returns)
        outs = self.outs(functionals, mode)
        order = list(range(len(functionals) + len(outs)))
        self.draw.shuffle(order)
        explicit = []
        if mode in ("explicit", "mixed"):
            edges = [(f, o) for f, mine in enumerate(functionals) for o, out in enumerate(outs) if fits(mine, out)]
            self.draw.shuffle(edges)
            for f, o in edges[: self.draw.randint(1, 3)]:
                if all(f != taken[0] and o != taken[1] for taken in explicit):
                    explicit.append((f, o))
        namespace = mode == "namespace" or (mode in ("tag", "mixed") and self.maybe(0.3))
        base = self.draw.choice(BASES)
        return Registry(seed, base, tuple(functionals), tuple(outs), tuple(order), tuple(explicit), namespace)

    def inputs(self) -> tuple[Input, ...]:
        """Required ones, those with defaults, then keyword-only ones. The first is a Tensor."""
        names = ["x", *self.draw.sample(NAMES, 5)] if self.maybe(0.6) else self.draw.sample(NAMES, 6)
        # In stock torch ``self`` is called ``input``.
        names = [name for name in names if name != "input" or names[0] != "self"]
        names = [name for place, name in enumerate(dict.fromkeys(names)) if not place or name != "self"]
        types = ["Tensor", *(self.draw.choice(TYPES) for _ in range(self.draw.choice([0, 0, 1, 1, 2, 3, 4])))]
        found = []
        for place, (kind, name) in enumerate(zip(types, names)):
            default = self.draw.choice(DEFAULTS[kind]) if kind in DEFAULTS and self.maybe(0.6) else None
            default = None if name in BY_POSITION else default
            keyword_only = place > 0 and name not in BY_POSITION and self.maybe(0.2)
            found.append(Input(kind, name, default, keyword_only))
        return self.in_order(found)

    def in_order(self, inputs: list[Input]) -> tuple[Input, ...]:
        return tuple(sorted(inputs, key=lambda given: (given.keyword_only, given.default is not None)))

    def functionals(self, usual: list[tuple[Input, ...]], returns: int) -> list[Functional]:
        words = self.draw.choice([TORCHGEN, USERS, (*TORCHGEN, *ADVERSARIAL), (*USERS, *ADVERSARIAL)])
        names = self.draw.sample(words, self.draw.choice([1, 1, 2, 2, 3, 4]))
        if "" not in names and self.maybe(0.5):
            names[0] = ""
        found = []
        for place, name in enumerate(names):
            inputs = self.draw.choice(usual)
            if self.maybe(0.25):
                inputs = self.other_defaults(inputs)
            if self.maybe(0.1):
                inputs = self.otherwise(inputs)
            kernels = self.draw.choice([("CPU",), COMPOSITE, COMPOSITE, ("CPU", *COMPOSITE)])
            if self.traced and self.maybe(0.4):
                kernels = TRACED
            elif self.maybe(0.06):
                kernels = ()  # cannot be called
            elif not name and self.maybe(0.25) and may_be_custom_op(inputs):
                kernels = self.draw.choice([("custom_op",), ("custom_op", "CPU")])
            comes = self.changing and place > 0 and self.maybe(0.15)
            found.append(
                Functional(
                    name,
                    inputs,
                    returns if self.maybe(0.9) else self.draw.randint(1, 3),
                    kernels,
                    "Meta" if self.maybe(0.4) and kernels[:1] != ("custom_op",) else "",
                    comes=comes,
                    exchanged=self.changing and not comes and kernels not in ((), TRACED) and self.maybe(0.3),
                )
            )
        return found

    def other_defaults(self, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        found = []
        for place, given in enumerate(inputs):
            if place and given.type in DEFAULTS and given.name not in BY_POSITION and self.maybe(0.7):
                default = self.draw.choice([*DEFAULTS[given.type], None])
                found.append(dataclasses.replace(given, default=default))
            else:
                found.append(given)
        # A required one behind one with a default is no schema.
        return tuple(found) if list(found) == list(self.in_order(found)) else inputs

    def otherwise(self, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        """A signature that is alike and is not the same."""
        place = self.draw.randrange(len(inputs))
        given = inputs[place]
        how = self.draw.choice(["type", "name", "drop", "same"])
        if how == "type":
            other = {"int": "ScalarType", "SymInt": "ScalarType", "ScalarType": "int", "Tensor?": "Tensor"}
            other |= {"int[]": "SymInt[]", "SymInt[]": "int[]", "float": "Scalar", "Scalar": "float", "int?": "int"}
            changed = dataclasses.replace(given, type=other.get(given.type, given.type), default=None)
        elif how == "name":
            changed = dataclasses.replace(given, name=f"other{place}")
        elif how == "drop" and place:
            return (*inputs[:place], *inputs[place + 1 :])
        else:
            kind = {"int": "SymInt", "SymInt": "int", "int[]": "SymInt[]", "SymInt[]": "int[]"}
            changed = dataclasses.replace(given, type=kind.get(given.type, given.type))
        found = [*inputs[:place], changed, *inputs[place + 1 :]]
        return tuple(found) if found == list(self.in_order(found)) else inputs

    def outs(self, functionals: list[Functional], mode: str) -> list[Out]:
        found: dict[tuple[bool, str], Out] = {}
        taken = {functional.overload for functional in functionals}
        for _ in range(self.draw.choice([0, 1, 1, 2, 2, 3, 4])):
            target = self.draw.choice(functionals)
            flat = self.maybe(0.4) if mode in ("namespace", "explicit") else self.maybe(0.1)
            name = self.out_name(target, functionals, flat)
            if (flat, name) in found or (not flat and name in taken):
                continue
            found[flat, name] = self.out(target, name, flat, mode)
        going = [key for key, out in found.items() if out.goes]
        for key in going[1:]:  # torch itself cannot see two libraries of one op go
            found[key] = dataclasses.replace(found[key], goes=False)
        return list(found.values())

    def out_name(self, target: Functional, functionals: list[Functional], flat: bool) -> str:
        how = self.draw.choice(["own", "own", "own", "another's", "case", "dim", "odd"])
        if how == "another's":
            target = self.draw.choice(functionals)
        if how == "odd":
            return self.draw.choice(["other", "y_out", "out", "lambda", "op", "overloads", "yield", "out_", "write"])
        name = target.overload
        if how == "dim":
            name = name.removeprefix("dim_")
        if flat:
            return name
        called = f"{name}_out" if name else "out"
        return called.swapcase() if how == "case" else called

    def out(self, target: Functional, name: str, flat: bool, mode: str) -> Out:
        inputs = target.inputs
        if self.maybe(0.3):
            inputs = self.other_defaults(inputs)
        if self.maybe(0.1):
            inputs = self.otherwise(inputs)
        count = target.returns if self.maybe(0.95) else self.draw.randint(1, 3)
        read = {given.name for given in inputs}
        usual = ["out"] if count == 1 else [f"out{i}" for i in range(count)]
        if self.maybe(0.25):
            usual = self.draw.sample(
                ["lambda", "self", "op", "kwargs", "functional", "result", "out", "args", "o"], count
            )
        names = [f"{name}_" if name in read else name for name in usual]
        keys = [*[("CPU",)] * 5, *[COMPOSITE] * 3, TRACED, ("Meta",), (), ("CPU", "Meta")]
        kernels = self.draw.choice(keys)
        if target.kernels == ("CPU",) and self.maybe(0.5):
            kernels = ("CPU",)
        tagged = {"tag": 0.9, "mixed": 0.5, "explicit": 0.3, "namespace": 0.15, "none": 0.0}[mode]
        tag = self.draw.choice(["out_variant", "out_variant", "out", "tag_out"]) if self.maybe(tagged) else ""
        place = "middle" if self.maybe(0.25) else "keyword"
        letters = self.maybe(0.85)
        returns = letters and self.maybe(0.4)
        if tag == "out":  # torch 2.13 defines nothing else with it
            place, letters, returns = "keyword", True, True
        if flat and not name and not tag and self.maybe(0.4) and may_be_custom_op(inputs):
            kernels, place, letters, returns = ("custom_op",), "middle", True, False
        comes = self.changing and self.maybe(0.15)
        goes = self.changing and not comes and kernels != ("custom_op",) and self.maybe(0.15)
        kernels_come = self.changing and not goes and not comes and kernels != ("custom_op",) and self.maybe(0.15)
        when = {"comes": comes, "goes": goes, "kernels_come": kernels_come}
        return Out(name, flat, inputs, tuple(names), kernels, place, letters, returns, tag, **when)
