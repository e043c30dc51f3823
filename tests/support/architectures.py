"""Tiny random models of several architectures, with weights large enough that attention matters."""

from __future__ import annotations

import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

_ROTARY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.25,
    "eos_token_id": 2,
}
TREE = {
    "llama": (LlamaForCausalLM, LlamaConfig, _ROTARY),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, _ROTARY),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {**_ROTARY, "head_dim": 16}),
    "opt": (
        OPTForCausalLM,
        OPTConfig,
        {
            "hidden_size": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "word_embed_proj_dim": 16,
            "init_std": 0.25,
        },
    ),
    "gpt2": (GPT2LMHeadModel, GPT2Config, {"n_embd": 32, "n_layer": 3, "n_head": 4, "initializer_range": 0.25}),
}
# Not for a tree: one hides what is far away, the other adds a bias by distance inside its own attention.
OTHERS = {
    "mistral": (MistralForCausalLM, MistralConfig, {**_ROTARY, "sliding_window": 6}),
    "bloom": (BloomForCausalLM, BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.25}),
}


def build(name: str, vocabulary: int = 97):
    """Return a float32 model with weights that depend on nothing but the architecture."""
    kind, config, arguments = (TREE | OTHERS)[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return kind(config(vocab_size=vocabulary, max_position_embeddings=128, **arguments)).eval()
