"""The ``CustomOpDef`` of an op that returns what it writes to.

A class of its own, since up to torch 2.12 the base refuses keyword-only Tensors, and its kernels
refuse a result that is an argument.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import _C
from torch._library import autograd, utils
from torch._library.custom_ops import CustomOpDef
from torch.utils._pytree import tree_leaves

from compat_shim.calls import kernel_record, python_kernel
from compat_shim.out_variant import schema as schemas
from compat_shim.out_variant.custom_op.rules import refuse_autograd

BASE_TAKES_TAGS = "tags" in inspect.signature(CustomOpDef.__init__).parameters  # from 2.8 on


class WritingOpDef(CustomOpDef):
    """An op tagged ``torch.Tag.out`` or ``torch.Tag.inplace``."""

    def __init__(
        self, namespace: str, name: str, schema: str, fn: Callable[..., Any], tags: Sequence[torch.Tag]
    ) -> None:
        self._writing_tags = tuple(tags)
        if BASE_TAKES_TAGS:
            super().__init__(namespace, name, schema, fn, self._writing_tags)
        else:
            super().__init__(namespace, name, schema, fn)
            self._tags = self._writing_tags

    def _register_to_dispatcher(self, *_: Any) -> None:
        text = self._name + self._schema
        if torch.Tag.out not in self._writing_tags and utils.has_kwarg_only_tensors(_C.parse_schema(text)):
            raise NotImplementedError(
                f"custom_op with kwarg-only Tensor args. Please make your tensors not kwarg-only. Got: {text}"
            )
        tags = [_C.Tag.pt2_compliant_tag, *self._writing_tags]
        self._lib.define(text, tags=tags)
        self._opoverload = utils.lookup_op(self._qualname)
        outs = schemas.out_arguments(self._opoverload._schema)
        self._is_out = torch.Tag.out in self._writing_tags
        self._out_kwarg_names = tuple(argument.name for argument in outs if argument.kwarg_only)
        self._lib._register_fake(self._name, self._fake, _stacklevel=5)
        # This one takes no keyword-only argument called keyset, in torch 2.13 to 2.15 neither.
        in_autograd = autograd.make_autograd_impl(self._opoverload, self)
        if self._is_out:
            in_autograd = self._refuse_grad
        self._lib.impl(self._name, in_autograd, "Autograd", with_keyset=True)
        self._lib.impl(self._name, self._bump_versions, "ADInplaceOrView", with_keyset=True)

    # An op may call an argument ``self`` or ``keyset``: in what takes the op's own arguments, the names
    # of ours are positional.

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the op."""
        return self._opoverload(*args, **kwargs)

    def _fake(self, /, *args: Any, **kwargs: Any) -> Any:
        if self._abstract_fn is not None:
            return self._abstract_fn(*args, **kwargs)
        written = self._written(args, kwargs)
        return written[0] if len(written) == 1 else written

    def _written(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(kwargs[name] for name in self._out_kwarg_names) if self._is_out else (args[0],)

    def _bump_versions(self, keyset: Any, /, *args: Any, **kwargs: Any) -> Any:
        for tensor in self._written(args, kwargs):
            torch.autograd.graph.increment_version(tensor)
        with _C._AutoDispatchBelowADInplaceOrView():
            return self._redispatch(keyset & _C._after_ADInplaceOrView_keyset, *args, **kwargs)

    def _refuse_grad(self, keyset: Any, /, *args: Any, **kwargs: Any) -> Any:
        # As make_autograd_impl() of torch 2.13 for Tag.out. The older ones pass such a call on, and what it
        # returns looks differentiable.
        if torch.is_grad_enabled() and any(
            isinstance(leaf, torch.Tensor) and leaf.requires_grad for leaf in tree_leaves((args, kwargs))
        ):
            raise RuntimeError(
                f"{self._name}(): functions with out=... arguments don't support automatic differentiation,"
                " but one of the arguments requires grad."
            )
        with _C._AutoDispatchBelowAutograd():
            return self._redispatch(keyset & _C._after_autograd_keyset, *args, **kwargs)

    def _redispatch(self, keyset: Any, /, *args: Any, **kwargs: Any) -> Any:
        # What OpOverload.redispatch() calls, whose own argument is named keyset.
        return self._opoverload._handle.redispatch_boxed(keyset, *args, **kwargs)

    @kernel_record.wrap_register_kernel
    def register_kernel(self, device_types: Any, fn: Callable[..., Any] | None = None, /) -> Any:
        """As the base's; the kernel must return the tensors that it writes to."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            types = [device_types] if device_types is None or isinstance(device_types, str) else device_types
            for device_type in types:
                if device_type not in self._backend_fns:
                    key = "CompositeExplicitAutograd"
                    if device_type is not None:
                        key = _C._dispatch_key_for_device(device_type)
                    self._lib.impl(self._name, self._kernel(device_type), key)
                self._backend_fns[device_type] = torch._disable_dynamo(self._switch(device_type, function))
            return function

        return register if fn is None else register(fn)

    def _kernel(self, device_type: str | None) -> Callable[..., Any]:
        def kernel(*args: Any, **kwargs: Any) -> Any:
            result = self._backend_fns[device_type](*args, **kwargs)
            written = self._written(args, kwargs)
            returned = (result,) if len(written) == 1 else result
            if (
                not isinstance(returned, tuple)
                or len(returned) != len(written)
                or not all(one is other for one, other in zip(returned, written))
            ):
                rule = "torch.Tag.inplace must return its first argument."
                if self._is_out:
                    rule = "torch.Tag.out must return its mutable keyword-only arguments."
                module = inspect.getmodule(self._backend_fns[device_type])
                raise RuntimeError(f"{self._name} (with implementation in {module}): An operator tagged with {rule}")
            return result

        python_kernel.serve_as("kernel", kernel)
        return kernel

    def _switch(self, device_type: str | None, function: Callable[..., Any]) -> Callable[..., Any]:
        # What set_kernel_enabled() of the base switches off.
        def enabled(*args: Any, **kwargs: Any) -> Any:
            return (self._init_fn if device_type in self._disabled_kernel else function)(*args, **kwargs)

        python_kernel.serve_as("switch", enabled)
        return enabled

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """As the base's, with a warning: the op has a fake kernel already."""
        name = "torch.Tag.out" if self._is_out else "torch.Tag.inplace"
        warnings.warn(
            f"The fake registration for {self} is unnecessary. Custom ops tagged with {name} already get an"
            " autogenerated fake kernel. The provided fake impl will be used instead.",
            stacklevel=2,
        )
        return super().register_fake(fn)

    def register_autograd(self, backward: Callable[..., Any], /, **options: Any) -> None:
        """Refused: an op that writes to its arguments has no autograd formula."""
        refuse_autograd(self._opoverload, self)
        super().register_autograd(backward, **options)


python_kernel.serve_as("autograd", WritingOpDef._refuse_grad)
python_kernel.serve_as("versions", WritingOpDef._bump_versions)
