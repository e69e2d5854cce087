"""``python -m packages.inspect_ops MODULES NAMESPACES``: the ops that a package brings, as JSON. It registers nothing.

In the package's own environment. Both arguments are comma-separated.
"""

from __future__ import annotations

import collections
import dataclasses
import importlib
import json
import sys
from typing import Any

import torch

import compat_shim
from compat_shim.out_variant import marks, names
from compat_shim.reports.pairs_report import make_report


def kind(schema: Any) -> str:
    """``"functional"``, ``"mutating"`` or ``"neither"`` (no Tensor comes out of it)."""
    if schema.is_mutable:
        return "mutating"
    return "functional" if any("Tensor" in str(one.type) for one in schema.returns) else "neither"


def main() -> None:
    """Print what the namespaces have."""
    modules, namespaces = (argument.split(",") for argument in sys.argv[1:3])
    for module in modules:
        importlib.import_module(module)
    report = make_report(namespaces)
    every = [name for name in torch._C._dispatch_get_all_op_names() if name.partition("::")[0] in namespaces]
    found = [one for base in sorted(set(map(names.op_of, every))) for one in names.schemas_of(base)]
    definitions = torch._library.custom_ops.OPDEFS
    counts = collections.Counter(map(kind, found))
    python = collections.Counter(kind(one) for one in found if names.of_schema(one) in definitions)
    refused = [(mine, out, why) for one in report.surveys for mine, out, why in one.refused]
    pairs = [pair for one in report.surveys for pair in one.pairs]
    usable = [pair for pair in pairs if report.serves(pair)]
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "shim": compat_shim.__version__,
                "functional": counts["functional"],
                "mutating": counts["mutating"],
                "custom_op": {"functional": python["functional"], "mutating": python["mutating"]},
                "tagged": sum(one.is_mutable and marks.is_tagged_name(names.of_schema(one)) for one in found),
                "pairs": [
                    {
                        "functional": mine,
                        "out": out,
                        "kernels": [dataclasses.asdict(one) for one in report.kernels[mine, out]],
                    }
                    for mine, out in usable
                ],
                "declined": [
                    {
                        "functional": mine,
                        "out": out,
                        "why": "; ".join(sorted({one.declined for one in report.kernels[mine, out]})) or "no kernel",
                    }
                    for mine, out in pairs
                    if (mine, out) not in usable
                ],
                "refused": [{"functional": mine, "out": out, "why": why} for mine, out, why in refused],
                "in_place": [list(pair) for one in report.surveys for pair in one.in_place],
            }
        )
    )


if __name__ == "__main__":
    main()
