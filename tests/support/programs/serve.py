"""A program that nobody edits: it imports its package late, and starts workers of every kind.

``python serve.py`` prints one line of JSON: what it ran, and the pairs in itself and in its workers. Under torchrun
each rank prints its pairs.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))


def pairs(_: int = 0) -> list[str]:
    import world

    shim = sys.modules.get("compat_shim")
    names = [pair.functional.partition("::") for pair in (shim.status().pairs if shim else ())]
    return sorted(op for namespace, _, op in names if namespace == world.NAMESPACE)  # torch has pairs of its own


def compiled(_: int = 0) -> dict[str, Any]:
    import world

    scale = torch.ops.compat_shim_world.scale
    result = torch.compile(lambda x: scale(scale(x, 2.0), 3.0))(torch.ones(3))
    shim = sys.modules.get("compat_shim")
    seen = {"called": list(world.called), "result": result.tolist(), "pairs": pairs()}
    return {**seen, "salt": shim and shim.status().cache_salt}


class Data(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 1

    def __getitem__(self, place: int) -> str:
        return " ".join(pairs())


def main() -> None:
    if "RANK" in os.environ:
        print(json.dumps(pairs()), flush=True)
        return
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        spawned = pool.apply_async(compiled)
        mine = compiled()
        loader = torch.utils.data.DataLoader(Data(), num_workers=1, multiprocessing_context="forkserver")
        ((loaded,),) = loader
        print(json.dumps({"main": mine, "spawn": spawned.get(), "loader": loaded.split()}))


if __name__ == "__main__":
    main()
