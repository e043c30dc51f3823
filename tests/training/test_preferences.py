"""The loss of reward models with a scalar head, against a computation one forward pass at a time."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.prompting import Prompt
from ilf_kedro.training.encoding import EncodedPair
from ilf_kedro.training.errors import ExampleError
from ilf_kedro.training.examples import PreferencePair
from ilf_kedro.training.fitting import fit_language_model, load_trainable
from ilf_kedro.training.options import LoraOptions, TrainingOptions
from ilf_kedro.training.preference_trainer import PreferenceTrainer, collate_pairs, scores_at
from ilf_kedro.training.preferences import train_on_preferences
from ilf_kedro.training.workspace import TrainingWorkspace


def encoded_pairs(n: int = 7) -> list[EncodedPair]:
    """Random tokens of different lengths; token 2, which pads, stands among them and at the end of some."""
    random = np.random.default_rng(4)
    rows = [random.integers(5, 49_000, random.integers(4, 30)).astype(np.int32) for _ in range(2 * n)]
    for row in rows[::3]:
        row[-1] = 2
    return [EncodedPair(*pair, truncated=False) for pair in zip(rows[::2], rows[1::2], strict=True)]


class LoudTrainer(PreferenceTrainer):
    """Begins with a head whose scores differ widely, so that the first loss is not that of a coin."""

    @staticmethod
    def load(directory: Path, dtype: torch.dtype) -> Any:
        model = PreferenceTrainer.load(directory, dtype)
        with torch.no_grad():
            model.score.weight *= 60
        return model


def options(**changes: Any) -> TrainingOptions:
    settings: dict[str, Any] = {"dtype": "float32", "learning_rate": 1e-2, "batch_size": 7, "micro_batch_size": 7}
    return TrainingOptions(**(settings | changes))


def fit(
    base: ModelSource,
    pairs: list[EncodedPair],
    directory: Path,
    trainer_class: type[PreferenceTrainer] = PreferenceTrainer,
    **changes: Any,
) -> Any:
    return fit_language_model(
        base,
        pairs,
        options(**changes),
        dtype="float32",
        seed=5,
        state_directory=directory,
        label="test",
        trainer_class=trainer_class,
    )


def brute_force_loss(model: Any, pairs: list[EncodedPair]) -> float:
    """The mean of −log σ(r_preferred − r_other), each text alone through the body, its last state times the head."""
    losses = []
    with torch.no_grad():
        for pair in pairs:
            scores = []
            for tokens in (pair.preferred, pair.other):
                states = model.model(input_ids=torch.tensor(tokens)[None].long()).last_hidden_state
                scores.append(float(states[0, -1].double() @ model.score.weight[0].double()))
            losses.append(math.log1p(math.exp(-(scores[0] - scores[1]))))
    return sum(losses) / len(losses)


def trainable(base: ModelSource, method: str = "full", seed: int = 5) -> Any:
    torch.manual_seed(seed)
    return load_trainable(base, options(method=method), "float32", LoudTrainer)


@pytest.mark.parametrize("micro_batch_size", [7, 3, 1])
def test_the_loss_is_the_mean_over_the_whole_batch(base: ModelSource, tmp_path: Path, micro_batch_size: int) -> None:
    pairs = encoded_pairs()
    with torch.random.fork_rng():
        expected = brute_force_loss(trainable(base), pairs)
    assert abs(expected - math.log(2)) > 0.05  # a head that says nothing would pass any test
    fitted = fit(base, pairs, tmp_path, LoudTrainer, method="full", micro_batch_size=micro_batch_size)
    assert fitted.log[0]["loss"] == pytest.approx(expected, abs=1e-6)


def test_gradient_accumulation_changes_neither_losses_nor_weights(base: ModelSource, tmp_path: Path) -> None:
    pairs = encoded_pairs(10)
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 2e-5}
    whole, parts = (fit(base, pairs, tmp_path / str(size), micro_batch_size=size, **settings) for size in (4, 1))
    assert [row["loss"] for row in parts.log] == pytest.approx([row["loss"] for row in whole.log], abs=1e-6)
    of_parts = dict(parts.model.named_parameters())
    for name, weight in whole.model.named_parameters():
        torch.testing.assert_close(of_parts[name], weight, atol=1e-6, rtol=0)


def test_a_score_is_taken_where_each_text_ends_whatever_pads_it(base: ModelSource) -> None:
    model = trainable(base)
    pairs = encoded_pairs(4)
    model.requires_grad_(False)
    batch = collate_pairs(pairs)
    padded = batch["input_ids"].clone()
    for row, length in enumerate(batch["lengths"]):
        padded[row, length:] = model.config.pad_token_id
    for ids in (batch["input_ids"], padded):
        scores = scores_at(model, model, ids, batch["lengths"] - 1)
        for row, tokens in enumerate(each for pair in pairs for each in (pair.preferred, pair.other)):
            states = model.model(input_ids=torch.tensor(tokens)[None].long()).last_hidden_state[0, -1]
            assert float(scores[row]) == pytest.approx(float(states @ model.score.weight[0]), rel=1e-5)


def test_adapters_begin_as_the_base_model_and_the_head_is_trained_in_float32(base: ModelSource) -> None:
    model = load_trainable(base, options(), "bfloat16", PreferenceTrainer)
    trained = {name: weight.dtype for name, weight in model.named_parameters() if weight.requires_grad}
    heads = [name for name in trained if "lora_" not in name]
    assert len(heads) == 1
    assert "score" in heads[0]
    assert set(trained.values()) == {torch.float32}


def preference_pairs(n: int = 6) -> list[PreferencePair]:
    def prompt(kind: str, i: int) -> Prompt:
        text = f"Post: {'They said things. ' * (i + 1)}\nOutput: {kind} {i * 7 % 5}"
        return Prompt(text, f"e{i}", (6, 6 + 18 * (i + 1)))

    return [PreferencePair(prompt("good", i), prompt("bad", i)) for i in range(n)]


def train(base: ModelSource, workspace: TrainingWorkspace, *, n: int = 6, seed: int = 0, **changes: Any) -> Any:
    return train_on_preferences(
        base,
        preference_pairs(n),
        options(batch_size=2).model_copy(update=changes),
        seed=seed,
        workspace=workspace,
        label="rm",
    )


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_head_is_kept_with_the_weights_as_safetensors(
    base: ModelSource, workspace: TrainingWorkspace, method: str
) -> None:
    checkpoint = train(base, workspace, method=method)
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    weights = load_file(checkpoint.directory / name)
    heads = [weight for key, weight in weights.items() if "score" in key]
    assert [tuple(weight.shape) for weight in heads] == [(1, 32)]
    assert not list(checkpoint.directory.glob("*.bin"))


def test_a_whole_model_is_one_that_transformers_loads_with_its_head(
    base: ModelSource, workspace: TrainingWorkspace
) -> None:
    from transformers import AutoModelForSequenceClassification

    directory = train(base, workspace, method="full").directory
    model, info = AutoModelForSequenceClassification.from_pretrained(directory, output_loading_info=True)
    assert not info["missing_keys"]
    assert model.num_labels == 1


@pytest.mark.slow
def test_a_finished_training_is_used_again_and_the_data_the_seed_and_the_loss_count(
    base: ModelSource, workspace: TrainingWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ilf_kedro")
    first = train(base, workspace)
    assert train(base, workspace, micro_batch_size=1, prompt_loss_weight=0.5) == first  # neither changes the weights
    assert "using the finished training" in caplog.text
    assert first.record.n_steps == 3
    hashes = {first.record.content_hash}
    hashes |= {
        train(base, workspace, **change).record.content_hash for change in ({"n": 4}, {"seed": 1}, {"epochs": 2})
    }
    assert len(hashes) == 4


def test_inputs_are_cut_to_fit_and_counted(base: ModelSource, workspace: TrainingWorkspace) -> None:
    assert 0 < train(base, workspace, max_tokens=32).record.n_truncated < 6


def test_a_output_that_does_not_fit_is_named(base: ModelSource, workspace: TrainingWorkspace) -> None:
    pairs = [PreferencePair(Prompt("word " * 50, "long"), Prompt("short", "long"))]
    with pytest.raises(ExampleError, match="an output of example 'long' does not fit max_tokens = 20"):
        train_on_preferences(base, pairs, options(max_tokens=20), seed=0, workspace=workspace, label="rm")


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.slow
def test_a_training_goes_on_where_it_was_interrupted(
    base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """It ends with the weights of an undisturbed one, head and dropout's random state included."""
    settings: dict[str, Any] = {
        "method": method,
        "epochs": 2,
        "save_steps": 2,
        "lora": LoraOptions(dropout=0.1, rank=4),
    }
    undisturbed = train(base, TrainingWorkspace(tmp_path / "undisturbed"), **settings)
    workspace = TrainingWorkspace(tmp_path / "interrupted")
    compute = PreferenceTrainer.compute_loss

    class KilledError(BaseException):
        pass

    def interrupted(self: PreferenceTrainer, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 3:
            raise KilledError
        return compute(self, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(PreferenceTrainer, "compute_loss", interrupted)
        with pytest.raises(KilledError):
            train(base, workspace, **settings)
    resumed = train(base, workspace, **settings)
    assert [row["loss"] for row in resumed.record.log] == pytest.approx(
        [row["loss"] for row in undisturbed.record.log], abs=1e-6
    )
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    expected, weights = load_file(undisturbed.directory / name), load_file(resumed.directory / name)
    for key in expected:
        torch.testing.assert_close(weights[key], expected[key], atol=1e-6, rtol=0)
