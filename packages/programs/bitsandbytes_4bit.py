"""A small Llama of transformers, loaded in 4 bits (NF4) by bitsandbytes: `BitsAndBytesConfig(load_in_4bit=True)`.

Random weights, no download: the model is saved to a temporary folder and loaded again, quantized, as one does with a
checkpoint. Two layers of seven projections: 14 `Linear4bit`, each of which calls `bitsandbytes::gemv_4bit` where the
CPU has AVX512-BF16, `bitsandbytes::gemm_4bit` elsewhere. The first call packs the weights for the CPU: not to be
compiled.
"""

import tempfile

import torch


def make(device="cpu"):
    from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    with tempfile.TemporaryDirectory() as folder:
        LlamaForCausalLM(config).save_pretrained(folder)
        model = LlamaForCausalLM.from_pretrained(
            folder, quantization_config=BitsAndBytesConfig(load_in_4bit=True), device_map=device, dtype=torch.bfloat16
        )
    model.eval()
    tokens = torch.randint(0, config.vocab_size, (2, 16)).to(device)

    @torch.no_grad()
    def forward(tokens):
        return model(input_ids=tokens, use_cache=False).logits

    forward(tokens)
    return forward, (tokens,)
