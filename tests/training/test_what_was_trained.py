"""What is sampled and scored is what was trained: after saving, loading and merging, for every method and head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.checkpoints.manifest import MARKER
from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.language_models.local.choosing import UnsupportedModelError
from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source
from ilf_kedro.prompting import Prompt
from ilf_kedro.reward_models.classification import ScalarModel
from ilf_kedro.schemas import UserError
from ilf_kedro.training import fitting
from ilf_kedro.training.examples import PreferencePair, TrainingExample
from ilf_kedro.training.options import LoraOptions, TrainingOptions
from ilf_kedro.training.preferences import train_on_preferences
from ilf_kedro.training.supervised import train_language_model, training_hash
from ilf_kedro.training.trainer import WeightedLossTrainer
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.support import naive
from tests.support.architectures import build

EXAMPLES = [TrainingExample(Prompt("They said things. " * (i + 1) + "TL;DR:", f"e{i}"), f" Say {i}.") for i in range(4)]
PAIRS = [PreferencePair(Prompt(f"Text {i} is good.", f"e{i}"), Prompt(f"Bad text {i}", f"e{i}")) for i in range(4)]


def options(**changes: Any) -> TrainingOptions:
    settings: dict[str, Any] = {"dtype": "float32", "batch_size": 4, "learning_rate": 3e-2, "epochs": 4}
    return TrainingOptions(**(settings | {"lora": LoraOptions(rank=4)} | changes))


@pytest.fixture
def source(tiny_model_directory: Path, tmp_path: Path):
    """Return a function that saves a tiny model of an architecture with the tiny model's tokenizer."""

    def save(name: str, **changes: Any) -> ModelSource:
        directory = tmp_path / name
        build(name, 49152, **changes).save_pretrained(directory)
        AutoTokenizer.from_pretrained(tiny_model_directory).save_pretrained(directory)
        return load_model_source(name, directory, dtype=changes.get("dtype", "float32"))

    return save


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the models as training leaves them, before they are saved."""
    models: list[Any] = []
    save = fitting.save_model

    def keep(model: Any, *others: Any) -> None:
        models.append(model.eval())
        save(model, *others)

    monkeypatch.setattr(fitting, "save_model", keep)
    return models


def label_losses(model: Any, network: Any) -> list[float]:
    """Return the labels' log-probabilities by plain forward passes of a model in training."""
    return [
        sum(naive.token_log_probabilities(network, joint.tokens, joint.start))
        for joint in (model.formatter.continuation(each.prompt, each.completion)[1] for each in EXAMPLES)
    ]


CASES = [
    ("mamba", "lora", "float32", {}),
    ("qwen2", "lora", "float32", {"tie_word_embeddings": True}),
    ("qwen2", "full", "float32", {"tie_word_embeddings": True}),
]
SLOW_CASES = [
    *((name, "lora", "float32", {}) for name in ("granite", "cohere", "gemma2", "lfm2", "mixtral")),
    *((name, "lora", "float32", {}) for name in ("gpt2", "phi3_longrope")),
    *(("qwen2", method, "bfloat16", {}) for method in ("lora", "full")),
    ("lfm2", "full", "float32", {}),
]


@pytest.mark.parametrize(
    ("name", "method", "dtype", "changes"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW_CASES)],
    ids=lambda each: str(each) if each else "-",
)
def test_the_labels_are_as_likely_as_when_training_ended(name, method, dtype, changes, source, trained, workspace):
    base = source(name, **changes)
    chosen = options(method=method, dtype=dtype, learning_rate=3e-2 if method == "lora" else 1e-3)
    checkpoint = train_language_model(base, EXAMPLES, chosen, seed=0, workspace=workspace, label="arm")
    model = LocalLanguageModel(ModelSource(name, base.directory, base.revision, dtype=dtype))
    answers = model.with_checkpoint(checkpoint).log_likelihood(
        [each.prompt for each in EXAMPLES], [each.completion for each in EXAMPLES]
    )
    found = [sum(answer.log_probabilities) for answer in answers]
    np.testing.assert_allclose(found, label_losses(model, trained[0]), **_allowed(dtype))
    assert checkpoint.record.final_loss < checkpoint.record.log[0]["loss"]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_scalar_head_scores_as_when_training_ended(method, source, trained, workspace):
    base = source("qwen2")
    checkpoint = train_on_preferences(base, PAIRS, options(method=method), seed=0, workspace=workspace, label="arm")
    model = LocalLanguageModel(base).with_checkpoint(checkpoint)
    prompts = [prompt for pair in PAIRS for prompt in (pair.preferred, pair.other)]
    network = getattr(trained[0], "base_model", trained[0])
    network = getattr(network, "model", network) if method == "lora" else trained[0]
    head = network.score.modules_to_save["default"] if method == "lora" else network.score
    with torch.inference_mode():
        expected = [
            float(head(network.model(input_ids=torch.tensor([tokens])).last_hidden_state[0, -1]))
            for tokens in (model.formatter.prompt(prompt, 0).tokens for prompt in prompts)
        ]
    np.testing.assert_allclose(ScalarModel(model).scores(prompts), expected, atol=1e-4)


