"""The feature ``discovery``: which out variant belongs to an op, under torch's own names.

And the record of kernels that this answer needs, as every feature that asks it.
"""

from compat_shim.patching.kinds import Add, AddModule, Wrap
from compat_shim.patching.patch import Feature

_PULL = "https://github.com/pytorch/pytorch/pull/"
_OUT_VARIANT = "torch._library._out_variant:"
_OURS = "compat_shim.out_variant."
_RECORD = "compat_shim.calls.kernel_record:"

FEATURE = Feature(
    id="discovery",
    title="torch._library._out_variant: to_out_variant and its family",
    native_since="2.12",
    requires=("tag",),
    imports=("torch._library._out_variant",),
    patches=(
        *(
            Wrap(
                id=id,
                target=target,
                make=_RECORD + make,
                relies_on=("torch.library:Library._destroy",),
                why="an out variant must not stand for a functional op whose kernel was exchanged after its own was"
                " registered, and torch keeps no record of when",
                upstream="no release of torch has such a record",
                ends_with="no release: torch's own lowering does not ask",
            )
            for id, target, make in (
                ("impl", "torch.library:Library.impl", "wrap_impl"),
                ("register-kernel", "torch._library.custom_ops:CustomOpDef.register_kernel", "wrap_register_kernel"),
            )
        ),
        AddModule(
            id="module",
            target="torch._library:_out_variant",
            make=_OURS + "torch_module:make_module",
            relies_on=("torch._ops:OpOverloadPacket.overloads",),
            why="torch up to 2.10 has no discovery of out variants",
            upstream=_PULL + "174473",
            last="2.10",
            ends_with="2.11",
        ),
        *(
            Add(
                id=name.replace("_", "-"),
                target=_OUT_VARIANT + name,
                make=_OURS + module + name,
                why=f"torch 2.11 has no {name}",
                upstream=_PULL + "176117",
                first="2.11",
                last="2.11",
                ends_with="2.12",
            )
            for module, name in (
                ("discovery:", "get_out_arg_names"),
                ("registry:", "register_out_variant"),
                ("registry:", "lookup_manual_out_variant"),
            )
        ),
        *(
            Wrap(
                id=name.replace("_", "-") + "-either-tag",
                target=_OUT_VARIANT + name,
                make=_OURS + f"discovery:wrap_{name}",
                relies_on=("torch._ops:OpOverloadPacket.overloads",),
                why="torch looks for one tag alone: Tag.out_variant on 2.11 and 2.12, Tag.out from 2.13 on",
                upstream=_PULL + "180851",
                first="2.11",
                ends_with="no release: upstream made it so on purpose",
            )
            for name in ("to_out_variant", "check_out_variant")
        ),
        Wrap(
            id="lookup-manual-out-variant-ours",
            target=_OUT_VARIANT + "lookup_manual_out_variant",
            make=_OURS + "discovery:wrap_lookup_manual_out_variant",
            why="pairs of compat_shim.register_out_variant are found by torch's own look-up",
            upstream=_PULL + "176117",
            first="2.12",
            ends_with="no release: the registry is ours",
        ),
    ),
)
