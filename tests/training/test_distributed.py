"""Several processes do what one does. The processes themselves are started in the slow tests only."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard, SeedableRandomSampler
from pydantic import ValidationError
from safetensors.torch import load_file
from torch.utils.data import BatchSampler

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.prompting import Prompt
from ilf_kedro.schemas import UserError
from ilf_kedro.training import fitting
from ilf_kedro.training.distributed import (
    TrainingProcessError,
    child_environment,
    fit_in_processes,
)
from ilf_kedro.training.encoded_file import read_encoded, write_encoded
from ilf_kedro.training.encoding import EncodedPair
from ilf_kedro.training.errors import DivergedError
from ilf_kedro.training.examples import PreferencePair
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.preferences import train_on_preferences
from ilf_kedro.training.step_sampling import StepSampler, with_filler
from ilf_kedro.training.supervised import train_language_model, training_hash
from ilf_kedro.training.trainer import collate
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.training.test_supervised import options, training_examples
from tests.training.test_trainer import encoded_examples


def encoded_pairs() -> list[EncodedPair]:
    one, two, three = (np.arange(5, end, dtype=np.int32) for end in (9, 30, 7))
    return [EncodedPair(one, two, truncated=False), EncodedPair(three, one, truncated=True)]


@pytest.mark.parametrize("examples", [encoded_examples(5), encoded_pairs()], ids=["examples", "pairs"])
def test_examples_come_back_from_their_file(tmp_path: Path, examples: list[Any]) -> None:
    write_encoded(examples, tmp_path / "examples.safetensors")
    found = read_encoded(tmp_path / "examples.safetensors")
    assert len(found) == len(examples)
    for left, right in zip(found, examples, strict=True):
        assert type(left) is type(right)
        for field in fields(left):
            ours, theirs = getattr(left, field.name), getattr(right, field.name)
            assert type(ours) is type(theirs)
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("n_examples", [1, 5, 8, 9, 13, 16])
@pytest.mark.parametrize(("n_processes", "micro_batch", "turns"), [(2, 1, 4), (2, 2, 2), (4, 2, 1), (3, 2, 1)])
def test_a_step_has_the_examples_that_it_has_in_one_process(
    n_examples: int, n_processes: int, micro_batch: int, turns: int
) -> None:
    """Sampled as one process does, divided by accelerate, and fillers only where examples are missing."""
    batch = n_processes * micro_batch * turns
    for epoch in (0, 1):
        alone = SeedableRandomSampler(range(n_examples), data_seed=3)
        alone.set_epoch(epoch)
        order = list(alone)
        lengths = [7 * i % 5 for i in range(n_examples)]
        sampler = StepSampler(lengths, batch, seed=3, multiple_of=n_processes * micro_batch)
        sampler.set_epoch(epoch)
        shares = [
            list(BatchSamplerShard(BatchSampler(sampler, micro_batch, drop_last=False), n_processes, process))
            for process in range(n_processes)
            if sampler.set_epoch(epoch) is None
        ]
        assert len({len(share) for share in shares}) == 1
        n_steps = -(-len(shares[0]) // turns)
        assert n_steps == -(-n_examples // batch)
        for step in range(n_steps):
            taken = [i for share in shares for rows in share[step * turns : (step + 1) * turns] for i in rows]
            real = [i for i in taken if i < n_examples]
            assert sorted(real) == sorted(order[step * batch : (step + 1) * batch])
            assert set(taken) <= {*real, n_examples}


def test_a_filler_weighs_nothing() -> None:
    examples = encoded_examples(3)
    filled = with_filler(examples)
    assert filled[:3] == examples
    assert float(collate(filled[3:])["loss_weights"][:, 1:].sum()) == 0
    assert with_filler(encoded_pairs())[2].weight == 0  # type: ignore[union-attr]


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(ValidationError, match="batch_size is 8, which cannot be divided evenly among 3 processes"):
        TrainingOptions(batch_size=8, processes=3)


def test_a_training_is_the_same_by_however_many_processes(base: ModelSource) -> None:
    hashes = {
        training_hash(base, training_examples(2), options(**change), dtype="float32", seed=0)
        for change in ({}, {"processes": 2}, {"processes": 4, "parallelism": "fsdp"})
    }
    assert len(hashes) == 1


def test_processes_that_are_not_there_are_an_error(base: ModelSource, tmp_path: Path) -> None:
    """No silent training by one process, which would see every example more than once or not at all."""
    with pytest.raises(UserError, match="asked for 2 processes, found 1"):
        fitting.fit_language_model(
            base,
            encoded_examples(2),
            options(processes=2),
            dtype="float32",
            seed=0,
            state_directory=tmp_path,
            label="arm",
        )


def test_each_process_gets_its_share_of_the_cores_and_finds_this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "kept")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    environment = child_environment(4)
    assert environment["SOME_KEY"] == "kept"
    assert environment["OMP_NUM_THREADS"] == "2"
    package, elsewhere = environment["PYTHONPATH"].split(os.pathsep)
    assert (Path(package) / "ilf_kedro" / "training" / "worker.py").is_file()
    assert elsewhere == "/elsewhere"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert child_environment(4)["OMP_NUM_THREADS"] == "1"


def test_more_processes_than_gpus_are_refused(
    base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="found 1 GPUs for 2 processes"):
        fit(base, tmp_path, processes=2)


# The slow ones.

STEPS = {"n": 14, "epochs": 5, "batch_size": 4, "micro_batch_size": 2, "save_steps": 4, "warmup_fraction": 0.2}
N_STEPS = 20  # four a epoch, the last of two examples


def fit(base: ModelSource, directory: Path, **changes: Any) -> Any:
    return fit_in_processes(
        base, encoded_examples(4), options(**changes), dtype="float32", seed=0, state_directory=directory, label="arm"
    )


def train(base: ModelSource, workspace: TrainingWorkspace, **changes: Any) -> Checkpoint:
    settings = {**STEPS, "learning_rate": 1e-4, **changes}
    examples = training_examples(settings.pop("n"))
    return train_language_model(base, examples, options(**settings), seed=3, workspace=workspace, label="arm")


def assert_same(found: Checkpoint, expected: Checkpoint) -> None:
    """The same loss at every step, and the same weights at the end."""
    for name in ("step", "loss", "gradient_norm", "learning_rate"):
        ours, theirs = ([row[name] for row in each.record.log] for each in (found, expected))
        assert ours == pytest.approx(theirs, abs=1e-4), name
    (file,) = expected.directory.glob("*.safetensors")
    weights, reference = load_file(found.directory / file.name), load_file(file)
    assert set(weights) == set(reference)
    for key in reference:
        torch.testing.assert_close(weights[key], reference[key], atol=1e-5, rtol=0)
    assert sorted(path.name for path in found.directory.iterdir()) == sorted(
        path.name for path in expected.directory.iterdir()
    )


@pytest.mark.slow
@pytest.mark.parametrize(("method", "parallelism"), [("full", "ddp"), ("lora", "fsdp")])
def test_two_processes_train_as_one(
    base: ModelSource, tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, parallelism: str
) -> None:
    caplog.set_level(logging.INFO, "ilf_kedro")
    weight = {"prompt_loss_weight": 0.1, "method": method}
    one = train(base, TrainingWorkspace(tmp_path / "one"), **weight)
    two = train(base, TrainingWorkspace(tmp_path / "two"), processes=2, parallelism=parallelism, **weight)
    assert f"training in 2 processes ({parallelism})" in caplog.text
    assert f"ran {N_STEPS} optimiser steps" in caplog.text
    assert len(two.record.log) == N_STEPS
    assert_same(two, one)


@pytest.mark.slow
def test_two_processes_train_a_scalar_head_as_one(base: ModelSource, tmp_path: Path) -> None:
    pairs = [PreferencePair(Prompt(f"Good {i}. " * (i + 1)), Prompt(f"Worse {i}.")) for i in range(5)]
    checkpoints = [
        train_on_preferences(
            base,
            pairs,
            options(batch_size=4, micro_batch_size=1, processes=n, epochs=2),
            seed=0,
            workspace=TrainingWorkspace(tmp_path / str(n)),
            label="arm",
        )
        for n in (1, 2)
    ]
    assert_same(checkpoints[1], checkpoints[0])


_SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.training.test_distributed import train
from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.training.workspace import TrainingWorkspace
base = ModelSource("tiny-random-llama", Path({base!r}), revision="tiny-revision")
train(base, TrainingWorkspace(Path({directory!r})), **{changes!r})
"""


