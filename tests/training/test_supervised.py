from __future__ import annotations

import gc
import json
import logging
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ilf_kedro.language_models.checkpoints.checkpoint import RECORD_FILE, Checkpoint, ModelSource
from ilf_kedro.language_models.local.resident import LOADED_MODEL
from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.training import supervised
from ilf_kedro.training.errors import ExampleError
from ilf_kedro.training.examples import TrainingExample
from ilf_kedro.training.options import LoraOptions, TrainingOptions
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace

TEMPLATE = PromptTemplate(text="Post {{ title }}: {{ post }}\nTL;DR:", truncate="post")


def training_examples(n: int = 8) -> list[TrainingExample]:
    return [
        TrainingExample(
            TEMPLATE.render(f"e{i}", title=str(i), post="They said things. " * (i + 1)), f" Output {i * 7 % 5}."
        )
        for i in range(n)
    ]


def options(**changes: Any) -> TrainingOptions:
    settings: dict[str, Any] = {"dtype": "float32", "batch_size": 4, "learning_rate": 1e-3}
    return TrainingOptions(**(settings | changes))


def train(base: ModelSource, workspace: TrainingWorkspace, *, n: int = 8, seed: int = 0, **changes: Any) -> Checkpoint:
    return train_language_model(
        base, training_examples(n), options(**changes), seed=seed, workspace=workspace, label="arm"
    )


def steps_run(caplog: pytest.LogCaptureFixture) -> int:
    """The optimiser steps that the log counts; the log is emptied."""
    steps = sum(int(count) for count in re.findall(r"ran (\d+) optimiser steps", caplog.text))
    caplog.clear()
    return steps


@pytest.fixture(autouse=True)
def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ilf_kedro")


def test_a_lora_checkpoint_is_an_adapter_with_its_record(base: ModelSource, workspace: TrainingWorkspace) -> None:
    checkpoint = train(base, workspace, n=10, epochs=2)
    assert sorted(path.name for path in checkpoint.directory.iterdir()) == [
        "_COMPLETE",
        "adapter_config.json",
        "adapter_model.safetensors",
        RECORD_FILE,
    ]
    record = checkpoint.record
    assert record.model_dump(include={"kind", "base_model", "base_revision", "n_examples", "n_truncated", "dtype"}) == {
        "kind": "lora",
        "base_model": "tiny-random-llama",
        "base_revision": "tiny-revision",
        "n_examples": 10,
        "n_truncated": 0,
        "dtype": "float32",
    }
    assert [row["step"] for row in record.log] == [1, 2, 3, 4, 5, 6]
    assert record.n_steps == 6
    assert record.final_loss == record.log[-1]["loss"]
    assert set(record.log[0]) == {"step", "epoch", "loss", "learning_rate", "gradient_norm"}
    config = (checkpoint.directory / "adapter_config.json").read_text()
    assert str(base.directory) not in config
    weights = load_file(checkpoint.directory / "adapter_model.safetensors")
    adapted = {name.removeprefix("base_model.model.").split(".lora_")[0] for name in weights}
    assert json.loads(config)["target_modules"] == sorted(adapted)  # in the same order whatever the process


def test_the_trained_weights_are_what_the_checkpoint_holds(base: ModelSource, workspace: TrainingWorkspace) -> None:
    """The log-likelihood of the labels rises, read back through the local language model, for both kinds."""
    from ilf_kedro.language_models.local.model import LocalLanguageModel

    examples = training_examples(4)
    model = LocalLanguageModel(ModelSource(base.name, base.directory, base.revision, dtype="float32"))

    def likelihood(of: LocalLanguageModel) -> float:
        answers = of.log_likelihood([e.prompt for e in examples], [e.completion for e in examples])
        return sum(sum(answer.log_probabilities) for answer in answers)

    before = likelihood(model)
    n_tokens = sum(model.count_tokens([example.completion for example in examples]))
    # Its head is tied to tiny embeddings, so that adapters alone cannot raise a likelihood far.
    for method, rate, gain in (("lora", 5e-2, 0.1), ("full", 1e-2, 1.0)):
        checkpoint = train_language_model(
            model.source,
            examples,
            options(method=method, learning_rate=rate, epochs=15),
            seed=0,
            workspace=workspace,
            label=method,
        )
        assert LOADED_MODEL._held is None
        assert (likelihood(model.with_checkpoint(checkpoint)) - before) / n_tokens > gain
        # The first loss is that of the base model, but for the end tokens that it has and the likelihood lacks.
        assert checkpoint.record.log[0]["loss"] == pytest.approx(-before / n_tokens, rel=0.05)


