"""The IR nodes: one kernel node with its out buffers, for one output and for several.

Upstream makes each output a scheduler node of its own (``MultiOutput``). Where the graph is
partitioned between the kernel and such a child, the next partition allocates the buffer again
and reads it uninitialised. Here the out buffers belong to the kernel's one scheduler node.

Mirrors ``ExternKernelMultiOut`` and ``AllocatingMultiOutput`` of torch 2.12 (#175116, #176117).
"""

from __future__ import annotations

from typing import Any

import torch
from torch._inductor import ir
from torch._inductor.virtualized import V

from compat_shim.calls import ways
from compat_shim.out_variant.lowering import announce, donation, memory, releases
from compat_shim.out_variant.lowering.emission import cpp_call, python_call
from compat_shim.out_variant.pairing import Pair
from compat_shim.out_variant.reuse import Inputs


class AllocatingMultiOutput(ir.InputsKernel):
    """A buffer that Inductor allocates and the out variant writes to.

    It is a buffer only, never an operation: the kernel is what defines it. (An ``InputsKernel``
    all the same, since ``StorageBox.realize`` takes no plain buffer for a graph output.)
    """

    compat_shim_allocated = True  # what is written to it is what its layout says: see ways

    def __init__(self, layout: ir.Layout, kernel: ExternKernelMultiOut) -> None:
        super().__init__(name=None, layout=layout, inputs=[])
        self.kernel = kernel
        self.name = V.graph.register_buffer(self)

    def get_defining_op(self) -> ir.Operation:
        return self.kernel

    def should_allocate(self) -> bool:
        return True

    def get_inputs_that_alias_output(self) -> list[str]:
        return []


class ExternKernelMultiOut(ir.FallbackKernel):
    """The call of an out variant. Its outputs are ``AllocatingMultiOutput`` buffers.

    ``op_overload`` stays the *functional* op, so what the scheduler asks of an op (its tags, its
    name in ``custom_should_partition_ops``, its effects) is answered as without the shim.

    Attributes:
        pair: the functional op and its out variant.
        declared: out argument → the inputs whose memory it may take.
        out_buffers: one buffer per out argument, in the order of the functional op's returns.
        donations: the out buffers that are made of an input, as far as the code that is being written goes.
        compat_shim_way: which way the call takes; the name is ``ways.WAY``.
    """

    def __init__(self, pair: Pair, device: torch.device, processed: Any, declared: Inputs) -> None:
        example_output, tensor_args, other_args, unflatten_args, _ = releases.result_of(processed)
        # Set before the base class runs: it may ask for the outputs.
        self.pair = pair
        self.declared = declared
        self.out_buffers: list[AllocatingMultiOutput] = []
        self.donations: list[donation.Donation] = []
        super().__init__(ir.NoneLayout(device=device), pair.functional, tensor_args, other_args, unflatten_args)
        self.python_kernel_name = releases.kernel_name(pair.out)
        tensors = example_output if isinstance(example_output, (tuple, list)) else [example_output]
        for tensor in tensors:
            self.out_buffers.append(AllocatingMultiOutput(self.tensor_to_layout(tensor), self))
        self.outputs = list(self.out_buffers)
        self.compat_shim_way = ways.of_call(pair.out, device, self, self.given, paired=True)

    def given(self) -> dict[str, Any]:
        """What the call passes but for its out buffers: argument → IR node, number, symbol or list of these."""
        return self.pair.arguments_by_name(*self.unflatten_args(self.inputs, self.constant_args))

    @property
    def out_arg_names(self) -> list[str]:
        """The names of the out arguments, under upstream's name."""
        return list(self.pair.out_names)

    @property
    def out_variant_output_nodes(self) -> list[AllocatingMultiOutput]:
        """The out buffers, under upstream's name."""
        return self.out_buffers

    def get_outputs(self) -> list[ir.Buffer]:
        return list(self.out_buffers)

    def get_mutation_names(self) -> list[str]:
        return []

    def codegen(self, wrapper: Any) -> None:
        self.codegen_comment(wrapper)
        # Code may be written twice, for Python and then for C++.
        self.donations = donation.find(self)
        donors = {found.out: found.donor for found in self.donations}
        # An output that nobody reads is still written to, so it needs its buffer for the call.
        dead = [buffer for buffer in self.out_buffers if buffer.get_name() in V.graph.removed_buffers]
        for buffer in dead:
            V.graph.removed_buffers.remove(buffer.get_name())
        for out, buffer in zip(self.pair.out_names, self.out_buffers):
            if out in donors:
                memory.take(wrapper, donors[out], buffer)
            else:
                memory.allocate(wrapper, buffer)
        for found in self.donations:
            announce.tell_in_place(found.buffer.get_name(), found.input)
        if V.graph.cpp_wrapper:
            cpp_call.OutCall(self).codegen(wrapper)
        else:
            python_call.generate_extern_kernel_multi_out(wrapper, self)
        memory.offer_shared_later(wrapper)
        for buffer in dead:
            wrapper.codegen_free(buffer)


releases.add_layout_symbols(ExternKernelMultiOut)
