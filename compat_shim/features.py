"""The features, in the order in which they are applied: the one table.

What ``status`` prints, the README's tables and the drift tests are made from it.
"""

from __future__ import annotations

from compat_shim.env import FEATURE_IDS
from compat_shim.out_variant import patches, tag
from compat_shim.patching.patch import Feature

FEATURES = (
    Feature(
        id="tag",
        title="torch.Tag.out and torch.Tag.out_variant",
        patches=tag.PATCHES,
        native_since="2.13",
    ),
    Feature(
        id="discovery",
        title="torch._library._out_variant: to_out_variant and its family",
        patches=patches.DISCOVERY,
        requires=("tag",),
        imports=("torch._library._out_variant",),
        native_since="2.12",
    ),
    Feature(
        id="lowering",
        title="Inductor lowers a functional op to its out variant",
        patches=patches.LOWERING,
        requires=("discovery",),
        native_since="2.12",
    ),
)

assert tuple(feature.id for feature in FEATURES) == FEATURE_IDS
