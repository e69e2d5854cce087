"""The patches: data, which imports nothing of what it applies. One table a feature.

What ``status`` prints, the tables in the docs and the drift tests are made from it. A patch names what it
makes as ``"module:name"``; the engine imports that when it applies the patch.
"""

from compat_shim.env import FEATURE_IDS
from compat_shim.patches import calls, custom_op, direct, discovery, lowering, tag

_BY_ID = {module.FEATURE.id: module.FEATURE for module in (tag, discovery, custom_op, direct, lowering, calls)}

# In the order in which they are applied.
FEATURES = tuple(_BY_ID[id] for id in FEATURE_IDS)
assert len(FEATURES) == len(_BY_ID), "env.FEATURE_IDS lacks one"
