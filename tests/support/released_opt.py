"""A tiny OPT of random weights in the files that the released reward models have."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import OPTConfig, OPTForCausalLM

TEXT = "Title: a cat Text: she left TL;DR: gone Question: Is the above an excellent summary? Answer: Yes No"
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]  # </s> has the id 2, as in OPT


def write_released(directory: Path, *, add_bos_token: bool = True) -> Path:
    """Write vocab.json, merges.txt, tokenizer_config.json, config.json and pytorch_model.bin."""
    directory.mkdir(parents=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=380, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT] * 20, trainer)
    tokenizer.model.save(str(directory))
    names = {"unk_token": "</s>", "bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>"}
    settings = {**names, "add_bos_token": add_bos_token, "add_prefix_space": False, "tokenizer_class": "GPT2Tokenizer"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    config = OPTConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=16,
        init_std=0.25,
        max_position_embeddings=600,
        architectures=["OPTForCausalLM"],
    )
    config.save_pretrained(directory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        torch.save(OPTForCausalLM(config).state_dict(), directory / "pytorch_model.bin")
    return directory
