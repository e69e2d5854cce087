"""What a user can change about each reason for which a call was not lowered."""

from __future__ import annotations

from compat_shim.out_variant import kernels

# By the decline's name (those of compat_shim.out_variant.lowering.decide.Decline).
ADVICE = {
    "CPP_WRAPPER": "return the out tensors, or use a newer torch: docs/differs-from-upstream.md says which wrapper"
    " takes what",
    "FX_WRAPPER": "compile with static shapes, or with a newer torch",
    "CUSTOM_CODEGEN": "nothing: whoever registered the codegen decides what is emitted",
    "EFFECTS": "nothing: torch keeps the order of effects by its own kernel",
    "UNSEEN": "nothing: the next graph that is compiled lowers it; or import the library before the first",
    **kernels.REMEDIES,
    "STRIDES": "give the out variant the functional op's tag for strides: flexible_layout if it takes any",
    "DEVICE": "nothing: make the outputs on the device of the inputs, or keep torch's fallback",
    "DATA_DEPENDENT": "nothing, unless the size can be told from the inputs' sizes in the fake kernel",
    "NOT_TENSORS": "let the fake kernel return one Tensor for each out argument",
    "LAYOUT": "return plain strided tensors (not sparse, quantized, conjugated or on meta)",
    "OVERLAP": "return outputs whose elements do not overlap, for example contiguous ones",
    "ALIAS": "return outputs with storage of their own in the fake kernel, as the real one should",
}
