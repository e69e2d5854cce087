"""For C++ extensions: where the header ``compat_shim/out_tag.h`` is."""

from __future__ import annotations

from pathlib import Path


def include_paths() -> list[str]:
    """The folders to give a C++ compiler (or ``load_inline(extra_include_paths=...)``).

    ``#include <compat_shim/out_tag.h>`` then gives ``compat_shim::out_variant_tag()`` and
    ``compat_shim::out_tag()`` for ``m.def(schema, {tag})``: torch's own value where the release
    that is compiled against has the tag, and the shim's where it has not. Imports no torch.
    """
    return [str(Path(__file__).with_name("include"))]
