"""Tiny random models of several architectures, with weights large enough that attention matters."""

from __future__ import annotations

import torch
from transformers import AutoConfig, AutoModelForCausalLM

_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.25,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_TWO_LAYERS = {**_SMALL, "num_hidden_layers": 2}
_GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128, "initializer_range": 0.25}
_ALIBI = {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.25}
_OPT = {
    "hidden_size": 32,
    "ffn_dim": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "word_embed_proj_dim": 16,
    "max_position_embeddings": 128,
    "init_std": 0.25,
}
_LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "original_max_position_embeddings": 24,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0, 6.0, 8.0, 9.0],
}
_DYNAMIC = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
TREE = {
    "llama": ("llama", _SMALL),
    "qwen2": ("qwen2", _SMALL),
    "qwen3": ("qwen3", {**_SMALL, "head_dim": 16}),
    "opt": ("opt", _OPT),
    "gpt2": ("gpt2", _GPT2),
    "mixtral": ("mixtral", {**_TWO_LAYERS, "num_local_experts": 4}),
    # What stands behind the head belongs to the answer.
    "granite": ("granite", {**_TWO_LAYERS, "logits_scaling": 8.0}),
    "cohere": ("cohere", {**_TWO_LAYERS, "logit_scale": 0.25}),
    # The length of a text decides its frequencies.
    "phi3_longrope": ("phi3", {**_TWO_LAYERS, "original_max_position_embeddings": 24, "rope_parameters": _LONGROPE}),
    "llama_dynamic": ("llama", {**_TWO_LAYERS, "max_position_embeddings": 24, "rope_parameters": _DYNAMIC}),
}
BY_LENGTH = frozenset({"phi3_longrope", "llama_dynamic"})
# Not for a tree: windows, biases inside their own attention, states in the place of keys and values.
OTHERS = {
    "mistral": ("mistral", {**_SMALL, "sliding_window": 6}),
    "bloom": ("bloom", _ALIBI),
    "gemma2": ("gemma2", {**_TWO_LAYERS, "head_dim": 8, "final_logit_softcapping": 2.0, "sliding_window": 6}),
    "modernbert-decoder": ("modernbert-decoder", {**_TWO_LAYERS, "local_attention": 6}),
    "mamba": ("mamba", _TWO_LAYERS),
    "lfm2": (
        "lfm2",
        {**_TWO_LAYERS, "layer_types": ["conv", "full_attention"], "full_attn_idxs": [1], "block_ff_dim": 48},
    ),
    "rwkv": ("rwkv", {**_TWO_LAYERS, "attention_hidden_size": 32, "context_length": 128}),
}


def build(name: str, vocabulary: int = 97, **changes):
    """Return a float32 model with weights that depend on nothing but the architecture."""
    kind, arguments = (TREE | OTHERS).get(name) or (name, _TWO_LAYERS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = AutoConfig.for_model(kind, **{**arguments, "vocab_size": vocabulary, **changes})
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        if name not in _INITIALISED:
            for weight in model.parameters():
                if weight.ndim >= 2:
                    weight.data.normal_(0, 0.25)
    return model


_INITIALISED = frozenset({"llama", "qwen2", "qwen3", "opt", "gpt2", "mistral", "bloom"})
