"""trl loads what is exported, by the formats that it documents, and takes one training step on each."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from kedro_datasets.pandas import JSONDataset

from ilf_kedro.pipelines.export.nodes import (
    export_chat,
    export_preferences,
    export_privileged,
    export_reward_pairs,
    export_supervised,
)
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import Selections, Targets
from tests.support.example_tables import comparisons, examples

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
COMMON = {
    "max_steps": 1,
    "per_device_train_batch_size": 2,
    "learning_rate": 1e-2,
    "use_cpu": True,
    "report_to": "none",
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
    "bf16": False,
}


def prompt(name: str) -> PromptTemplate:
    return PromptTemplate.model_validate(yaml.safe_load((ROOT / f"conf/base/prompts/{name}.yml").read_text("utf-8")))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every kind of file, saved as the catalog saves it."""
    table = examples(4)
    targets = Targets.validate(table.rename(columns={"reference": "target"})[["example_id", "title", "post", "target"]])
    chosen = [
        (i, "refinement_with_feedback", "random", 0, 0.5, f"A better output of {i}.") for i in table["example_id"]
    ]
    selections = Selections.from_rows(chosen)
    compared = comparisons([("Good and short.", "Bad.", "a")] * len(table), **table[["example_id", "title", "post"]])
    output = prompt("policy")
    explicit, implicit = export_reward_pairs(compared, output)
    records = {
        "supervised": export_supervised(targets, output),
        "preferences": export_preferences(table, selections, output, SelectionOptions(target_scorer="random")),
        "reward_pairs": explicit,
        "reward_pairs_implicit": implicit,
        "privileged_feedback": export_privileged(table, output, prompt("privileged_context")),
    }
    folder = tmp_path_factory.mktemp("exports")
    save_args = {"lines": True, "orient": "records", "force_ascii": False}
    for name, records_of_kind in records.items():
        JSONDataset(filepath=str(folder / f"{name}.jsonl"), save_args=save_args).save(records_of_kind)
    (folder / "chat.jsonl").write_text(export_chat(targets, output), encoding="utf-8", newline="")
    return {file.stem: file for file in folder.glob("*.jsonl")}


def loaded(file: Path, tmp_path: Path):
    """The file as `datasets` reads it: record by record what JSON says."""
    from datasets import load_dataset

    read = load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert read.to_list() == lines
    return read


def parameters(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([weights.detach().flatten() for weights in model.parameters()]).clone()


def language_model(directory: Path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)


def tokenizer(directory: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory)


def step(trainer) -> list[dict[str, float]]:
    """Take one step; the weights must move, and the loss be a number."""
    before = parameters(trainer.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train()
    assert not torch.equal(before, parameters(trainer.model))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 1
    assert losses[0] > 0
    return trainer.state.log_history


@pytest.mark.parametrize("kind", ["supervised", "chat"])
def test_sft_learns_from_completions_and_conversations(kind, files, tmp_path, tiny_model_directory) -> None:
    from trl import SFTConfig, SFTTrainer

    data = loaded(files[kind], tmp_path)
    config = SFTConfig(output_dir=str(tmp_path), max_length=256, **COMMON)
    trainer = SFTTrainer(
        language_model(tiny_model_directory),
        config,
        train_dataset=data,
        processing_class=tokenizer(tiny_model_directory),
    )
    if kind == "supervised":  # the loss is on the completion and the end alone
        batch = next(iter(trainer.get_train_dataloader()))
        learned = trainer.processing_class.decode(batch["labels"][0][batch["labels"][0] != -100])
        assert learned.startswith(" human ")
    step(trainer)


def test_dpo_prefers_the_refinement(files, tmp_path, tiny_model_directory) -> None:
    from trl import DPOConfig, DPOTrainer

    config = DPOConfig(output_dir=str(tmp_path), max_length=256, **COMMON)
    trainer = DPOTrainer(
        language_model(tiny_model_directory),
        args=config,
        train_dataset=loaded(files["preferences"], tmp_path),
        processing_class=tokenizer(tiny_model_directory),
    )
    step(trainer)


@pytest.mark.parametrize("kind", ["reward_pairs", "reward_pairs_implicit"])
def test_reward_trainer_learns_from_comparisons(kind, files, tmp_path, tiny_model_directory) -> None:
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    model = AutoModelForSequenceClassification.from_pretrained(tiny_model_directory, num_labels=1, dtype=torch.float32)
    trainer = RewardTrainer(
        model,
        RewardConfig(output_dir=str(tmp_path), max_length=256, **COMMON),
        train_dataset=loaded(files[kind], tmp_path),
        processing_class=tokenizer(tiny_model_directory),
    )
    step(trainer)


def test_self_distillation_learns_from_a_teacher_who_read_the_feedback(files, tmp_path, tiny_model_directory) -> None:
    """trl's SDFT is experimental: its columns are `prompt` and `privileged_context`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.experimental.sdft import SDFTConfig, SDFTTrainer

    data = loaded(files["privileged_feedback"], tmp_path)
    config = SDFTConfig(output_dir=str(tmp_path), max_completion_length=8, num_generations=2, **COMMON)
    composed = config.teacher_prompt_template.format(**{k: data[0][k] for k in ("prompt", "privileged_context")})
    assert composed == data[0]["teacher_prompt"]  # ours spells out what trl puts together
    trainer = SDFTTrainer(
        language_model(tiny_model_directory),
        config,
        train_dataset=data,
        processing_class=tokenizer(tiny_model_directory),
    )
    step(trainer)
