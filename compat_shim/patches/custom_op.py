"""The feature ``custom_op``: what torch 2.13 lets the authors of out ops write."""

from compat_shim.patching.kinds import Wrap
from compat_shim.patching.patch import Feature

_PULL = "https://github.com/pytorch/pytorch/pull/"
_CUSTOM_OPS = "torch._library.custom_ops:"
_OURS = "compat_shim.out_variant.custom_op."

FEATURE = Feature(
    id="custom_op",
    title="torch.library takes the tags of torch 2.13: custom_op, infer_schema, rules at definition time",
    native_since="2.13",
    requires=("tag",),
    patches=(
        Wrap(
            id="define",
            target="torch.library:Library.define",
            make=_OURS + "rules:wrap_define",
            why="torch up to 2.12 takes any schema under Tag.out and Tag.inplace",
            upstream=_PULL + "180851",
            last="2.12",
            ends_with="2.13",
        ),
        Wrap(
            id="infer-schema",
            target="torch._library.infer_schema:infer_schema",
            bindings=("torch.library:infer_schema",),
            make=_OURS + "inference:wrap_infer_schema",
            relies_on=("torch._library.infer_schema:parse_return",),
            why="infer_schema takes no tags up to torch 2.12",
            upstream=_PULL + "180851",
            last="2.12",
            ends_with="2.13",
        ),
        Wrap(
            id="custom-op",
            target=_CUSTOM_OPS + "custom_op",
            bindings=("torch.library:custom_op",),
            make=_OURS + "decorator:wrap_custom_op",
            relies_on=(
                _CUSTOM_OPS + "CustomOpDef.__init__",
                _CUSTOM_OPS + "CustomOpDef.register_kernel",
                _CUSTOM_OPS + "CustomOpDef.register_fake",
                _CUSTOM_OPS + "CustomOpDef._register_to_dispatcher",
                "torch._library.autograd:make_autograd_impl",
            ),
            why="custom_op refuses keyword-only Tensors and returned arguments up to torch 2.12",
            upstream=_PULL + "180851",
            last="2.12",
            ends_with="2.13",
        ),
        Wrap(
            id="register-autograd",
            target="torch.library:register_autograd",
            make=_OURS + "decorator:wrap_register_autograd",
            why="an out op is refused with the reason that torch 2.13 gives",
            upstream=_PULL + "180851",
            last="2.12",
            ends_with="2.13",
        ),
    ),
)
