"""The features, in the order in which they are applied: the one table.

What ``status`` prints, the README's tables and the drift tests are made from it.
"""

from __future__ import annotations

from compat_shim.env import FEATURE_IDS
from compat_shim.out_variant import patches, patches_2_13, tag
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
        id="custom_op",
        title="torch.library takes the tags of torch 2.13: custom_op, infer_schema, rules at definition time",
        patches=patches_2_13.CUSTOM_OP,
        requires=("tag",),
        native_since="2.13",
    ),
    Feature(
        id="direct",
        title="out ops called directly in compiled code and in torch.export",
        patches=patches_2_13.DIRECT,
        requires=("custom_op",),
        # Functionalization says that the results of a direct call are its out arguments, and the lowering makes
        # Inductor hold them for one buffer: with either half alone the numbers are wrong from 2.13 on.
        completed_by=("lowering",),
        native_since="2.13",
    ),
    Feature(
        id="lowering",
        title="Inductor lowers a functional op to its out variant, and out ops called directly",
        patches=patches.LOWERING,
        requires=("discovery", "direct"),
        native_since="2.12",
    ),
)

assert tuple(feature.id for feature in FEATURES) == FEATURE_IDS
