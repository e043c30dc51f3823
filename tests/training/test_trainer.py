from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.training.encoding import EncodedExample
from ilf_kedro.training.errors import DivergedError
from ilf_kedro.training.fitting import fit_language_model, last_state, load_trainable
from ilf_kedro.training.options import LoraOptions, TrainingOptions
from ilf_kedro.training.trainer import collate, logits_at, rate_factor

N_WORDS = 16  # so few that a loss is about 3, which float32 writes to 2e-7; at 49,152 it is 11 and no better than 1e-6


@pytest.fixture(scope="module")
def few_words(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """A model whose losses float32 can tell from wrong ones to 1e-6, and whose tokens' losses differ widely."""
    config = LlamaConfig(
        vocab_size=N_WORDS,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    directory = tmp_path_factory.mktemp("few_words")
    model.save_pretrained(directory)
    return ModelSource("few-words", directory, revision="few-words")


def encoded_examples(n: int = 7, prompt_loss_weight: float = 0.1, n_words: int = 49_000) -> list[EncodedExample]:
    """Random tokens of different lengths, the label a different share of each."""
    random = np.random.default_rng(3)
    examples = []
    for _ in range(n):
        length = int(random.integers(6, 30))
        ids = random.integers(5, n_words, length).astype(np.int32)
        examples.append(EncodedExample(ids, int(random.integers(1, length)), prompt_loss_weight, truncated=False))
    return examples


def options(**changes: Any) -> TrainingOptions:
    settings: dict[str, Any] = {"dtype": "float32", "learning_rate": 1e-2, "batch_size": 7, "micro_batch_size": 7}
    return TrainingOptions(**(settings | changes))


def fit(base: ModelSource, examples: list[EncodedExample], directory: Path, **changes: Any) -> Any:
    return fit_language_model(
        base, examples, options(**changes), dtype="float32", seed=5, state_directory=directory, label="test"
    )


def trained_weights(fitted: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in fitted.model.named_parameters() if weight.requires_grad}


def brute_force_loss(model: Any, examples: list[EncodedExample]) -> float:
    """Σ w·ce / Σ w by one forward pass per example and a Python loop over its tokens, in float64."""
    weighted, total = 0.0, 0.0
    with torch.no_grad():
        for example in examples:
            logits = model(input_ids=torch.tensor(example.input_ids)[None].long()).logits[0].double()
            for position in range(1, len(example.input_ids)):
                weight = 1.0 if position >= example.label_start else example.prompt_loss_weight
                log_probability = torch.log_softmax(logits[position - 1], -1)[int(example.input_ids[position])]
                weighted -= weight * float(log_probability)
                total += weight
    return weighted / total


@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
def test_the_loss_is_the_weighted_mean_over_the_whole_batch(
    few_words: ModelSource, tmp_path: Path, weight: float
) -> None:
    examples = encoded_examples(prompt_loss_weight=weight, n_words=N_WORDS)
    expected = brute_force_loss(load_trainable(few_words, options(method="full"), "float32"), examples)
    whole = fit(few_words, examples, tmp_path / "whole", method="full")
    in_parts = fit(few_words, examples, tmp_path / "parts", method="full", micro_batch_size=1)
    assert whole.log[0]["loss"] == pytest.approx(expected, abs=1e-6)
    assert in_parts.log[0]["loss"] == pytest.approx(expected, abs=1e-6)


def test_at_weight_one_it_is_the_models_own_loss(few_words: ModelSource, tmp_path: Path) -> None:
    (example,) = encoded_examples(1, prompt_loss_weight=1.0, n_words=N_WORDS)
    ids = torch.tensor(example.input_ids)[None].long()
    own = load_trainable(few_words, options(method="full"), "float32")(input_ids=ids, labels=ids).loss
    assert fit(few_words, [example], tmp_path).log[0]["loss"] == pytest.approx(own.item(), abs=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_gradient_accumulation_changes_neither_losses_nor_weights(
    few_words: ModelSource, tmp_path: Path, weight: float
) -> None:
    """20 examples in batches of 8 and a rest of 4, for two epochs, computed one, four or eight at a time."""
    examples = encoded_examples(20, weight, N_WORDS)
    # A small learning rate: where a gradient is zero but for rounding, Adam makes of it a share of a whole step.
    settings = {"epochs": 2, "batch_size": 8, "learning_rate": 2e-5}
    reference = fit(few_words, examples, tmp_path / "8", micro_batch_size=8, **settings)
    for micro_batch_size in (1, 4):
        directory = tmp_path / str(micro_batch_size)
        other = fit(few_words, examples, directory, micro_batch_size=micro_batch_size, **settings)
        assert [row["loss"] for row in other.log] == pytest.approx([row["loss"] for row in reference.log], abs=1e-6)
        assert [row["gradient_norm"] for row in other.log] == pytest.approx(
            [row["gradient_norm"] for row in reference.log], rel=1e-5
        )
        for name, weights in trained_weights(reference).items():
            torch.testing.assert_close(trained_weights(other)[name], weights, atol=1e-6, rtol=0)


def test_only_weighted_positions_go_through_the_head(base: ModelSource) -> None:
    model = load_trainable(base, options(method="full"), "float32")
    rows = []
    model.lm_head.register_forward_hook(lambda _, inputs, output: rows.append(output.shape[-2]))
    for weight in (0.0, 0.1):
        examples = encoded_examples(3, prompt_loss_weight=weight)
        batch = collate(examples)
        positions = batch["loss_weights"][:, 1:] > 0
        selected = logits_at(model, model, batch["input_ids"], positions)
        whole = model(input_ids=batch["input_ids"]).logits[:, :-1][positions]
        torch.testing.assert_close(selected, whole)
        n_weighted = [len(each.input_ids) - (each.label_start if weight == 0 else 1) for each in examples]
        assert rows[-2] == sum(n_weighted)


def test_lora_starts_as_the_base_model_and_trains_nothing_else(base: ModelSource) -> None:
    plain = load_trainable(base, options(method="full"), "float32")
    adapted = load_trainable(base, options(method="lora"), "float32")
    ids = torch.arange(5, 25)[None]
    torch.testing.assert_close(adapted(input_ids=ids).logits, plain(input_ids=ids).logits, atol=0, rtol=0)
    trainable = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert trainable
    assert all("lora_" in name for name in trainable)
    assert len(trainable) == 2 * 2 * 7  # A and B of seven linear layers in two blocks


def test_only_the_named_layers_are_adapted(base: ModelSource) -> None:
    model = load_trainable(base, options(lora=LoraOptions(target_modules=("q_proj",), rank=3)), "float32")
    shapes = {name: weight.shape for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(shapes) == 4
    assert all("q_proj" in name and 3 in shape for name, shape in shapes.items())


def test_bfloat16_keeps_what_is_trained_in_float32(base: ModelSource) -> None:
    lora = load_trainable(base, options(method="lora"), "bfloat16")
    full = load_trainable(base, options(method="full"), "bfloat16")
    assert {w.dtype for w in lora.parameters() if w.requires_grad} == {torch.float32}
    assert {w.dtype for w in lora.parameters() if not w.requires_grad} == {torch.bfloat16}
    assert {w.dtype for w in full.parameters()} == {torch.float32}


def test_the_order_of_the_data_is_a_function_of_the_seed(base: ModelSource, tmp_path: Path) -> None:
    """With one example per step at no learning rate to speak of, the losses tell the order."""
    examples = encoded_examples(6)
    settings: dict[str, Any] = {"batch_size": 1, "micro_batch_size": 1, "learning_rate": 1e-12, "epochs": 2}

    def losses(seed: int, directory: str) -> list[float]:
        torch.rand(seed + len(directory))  # whatever was drawn before must not matter
        fitted = fit_language_model(
            base,
            examples,
            options(**settings),
            dtype="float32",
            seed=seed,
            state_directory=tmp_path / directory,
            label="order",
        )
        return [round(row["loss"], 4) for row in fitted.log]

    first, again, other = losses(1, "first"), losses(1, "again, later"), losses(2, "other")
    assert first == again
    assert first != other
    assert sorted(first[:6]) == sorted(first[6:]) == sorted(other[:6])
    assert first[:6] != first[6:]


def test_training_leaves_the_callers_random_state_alone(base: ModelSource, tmp_path: Path) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    fit(base, encoded_examples(2), tmp_path)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize(("n_steps", "warmup"), [(1, 0), (5, 0), (5, 2), (5, 5), (10, 1)])
def test_the_learning_rate_rises_then_falls_and_is_never_zero(n_steps: int, warmup: int) -> None:
    factors = [rate_factor(step, n_steps, warmup) for step in range(n_steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[:warmup] == [(step + 1) / (warmup + 1) for step in range(warmup)]
    assert factors[warmup:] == pytest.approx([1 - step / (n_steps - warmup) for step in range(n_steps - warmup)])


def test_the_learning_rate_is_scaled_by_the_multiplier(base: ModelSource, tmp_path: Path) -> None:
    fitted = fit(
        base, encoded_examples(4), tmp_path, learning_rate=1e-3, learning_rate_multiplier=0.05, batch_size=2, epochs=2
    )
    assert [row["learning_rate"] for row in fitted.log] == pytest.approx([5e-4, 3.75e-4, 2.5e-4, 1.25e-4])
    assert [row["epoch"] for row in fitted.log] == [0.5, 1.0, 1.5, 2.0]


def test_a_loss_that_is_no_number_stops_the_training(base: ModelSource, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"optimiser step \d+ of 40, expected a finite number; lower learning_rate"):
        fit(base, encoded_examples(4), tmp_path, method="full", learning_rate=1e38, epochs=40)


def test_a_mid_run_checkpoint_that_was_cut_off_is_not_resumed_from(tmp_path: Path) -> None:
    assert last_state(tmp_path) is None
    for step, state in ((2, '{"global_step": 2}'), (10, '{"global_step": 10}'), (12, '{"global_step": 1'), (14, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_state(tmp_path) == tmp_path / "checkpoint-10"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-2"]


def test_padding_weighs_nothing() -> None:
    batch = collate(encoded_examples(5))
    lengths = torch.tensor([len(example.input_ids) for example in encoded_examples(5)])
    assert batch["input_ids"].shape == batch["loss_weights"].shape == (5, int(lengths.max()))
    padding = torch.arange(int(lengths.max()))[None] >= lengths[:, None]
    assert math.isclose(float(batch["loss_weights"][padding].sum()), 0)
    assert bool((batch["loss_weights"][~padding] > 0).all())
