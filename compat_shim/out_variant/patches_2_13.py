"""The patches of the features ``custom_op`` and ``direct``: what torch 2.13 lets out ops do.

The functions named here run when a patch is applied, and import what they need then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compat_shim.patching.patch import Wrap

_PULL = "https://github.com/pytorch/pytorch/pull/"
_CUSTOM_OPS = "torch._library.custom_ops:"
_AUTO = "torch._higher_order_ops.auto_functionalize:"

_Make = Callable[[Callable[..., Any]], Callable[..., Any]]


def _later(module: str, name: str) -> _Make:
    """``make`` of a patch: a function of ours, imported when the patch is applied."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        import importlib

        wrap = getattr(importlib.import_module(f"compat_shim.out_variant.{module}"), name)
        return wrap(original)

    return make


CUSTOM_OP = (
    Wrap(
        id="define",
        target="torch.library:Library.define",
        make=_later("tagged.rules", "wrap_define"),
        why="torch up to 2.12 takes any schema under Tag.out and Tag.inplace",
        upstream=_PULL + "180851",
        last="2.12",
        ends_with="2.13",
    ),
    Wrap(
        id="infer-schema",
        target="torch._library.infer_schema:infer_schema",
        bindings=("torch.library:infer_schema",),
        make=_later("tagged.inference", "wrap_infer_schema"),
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
        make=_later("tagged.custom_op", "wrap_custom_op"),
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
        make=_later("tagged.custom_op", "wrap_register_autograd"),
        why="an out op is refused with the reason that torch 2.13 gives",
        upstream=_PULL + "180851",
        last="2.12",
        ends_with="2.13",
    ),
)

DIRECT = (
    # Here, since a fake kernel alone takes a call past the graph break that stock makes, and functionalization
    # then refuses it.
    Wrap(
        id="fake",
        target="torch._subclasses.fake_tensor:FakeTensorMode._dispatch_impl",
        make=_later("direct.fake", "wrap_dispatch_impl"),
        why="an out op that returns its out arguments has no fake kernel up to 2.12, nor from 2.13 on without Tag.out",
        upstream=_PULL + "180851",
        ends_with="2.13 for Tag.out, no release for ops that carry another tag or none",
    ),
    Wrap(
        id="can-auto-functionalize",
        target=_AUTO + "can_auto_functionalize",
        bindings=("torch._inductor.ir:can_auto_functionalize",),
        make=_later("direct.functionalize", "wrap_can_auto_functionalize"),
        relies_on=(
            "torch._subclasses.functional_tensor:FunctionalTensorMode.__torch_dispatch__",
            _AUTO + "auto_functionalized_dense",
            _AUTO + "auto_functionalized_v2_dense",
        ),
        why="torch up to 2.12 refuses ops that return what they write to, and from 2.13 on those without Tag.out",
        upstream=_PULL + "180852",
        ends_with="2.13 for Tag.out, no release for ops that carry another tag or none",
    ),
    *(
        Wrap(
            id=name.replace("_", "-"),
            target=_AUTO + name,
            make=_later("direct.functionalize", "wrap_do_auto_functionalize"),
            why="the results of a direct call are its out arguments: from 2.13 on they are other tensors, which do"
            " not follow later writes",
            upstream=_PULL + "180852",
            ends_with="when torch returns the out arguments themselves",
        )
        for name in ("do_auto_functionalize", "do_auto_functionalize_v2")
    ),
    Wrap(
        id="no-clone",
        target=_AUTO + "auto_functionalized_v2_dense",
        make=_later("direct.functionalize", "wrap_dense"),
        why="an out op's buffer is cloned where torch does not see that it may be overwritten",
        upstream=_PULL + "180852",
        ends_with="2.13 for Tag.out, no release for ops that carry another tag or none",
    ),
)
