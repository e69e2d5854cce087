"""The feature ``tag``: ``torch.Tag.out``, ``torch.Tag.out_variant`` and ``torch.Tag.inplace`` as real values.

Native: ``out_variant`` since torch 2.11 (#174473), ``out`` and ``inplace`` since 2.13 (#180851).
``out`` and ``out_variant`` are two tags on every release, as from 2.13 on: ``out`` has rules at
definition time, ``out_variant`` has none. Both mark an out variant.
"""

from compat_shim.patching.add_tag import AddTag
from compat_shim.patching.patch import Feature

# Far from torch's own values (2.15 ends at 19), and part of every compiled C++ library that uses
# them (include/compat_shim/out_tag.h): they must never change. The bytes spell "out", "out!", "inpl".
TAG_VALUES = {"out_variant": 0x6F7574, "out": 0x6F757421, "inplace": 0x696E706C}

_PULL = "https://github.com/pytorch/pytorch/pull/"

FEATURE = Feature(
    id="tag",
    title="torch.Tag.out and torch.Tag.out_variant",
    native_since="2.13",
    patches=(
        AddTag(
            id="tag-out",
            target="torch:Tag.out",
            value=TAG_VALUES["out"],
            why="code written for torch 2.13 tags its out variants with torch.Tag.out",
            upstream=_PULL + "180851",
            ends_with="2.13",
            last="2.12",
        ),
        AddTag(
            id="tag-out-variant",
            target="torch:Tag.out_variant",
            value=TAG_VALUES["out_variant"],
            why="code written for torch 2.11 and 2.12 tags its out variants with torch.Tag.out_variant",
            upstream=_PULL + "174473",
            ends_with="2.11",
            last="2.10",
        ),
        AddTag(
            id="tag-inplace",
            target="torch:Tag.inplace",
            value=TAG_VALUES["inplace"],
            why="code written for torch 2.13 tags its in-place ops with torch.Tag.inplace",
            upstream=_PULL + "180851",
            ends_with="2.13",
            last="2.12",
        ),
    ),
)
