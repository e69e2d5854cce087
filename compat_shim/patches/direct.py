"""The feature ``direct``: out ops called directly in compiled code."""

from compat_shim.patching.kinds import Wrap
from compat_shim.patching.patch import Feature

_PULL = "https://github.com/pytorch/pytorch/pull/"
_AUTO = "torch._higher_order_ops.auto_functionalize:"
_OURS = "compat_shim.out_variant.direct."

FEATURE = Feature(
    id="direct",
    title="out ops called directly in compiled code and in torch.export",
    native_since="2.13",
    requires=("custom_op",),
    # Functionalization says that the results of a direct call are its out arguments, and the lowering makes
    # Inductor hold them for one buffer: with either half alone the numbers are wrong from 2.13 on.
    completed_by=("lowering",),
    patches=(
        # Here, since a fake kernel alone takes a call past the graph break that stock makes, and functionalization
        # then refuses it.
        Wrap(
            id="fake",
            target="torch._subclasses.fake_tensor:FakeTensorMode._dispatch_impl",
            make=_OURS + "fake:wrap_dispatch_impl",
            why="an out op that returns its out arguments has no fake kernel up to 2.12, nor from 2.13 on without"
            " Tag.out",
            upstream=_PULL + "180851",
            ends_with="2.13 for Tag.out, no release for ops that carry another tag or none",
        ),
        Wrap(
            id="can-auto-functionalize",
            target=_AUTO + "can_auto_functionalize",
            bindings=("torch._inductor.ir:can_auto_functionalize",),
            make=_OURS + "functionalize:wrap_can_auto_functionalize",
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
                make=_OURS + "functionalize:wrap_do_auto_functionalize",
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
            make=_OURS + "functionalize:wrap_dense",
            why="an out op's buffer is cloned where torch does not see that it may be overwritten",
            upstream=_PULL + "180852",
            ends_with="2.13 for Tag.out, no release for ops that carry another tag or none",
        ),
    ),
)