def test_a_whole_model_is_saved_with_tokenizer_and_ready_to_sample(
    base: ModelSource, workspace: TrainingWorkspace
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    checkpoint = train(base, workspace, method="full")
    model = AutoModelForCausalLM.from_pretrained(checkpoint.directory)
    assert model.config.use_cache
    assert model.dtype == torch.float32
    before = load_file(base.directory / "model.safetensors")
    after = load_file(checkpoint.directory / "model.safetensors")
    assert set(after) == set(before)
    assert all(not torch.equal(after[name], before[name]) for name in before if "norm" not in name)
    assert AutoTokenizer.from_pretrained(checkpoint.directory).chat_template


def test_a_finished_training_is_used_again(
    base: ModelSource, workspace: TrainingWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(base, workspace)
    assert steps_run(caplog) == 2
    again = train(ModelSource("x", Path("/nowhere"), base.revision), workspace)
    assert f"using the finished training {first.record.content_hash[:12]}" in caplog.text
    assert steps_run(caplog) == 0
    assert again == first


@pytest.mark.parametrize("change", [{"micro_batch_size": 1}, {"save_steps": 1}])
def test_what_only_divides_the_work_makes_no_new_training(
    base: ModelSource, workspace: TrainingWorkspace, caplog: pytest.LogCaptureFixture, change: dict[str, Any]
) -> None:
    train(base, workspace)
    steps_run(caplog)
    train(base, workspace, **change)
    assert steps_run(caplog) == 0


def test_whatever_changes_the_weights_changes_the_hash(base: ModelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = training_examples(2)

    def content_hash(*, of: ModelSource = base, data: Any = examples, seed: int = 0, **changes: Any) -> str:
        return supervised.training_hash(of, data, options(**changes), dtype=changes.get("dtype", "float32"), seed=seed)

    other_end = [examples[0], TrainingExample(examples[1].prompt, examples[1].completion, ends=False)]
    other_cut = [examples[0], TrainingExample(Prompt(examples[1].prompt.text, "e1"), examples[1].completion)]
    hashes = [
        content_hash(),
        content_hash(of=ModelSource("tiny", base.directory, "other-revision")),
        content_hash(of=ModelSource("tiny", base.directory, base.revision, format="chat")),
        content_hash(data=examples[::-1]),
        content_hash(data=examples[:1]),
        content_hash(data=other_end),
        content_hash(data=other_cut),
        content_hash(seed=1),
        content_hash(dtype="bfloat16"),
        content_hash(method="full"),
        content_hash(epochs=2),
        content_hash(batch_size=2),
        content_hash(learning_rate=2e-3),
        content_hash(learning_rate_multiplier=0.2),
        content_hash(warmup_fraction=0.5),
        content_hash(weight_decay=0.1),
        content_hash(max_gradient_norm=0.5),
        content_hash(prompt_loss_weight=0.1),
        content_hash(max_tokens=100),
        content_hash(lora=LoraOptions(rank=2)),
    ]
    monkeypatch.setattr(supervised, "LOSS_VERSION", "another")
    hashes.append(content_hash())
    assert len(set(hashes)) == len(hashes)
    assert content_hash() == content_hash(retrain=True)
    assert content_hash(method="full") == content_hash(method="full", lora=LoraOptions(rank=2))


@pytest.mark.slow
def test_retrain_forces_a_finished_training_anew(
    base: ModelSource, workspace: TrainingWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(base, workspace)
    steps_run(caplog)
    marker = first.directory / "of-the-first"
    marker.touch()
    second = train(base, workspace, retrain=True)
    assert steps_run(caplog) == 2
    assert second.record.content_hash == first.record.content_hash
    assert not marker.exists()


def test_trainings_of_two_threads_are_those_of_one_after_another(base: ModelSource, tmp_path: Path) -> None:
    """Kedro's ThreadRunner has several nodes at work, and torch one random state for all of them."""

    def both(name: str, n_threads: int) -> list[tuple[dict[str, float], ...]]:
        workspace = TrainingWorkspace(tmp_path / name)
        with ThreadPoolExecutor(n_threads) as threads:
            trained = threads.map(lambda seed: train(base, workspace, n=4, epochs=3, seed=seed), (1, 2))
            return [checkpoint.record.log for checkpoint in trained]

    assert both("together", 2) == both("in turn", 1)


def test_it_learns_a_batch_by_heart(base: ModelSource, workspace: TrainingWorkspace) -> None:
    log = train(base, workspace, n=4, epochs=40, method="full", learning_rate=3e-2).record.log
    assert log[0]["loss"] > 10  # random weights: the vocabulary's entropy, ln 49152 = 10.8
    assert log[-1]["loss"] < 1


def test_inputs_that_were_cut_are_counted_and_logged(
    base: ModelSource, workspace: TrainingWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    record = train(base, workspace, max_tokens=32).record
    assert 0 < record.n_truncated < 8
    assert f"the input of {record.n_truncated} of 8 examples was truncated to fit max_tokens = 32" in caplog.text


def test_no_examples_are_refused_before_anything_is_loaded(workspace: TrainingWorkspace) -> None:
    with pytest.raises(ExampleError, match="arm: found no examples"):
        train(ModelSource("x", Path("/nowhere"), "r"), workspace, n=0)


def test_the_memory_of_the_model_is_given_back(base: ModelSource, workspace: TrainingWorkspace) -> None:
    from transformers import PreTrainedModel

    def models() -> int:
        gc.collect()
        return sum(issubclass(type(each), PreTrainedModel) for each in gc.get_objects())

    before = models()
    train(base, workspace)
    train(base, workspace, method="full")
    assert models() == before


def test_the_progress_is_one_line_where_it_is_piped(
    base: ModelSource, workspace: TrainingWorkspace, capfd: pytest.CaptureFixture[str]
) -> None:
    train(base, workspace)
    shown = capfd.readouterr()
    assert len([line for line in shown.out.splitlines() if "100%" in line]) == 1
    assert "\r" not in shown.out
    assert "Loading weights" not in shown.err
    assert "arm" in shown.out


_SCRIPT = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path.insert(0, {root!r})
from tests.training.test_supervised import kill_settings, train
from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.training.trainer import WeightedLossTrainer
from ilf_kedro.training.workspace import TrainingWorkspace

method = getattr(WeightedLossTrainer, {killed_in!r})

def killed(self, *arguments, **named):
    if self.state.global_step == {at_step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return method(self, *arguments, **named)

setattr(WeightedLossTrainer, {killed_in!r}, killed)
base = ModelSource("tiny", Path({base!r}), "tiny-revision")
train(base, TrainingWorkspace(Path({directory!r})), **kill_settings({kind!r}))
"""


def kill_settings(method: str) -> dict[str, Any]:
    """Several epochs with a rest in each, and dropout, so that order and random states count after a resumption."""
    return {
        "n": 10,
        "seed": 3,
        "method": method,
        "epochs": 4,
        "batch_size": 4,
        "micro_batch_size": 2,
        "save_steps": 2,
        "warmup_fraction": 0.2,
        "lora": LoraOptions(dropout=0.1, rank=4),
    }


@pytest.mark.parametrize(
    ("method", "killed_in", "at_step", "resumed_from"),
    [
        pytest.param("lora", "compute_loss", 5, 4, marks=pytest.mark.slow),
        pytest.param("full", "compute_loss", 7, 6, marks=pytest.mark.slow),
        pytest.param("lora", "_save_rng_state", 6, 4, marks=pytest.mark.slow),  # amid a mid-run save
        pytest.param("lora", "_finalize_training", 12, 10, marks=pytest.mark.slow),  # before the result is saved
    ],
)
def test_a_killed_training_resumes_and_ends_as_an_undisturbed_one(
    base: ModelSource,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    method: str,
    killed_in: str,
    at_step: int,
    resumed_from: int,
) -> None:
    undisturbed = train(base, TrainingWorkspace(tmp_path / "undisturbed"), **kill_settings(method))
    assert steps_run(caplog) == 12
    script = _SCRIPT.format(
        root=str(Path(__file__).parents[2]),
        base=str(base.directory),
        directory=str(tmp_path / "killed"),
        killed_in=killed_in,
        at_step=at_step,
        kind=method,
    )
    killed = subprocess.run([sys.executable, "-c", script], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    workspace = TrainingWorkspace(tmp_path / "killed")
    assert workspace.find(undisturbed.record.content_hash) is None

    resumed = train(base, workspace, **kill_settings(method))
    assert f"resuming the unfinished training from checkpoint-{resumed_from}" in caplog.text
    assert steps_run(caplog) == 12 - resumed_from
    assert resumed.record.n_steps == 12
    assert [row["loss"] for row in resumed.record.log] == pytest.approx(
        [row["loss"] for row in undisturbed.record.log], abs=1e-6
    )
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    expected, weights = load_file(undisturbed.directory / name), load_file(resumed.directory / name)
    assert set(weights) == set(expected)
    for key in expected:
        torch.testing.assert_close(weights[key], expected[key], atol=1e-6, rtol=0)
    visible = [path.name for path in workspace.directory.iterdir() if not path.name.startswith(".")]
    assert visible == [resumed.record.content_hash]


@pytest.mark.slow
def test_the_embedded_model_learns_alike_in_bfloat16_and_float32(
    embedded_model_directory: Path, workspace: TrainingWorkspace
) -> None:
    torch.set_num_threads(2)
    base = ModelSource("smollm2-135m-instruct", embedded_model_directory, "embedded", format="chat")
    examples = [
        TrainingExample(Prompt(f"Name a {kind} beginning with {letter}."), f"{name}.")
        for kind, letter, name in [
            ("fruit", "q", "Quince"),
            ("city", "u", "Uppsala"),
            ("bird", "w", "Wagtail"),
            ("tree", "h", "Hornbeam"),
        ]
    ]
    logs = {}
    for dtype in ("bfloat16", "float32"):
        settings = TrainingOptions(method="lora", dtype=dtype, epochs=6, batch_size=4, learning_rate=1e-3)
        checkpoint = train_language_model(base, examples, settings, seed=0, workspace=workspace, label=dtype)
        logs[dtype] = [row["loss"] for row in checkpoint.record.log]
    assert logs["bfloat16"][0] == pytest.approx(logs["float32"][0], rel=0.01)
    assert max(logs["bfloat16"][-1], logs["float32"][-1]) < 0.1 * logs["float32"][0]
