"""Stands for ``compat_shim.patches`` in a subprocess: import it before ``compat_shim``.

One small feature for each name that ``COMPAT_SHIM_FEATURES`` knows, fit for the fake torch beside
this file, with the fingerprints in the file that ``SMALL_FINGERPRINTS`` names.
"""

import os
import sys
import types
from pathlib import Path


def _make() -> "tuple[object, ...]":
    from compat_shim.patching import fingerprint
    from compat_shim.patching.kinds import Add, AddModule, Wrap
    from compat_shim.patching.patch import Feature

    def lowered(original):
        return lambda cls, kernel: [*original(cls, kernel), "lowered"]

    table = fingerprint.load(Path(os.environ["SMALL_FINGERPRINTS"]))
    fingerprint.load = lambda: table
    why, upstream = "it is a test", "none"
    return (
        Feature("tag", "a tag", (Add("tag-out", "torch:Tag.out", why, upstream, make="out"),)),
        Feature(
            "discovery",
            "a module",
            (AddModule("module", "torch._library:_out_variant", why, upstream, make=types.ModuleType),),
            requires=("tag",),
        ),
        Feature(
            "lowering",
            "a wrapped function",
            (Wrap("create", "torch._inductor.ir:FallbackKernel.create", why, upstream, make=lowered),),
            requires=("discovery",),
        ),
    )


def __getattr__(name: str) -> object:
    if name != "FEATURES":
        raise AttributeError(name)
    value = globals()["FEATURES"] = _make()
    return value


sys.modules["compat_shim.patches"] = sys.modules[__name__]
