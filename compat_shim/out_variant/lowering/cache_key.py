"""What a compiled graph depends on besides what torch's cache keys hold.

The FX graph cache and the AOTAutograd cache key a graph by its ops, torch's files and the
configuration, but not by the overloads that exist, their tags, or patches. So the key gets one
more part: the shim's version, the features that are there and every pair of the process. A process
without the shim has keys without that part, and two processes with other pairs have other keys.

The patch of the key belongs to the lowering, which comes with every feature that changes generated
code: where it is not there, the code and the key are torch's own.

All pairs count, not only those of the graph's own ops: the ops of its backward graph are not yet
known when the AOTAutograd key is made.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import torch

from compat_shim import process
from compat_shim._version import VERSION
from compat_shim.calls import variables
from compat_shim.out_variant import kernels, listing, names, pairing, reuse, wanted
from compat_shim.out_variant.lowering import first_met
from compat_shim.patching.log import logger

# Counts changes of the generated code, and of what is kept with it, that a change of the pairs or of VERSION does not
# show.
CODEGEN_VERSION = 14

_MADE = "compat_shim_key_made"  # an attribute of a compile's context


def salt() -> str:
    """The part of the key: equal in two processes that lower every op alike."""
    devices = kernels.devices()
    with names.at_one_moment():
        return _salt(_describe(pair, devices) for pair in pairing.all_pairs())


def _salt(described: Iterable[str]) -> str:
    state = [
        f"check={process.settings().check}",
        f"calls={process.short_calls()}, guarded={variables.is_guarded()}",
        *(f"{name}={verdict}" for name, verdict in process.verdicts().items()),
    ]
    text = "\n".join([VERSION, str(CODEGEN_VERSION), *state, *sorted(described)])
    return hashlib.sha256(text.encode()).hexdigest()


def _describe(pair: pairing.Pair, devices: list[str]) -> str:
    """A pair, what its outs may reuse, and the kernels that the decision looks at: a process that lacks one must not
    load the code."""
    functional, out = pair.functional.name(), pair.out.name()
    exchanges = "" if pair.source == "registered" else kernels.exchanges(functional, out, devices)
    kinds = f"[{kernels.kinds(functional, devices)}] [{kernels.kinds(out, devices)}]"
    return f"{pair.describe()} {reuse.declared(pair)} {kinds} [{exchanges}]"


def wrap_hash_details(original: Callable[..., None]) -> Callable[..., None]:
    """``FxGraphHashDetails.__init__`` (and so ``AOTAutogradCacheDetails``) with one more attribute."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        wanted.pair()
        try:
            with names.at_one_moment():
                pairs = list(pairing.all_pairs())
                devices = kernels.devices()
                described = {_describe(pair, devices) for pair in pairs}
                self.compat_shim = _salt(described)
            first_met.meet(pairs)
            _note(described)
        except Exception:
            # Without the salt the key could hit code for other pairs; a key that is new every
            # time only misses.
            logger.exception("compat_shim: the pairs of this process cannot be listed; no cache hits")
            self.compat_shim = uuid.uuid4().hex

    return init


def _note(described: set[str]) -> None:
    """Note what the first cache key of the compile that is running holds.

    The first: a backward graph that is compiled when it is first run is kept under the key of its forward graph, too.
    """
    context = torch._guards.CompileContext.try_get()
    if context is not None:
        vars(context).setdefault(_MADE, described)


def was_made() -> bool:
    """Whether a cache key of the compile that is running was made. None is where there are no caches."""
    return _made() is not None


def _made() -> set[str] | None:
    context = torch._guards.CompileContext.try_get()
    found: set[str] | None = None if context is None else vars(context).get(_MADE)
    return found


def lacks(pair: pairing.Pair) -> bool:
    """Whether a cache key of the compile that is running was made without this pair as it is now.

    So for what C++ code has registered unseen, neither by an import nor a library loaded by ``torch.ops``, and for
    what was registered or said since the key was made. Then the next key lists all ops.
    """
    made = _made()
    if made is None or _describe(pair, kernels.devices()) in made:
        return False
    listing.outdate()
    return True
