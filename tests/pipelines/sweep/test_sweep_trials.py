"""A sweep of a tiny model: every trial is found again, and a divergence does not end it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.sweep import nodes
from ilf_kedro.pipelines.sweep.nodes import run_trials
from ilf_kedro.pipelines.sweep.options import SweepOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import Targets
from ilf_kedro.training.errors import DivergedError
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.support.example_tables import examples

POLICY = PromptTemplate(text="{{ title }}: {{ post }}\nTL;DR:")
OPTIONS = SweepOptions(epochs=(1, 2), prompt_loss_weight=(0.0, 0.1), learning_rate_multiplier=(0.1,))
TARGETS = Targets.validate(
    pd.DataFrame({"example_id": ["a", "b"], "title": "t", "post": ["one post", "another"], "target": ["x", "y y"]})
)


def sweep(model: LocalLanguageModel, workspace: Path, **changes: Any) -> pd.DataFrame:
    return run_trials(
        model,
        TARGETS,
        POLICY,
        POLICY,
        examples(3, "development"),
        FinetuneOptions(training={"batch_size": 2}),
        changes.get("options", OPTIONS),
        ReportingOptions(bootstrap_resamples=100),
        0,
        TrainingWorkspace(workspace),
        arm=changes.get("arm", "references"),
        train_size=2,
    )


@pytest.fixture
def model(tiny_model_directory: Path) -> LocalLanguageModel:
    return LocalLanguageModel(ModelSource("tiny", tiny_model_directory, "tiny-revision", "plain", "float32"))


@pytest.mark.slow
def test_a_killed_sweep_resumes_trial_by_trial(
    model: LocalLanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ilf_kedro")
    train = nodes.train_language_model
    begun = []

    def killed_at_the_third(*arguments: Any, **options: Any) -> Any:
        begun.append(options["label"])
        if len(begun) == 3:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(nodes, "train_language_model", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        sweep(model, tmp_path)
    monkeypatch.setattr(nodes, "train_language_model", train)
    caplog.clear()
    trials = sweep(model, tmp_path)
    assert re.findall(r"trial (\d): ran \d+ optimiser steps", caplog.text) == ["2"]
    assert re.findall(r"trial (\d): using the finished training", caplog.text) == ["0", "1"]
    assert "trial 3 of 3 (epochs 1, prompt_loss_weight 0.1, learning_rate_multiplier 0.1), seed 0" in caplog.text
    assert trials["n_steps"].tolist() == [1, 2, 1]
    assert trials["training"].is_unique
    n_tokens = sum(model.count_tokens(["t: one post\nTL;DR: x", "t: another\nTL;DR: y y"]))
    assert trials["n_tokens"].tolist() == [n_tokens, 2 * n_tokens, n_tokens]
    pd.testing.assert_frame_equal(sweep(model, tmp_path), trials)
    assert trials["nll_own_targets"].equals(trials["nll_references"])
    # Against the model itself, asked directly.
    found = TrainingWorkspace(tmp_path).find(trials["training"][1])
    assert found is not None
    table = examples(3, "development")
    prompts = [POLICY.render(str(i), title=f"title {i}", post=f"post {i}") for i in range(3)]
    answers = model.with_checkpoint(found).log_likelihood(prompts, [f" {text}" for text in table["reference"]])
    nats = -sum(sum(answer.log_probabilities) for answer in answers)
    assert trials["nll_references"][1] == pytest.approx(nats / sum(len(a.spans) for a in answers))


def test_a_trial_that_diverges_is_a_row_without_a_score(
    model: LocalLanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*arguments: Any, **options: Any) -> Any:
        raise DivergedError("the loss became nan")

    monkeypatch.setattr(nodes, "train_language_model", diverge)
    trials = sweep(model, tmp_path, arm="refinements", options=SweepOptions(epochs=(1,), n_seeds=2))
    assert set(trials["status"]) == {"diverged"}
    assert trials["nll_references"].isna().all()
    assert trials.groupby("trial")["seed"].apply(list).tolist() == [[0, 1]] * 7
