"""Two adapters as one, and a finetuned model as a base: the same logits as applying both in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.local.adapters import base_with_checkpoint, join_adapters
from tests.support.training_records import training_record

TOKENS = torch.tensor([[5, 9, 200, 31, 7, 7, 1000]])


def load(directory: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(str(directory), dtype=torch.float32, local_files_only=True)


def write_adapter(base: Path, folder: Path, seed: int, **config: Any) -> Path:
    """An adapter of random weights, both matrices large enough to matter."""
    torch.manual_seed(seed)
    settings = {"task_type": "CAUSAL_LM", "target_modules": "all-linear", **config}
    model = get_peft_model(load(base), LoraConfig(**settings))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(str(folder))
    return folder


@torch.inference_mode()
def logits(model: Any) -> torch.Tensor:
    return model.eval()(TOKENS).logits


def test_two_adapters_joined_do_what_they_do_in_turn(tiny_model_directory: Path, tmp_path: Path) -> None:
    first = write_adapter(tiny_model_directory, tmp_path / "1", 1, r=4, lora_alpha=12)
    second = write_adapter(tiny_model_directory, tmp_path / "2", 2, r=2, lora_alpha=3, target_modules=["q_proj"])
    join_adapters(first, second, tmp_path / "joined")
    base = logits(load(tiny_model_directory))
    merged = PeftModel.from_pretrained(load(tiny_model_directory), str(first)).merge_and_unload()
    alone = logits(merged)
    in_turn = logits(PeftModel.from_pretrained(merged, str(second)).merge_and_unload())
    joined = logits(PeftModel.from_pretrained(load(tiny_model_directory), str(tmp_path / "joined")))
    assert (base - in_turn).abs().max() > 0.01
    assert (alone - in_turn).abs().max() > 0.001
    torch.testing.assert_close(joined, in_turn, rtol=0, atol=1e-4)


def test_what_is_no_plain_adapter_is_refused(tiny_model_directory: Path, tmp_path: Path) -> None:
    first = write_adapter(tiny_model_directory, tmp_path / "1", 1, r=2)
    dora = write_adapter(tiny_model_directory, tmp_path / "2", 2, r=2, use_dora=True)
    with pytest.raises(ValueError, match="no plain LoRA adapter"):
        join_adapters(first, dora, tmp_path / "joined")


def test_a_finetuned_model_becomes_a_base_and_its_folder_goes_again(tiny_model_directory: Path, tmp_path: Path) -> None:
    source = ModelSource("tiny", tiny_model_directory, "tiny-revision", "chat", "float32")
    adapter = write_adapter(tiny_model_directory, tmp_path / "1", 1, r=4)
    expected = logits(PeftModel.from_pretrained(load(tiny_model_directory), str(adapter)))
    finetuned = Checkpoint(adapter, training_record(content_hash="first"))
    with base_with_checkpoint(source, finetuned, tmp_path / "scratch") as base:
        torch.testing.assert_close(logits(load(base.directory)), expected, rtol=0, atol=1e-5)
        assert (base.revision, base.format, base.dtype) == ("first", "chat", "float32")
        assert (base.directory / "tokenizer_config.json").is_file()
    assert list((tmp_path / "scratch").iterdir()) == []
    whole = Checkpoint(tmp_path / "whole", training_record(kind="full"))
    with base_with_checkpoint(source, whole, tmp_path / "scratch") as base:
        assert base.directory == whole.directory