def _allowed(dtype: str) -> dict[str, float]:
    return {"atol": 1e-4, "rtol": 1e-5} if dtype == "float32" else {"atol": 0.3, "rtol": 0.02}


@pytest.mark.parametrize("name", ["gpt2", "opt", "phi3_longrope"])
def test_the_micro_batch_changes_no_training(name, source, tmp_path):
    """Dropout of the configuration is switched off, and a text's length alone chooses its frequencies."""
    base = source(name)
    losses = []
    for micro in (1, 4):
        chosen = options(micro_batch_size=micro, epochs=2, max_tokens=64)
        workspace = TrainingWorkspace(tmp_path / str(micro))
        checkpoint = train_language_model(base, EXAMPLES, chosen, seed=0, workspace=workspace, label="arm")
        losses.append([row["loss"] for row in checkpoint.record.log])
    np.testing.assert_allclose(*losses, rtol=1e-5)


LAGUNA = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8}
LAGUNA |= {"shared_expert_intermediate_size": 16, "num_attention_heads_per_layer": None}


@pytest.mark.parametrize(
    ("name", "method", "changes"),
    [
        pytest.param("laguna", "lora", LAGUNA, id="laguna-lora"),
        pytest.param("mixtral", "full", {}, id="mixtral-full"),
    ],
)
def test_an_interrupted_training_goes_on_with_all_its_weights(name, method, changes, source, tmp_path, monkeypatch):
    """Libraries rename weights on their way to and from a disk, and pass in silence over names that fit nowhere."""
    base = source(name, **changes)
    compute = WeightedLossTrainer.compute_loss
    chosen = options(method=method, save_steps=2, learning_rate=3e-2 if method == "lora" else 1e-3)

    def interrupted(self, *arguments, **named):
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return compute(self, *arguments, **named)

    def losses(place: str) -> list[float]:
        workspace = TrainingWorkspace(tmp_path / place)
        checkpoint = train_language_model(base, EXAMPLES, chosen, seed=0, workspace=workspace, label="arm")
        return [row["loss"] for row in checkpoint.record.log]

    with monkeypatch.context() as patched:
        patched.setattr(WeightedLossTrainer, "compute_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            losses("interrupted")
    np.testing.assert_allclose(losses("interrupted"), losses("undisturbed"), rtol=1e-6)


def test_dropout_of_adapters_makes_the_micro_batch_count(base: ModelSource):
    def hashes(dropout: float) -> set[str]:
        chosen = [options(lora=LoraOptions(dropout=dropout), micro_batch_size=n) for n in (1, 4)]
        return {training_hash(base, EXAMPLES, each, dtype="float32", seed=0) for each in chosen}

    assert len(hashes(0.0)) == 1
    assert len(hashes(0.1)) == 2


@pytest.mark.parametrize("module", ["lm_head", "embed_tokens"])
def test_adapters_on_tied_weights_are_refused_before_anything_is_trained(module, source, workspace, tmp_path):
    chosen = options(lora=LoraOptions(rank=2, target_modules=("q_proj", module)))
    with pytest.raises(UserError, match=rf"adapter on {module} would change .* Leave it out of"):
        train_language_model(
            source("qwen2", tie_word_embeddings=True), EXAMPLES, chosen, seed=0, workspace=workspace, label="arm"
        )


def test_a_model_that_is_not_causal_is_refused_before_anything_is_trained(source, workspace):
    with pytest.raises(UnsupportedModelError, match="no causal language model"):
        train_language_model(source("bert"), EXAMPLES, options(), seed=0, workspace=workspace, label="arm")


def test_a_damaged_or_foreign_adapter_is_refused_by_name(source, workspace):
    base = source("qwen2")
    checkpoint = train_language_model(base, EXAMPLES, options(), seed=0, workspace=workspace, label="arm")
    file = checkpoint.directory / "adapter_model.safetensors"
    model = LocalLanguageModel(base).with_checkpoint(checkpoint)

    def refusal() -> str:
        with pytest.raises(ModelDirectoryError) as caught:
            model.log_likelihood([Prompt("x", "e")], [" y"])
        return str(caught.value)

    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    assert "adapter_model.safetensors: expected SHA-256" in refusal()
    assert workspace.find(checkpoint.record.content_hash) is None, "a damaged training is not used again"
    (checkpoint.directory / MARKER).unlink()  # from here on as a checkpoint that was copied without it
    file.write_bytes(whole)
    weights = load_file(file)
    name = next(name for name in weights if "q_proj.lora_A" in name)
    save_file({each: value for each, value in weights.items() if each != name}, file)
    assert refusal().startswith(f"{file} is no adapter of Qwen2ForCausalLM: it lacks {name}; load it on")
    save_file({**weights, "what.lora_A.weight": torch.ones(2)}, file)
    assert "it has what.lora_A.weight, which is not known there" in refusal()
    save_file({**weights, name: weights[name][:, :3].contiguous()}, file)
    assert f"it has {name} in the shape [4, 3], expected [4, 32]" in refusal()
    save_file({name: value * float("nan") for name, value in weights.items()}, file)
    assert "no numbers (NaN)" in refusal()
    file.write_bytes(b"")
    assert "is no whole safetensors file" in refusal()
    config = json.loads((checkpoint.directory / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA"