@pytest.mark.slow
@pytest.mark.parametrize(("method", "parallelism"), [("lora", "ddp"), ("full", "fsdp")])
def test_killed_processes_end_together_and_the_training_resumes(
    base: ModelSource, tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, parallelism: str
) -> None:
    caplog.set_level(logging.INFO, "ilf_kedro")
    changes = {"method": method, "processes": 2, "parallelism": parallelism, "epochs": 15}
    script = _SCRIPT.format(
        root=str(Path(__file__).parents[2]),
        base=str(base.directory),
        directory=str(tmp_path / "killed"),
        changes=changes,
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_until(lambda: any((tmp_path / "killed").rglob("checkpoint-[1-9][0-9]/trainer_state.json")), parent)
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) >= 3  # the launcher and its two processes
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=300)
    assert not alive

    resumed = train(base, TrainingWorkspace(tmp_path / "killed"), **changes)
    executed = [record.args[1] for record in caplog.records if "ran %d optimiser steps" in record.msg]  # type: ignore[index]
    assert executed[0] <= 60 - 12  # resumed from step 12 or later
    undisturbed = train(base, TrainingWorkspace(tmp_path / "alone"), method=method, epochs=15)
    assert_same(resumed, undisturbed)


@pytest.mark.slow
def test_a_process_that_dies_is_named_with_what_it_wrote(base: ModelSource, tmp_path: Path) -> None:
    def kill_second() -> None:
        wait_until(lambda: any(tmp_path.glob("checkpoint-*/trainer_state.json")))
        for process in psutil.Process().children(recursive=True):
            if process.environ().get("RANK") == "1":
                process.kill()

    killer = threading.Thread(target=kill_second)
    killer.start()
    with pytest.raises(TrainingProcessError, match="process 2 of 2 was killed by SIGKILL; what was saved on the way"):
        fit(base, tmp_path, processes=2, epochs=3000, save_steps=5)
    killer.join()


@pytest.mark.slow
def test_what_stops_one_process_stops_several_alike(base: ModelSource, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"the loss is \w+ at optimiser step \d+ of 40"):
        fit(base, tmp_path, processes=2, method="full", learning_rate=1e38, epochs=40)
    broken = ModelSource("gone", tmp_path / "nowhere", "r")
    with pytest.raises(TrainingProcessError, match=r"(?s)ended with exit code 1; nothing was saved yet.*nowhere"):
        fit(broken, tmp_path / "broken", processes=2)


def wait_until(happened: Any, process: subprocess.Popen[bytes] | None = None, within: float = 1800) -> None:
    end = time.monotonic() + within
    while not happened():
        assert time.monotonic() < end
        assert process is None or process.poll() is None, "ended by itself"
        time.sleep(0.02)
