"""A small Llama of transformers, loaded in 8 bits by bitsandbytes: `BitsAndBytesConfig(load_in_8bit=True, ...)`.

Random weights, no download: the model is saved to a temporary folder and loaded again, quantized, as one does with a
checkpoint. Two layers of seven projections: 14 `Linear8bitLt`, each of which calls
`bitsandbytes::int8_vectorwise_quant`, `bitsandbytes::int8_scaled_mm`: 28 calls. (With the default threshold, 6.0,
outliers break the graph.)
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
            folder,
            quantization_config=BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0),
            device_map=device,
            dtype=torch.float16,
        )
    model.eval()
    tokens = torch.randint(0, config.vocab_size, (2, 16)).to(device)

    @torch.no_grad()
    def forward(tokens):
        return model(input_ids=tokens, use_cache=False).logits

    return forward, (tokens,)
