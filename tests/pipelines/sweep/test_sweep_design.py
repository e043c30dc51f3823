"""The trials of a sweep: the paper's one factor at a time, or a grid; the same list for every arm."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pandas as pd
import pytest
import yaml

from ilf_kedro.pipelines.sweep import create_pipeline
from ilf_kedro.pipelines.sweep.design import FACTORS, list_trials
from ilf_kedro.pipelines.sweep.nodes import choose_winners
from ilf_kedro.pipelines.sweep.options import SweepOptions
from ilf_kedro.pipelines.sweep.section import describe_sweep
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import Code, Table, render_page
from ilf_kedro.schemas import Trials, UserError
from ilf_kedro.training.options import TrainingOptions


def values(options: SweepOptions, **first: Any) -> list[tuple[float, ...]]:
    return [tuple(getattr(trial, name) for name in FACTORS) for trial in list_trials(options, TrainingOptions(**first))]


def test_one_factor_at_a_time_is_the_papers_ten_trials() -> None:
    trials = list_trials(SweepOptions(), TrainingOptions())
    found = values(SweepOptions())
    assert len(found) == len(set(found)) == 10  # 4 + 4 + 4, of which the first trial's own value stands in each
    assert found[0] == (1, 0.0, 0.1)
    assert [trial.number for trial in trials] == list(range(10))
    for trial, chosen in zip(trials, found, strict=True):
        changed = [name for name, one, other in zip(FACTORS, chosen, found[0], strict=True) if one != other]
        assert changed == ([] if trial.factor == "first" else [trial.factor])


def test_the_first_trial_need_not_be_in_the_lists() -> None:
    found = values(SweepOptions(epochs=(2,), prompt_loss_weight=(), learning_rate_multiplier=(0.1,)), epochs=7)
    assert found == [(7, 0.0, 0.1), (2, 0.0, 0.1)]


def test_a_grid_is_every_combination_once() -> None:
    options = SweepOptions(design="grid", epochs=(1, 2), prompt_loss_weight=(0, 0.1), learning_rate_multiplier=(0.1,))
    assert values(options, epochs=9) == list(product((1, 2), (0.0, 0.1), (0.1,)))
    with pytest.raises(ValueError, match="none of prompt_loss_weight"):
        SweepOptions(design="grid", prompt_loss_weight=())
    with pytest.raises(ValueError, match="each value once, found 2 more often"):
        SweepOptions(epochs=(1, 2, 2))


def trial_rows(arm: str, scores: dict[tuple[int, int], float | None], own: float | None = None) -> list[dict[str, Any]]:
    """Rows of trials by (trial, seed), which differ in their epochs."""
    return [
        {
            "arm": arm,
            "trial": trial,
            "factor": "epochs" if trial else "first",
            "seed": seed,
            "train_size": 4,
            "epochs": trial + 1,
            "prompt_loss_weight": 0.0,
            "learning_rate_multiplier": 0.1,
            "status": "finished" if score is not None else "diverged",
            "n_examples": 4,
            "n_steps": trial + 1,
            "n_tokens": 100 * (trial + 1),
            "seconds": 1.5,
            "final_loss": None if score is None else 2.0,
            "n_development": 8,
            "nll_references": score,
            "standard_error": None if score is None else 0.1,
            "lower": None if score is None else score - 0.2,
            "upper": None if score is None else score + 0.2,
            "nll_own_targets": own,
            "training": "" if score is None else f"hash{trial}",
        }
        for (trial, seed), score in scores.items()
    ]


def table(*rows: list[dict[str, Any]]) -> pd.DataFrame:
    return Trials.validate(pd.DataFrame([row for each in rows for row in each]))


def test_the_winner_has_the_lowest_mean_over_seeds_and_ties_go_to_the_earlier() -> None:
    lucky = {(0, 0): 3.0, (0, 1): 3.0, (1, 0): 2.0, (1, 1): 4.5, (2, 0): 1.0, (2, 1): None, (3, 0): 2.5, (3, 1): 3.5}
    winners = choose_winners(
        table(trial_rows("refinements", lucky), trial_rows("references", {(0, 0): 5.0})), SweepOptions()
    )
    refinements, human = winners.to_dict("records")
    assert (refinements["trial"], refinements["score"], refinements["epochs"]) == (0, 3.0, 1)
    assert (refinements["n_trials"], refinements["n_diverged"], refinements["n_steps"]) == (8, 1, 2 * (1 + 2 + 3 + 4))
    assert (human["arm"], human["score"]) == ("references", 5.0)


def test_an_arm_without_any_score_is_refused_with_what_to_do() -> None:
    with pytest.raises(UserError, match="every trial of the arm refinements diverged"):
        choose_winners(table(trial_rows("refinements", {(0, 0): None})), SweepOptions())
    without = table(trial_rows("refinements", {(0, 0): 1.0}))
    with pytest.raises(UserError, match=r"no targets of the arm refinements's kind"):
        choose_winners(without, SweepOptions(chosen_by="own_targets"))
    own = table(trial_rows("references", {(0, 0): 1.0}, own=2.0))
    assert choose_winners(own, SweepOptions(chosen_by="own_targets"))["score"].tolist() == [2.0]


def test_the_section_says_how_to_use_the_winners() -> None:
    trials = table(trial_rows("refinements", {(0, 0): 3.0, (1, 0): 2.5, (2, 0): None}))
    winners = choose_winners(trials, SweepOptions())
    section = describe_sweep(trials, winners, SweepOptions(), ReportingOptions())
    page = render_page("x", [section])
    (setting,) = [part.text for part in section.parts if isinstance(part, Code)]
    assert yaml.safe_load(setting) == {
        "finetune": {
            "per_size": [
                {
                    "train_size": 4,
                    "arm": "refinements",
                    "epochs": 2,
                    "prompt_loss_weight": 0,
                    "learning_rate_multiplier": 0.1,
                }
            ]
        }
    }
    assert f'<pre class="copy">{setting}</pre>' in page
    costs = [part.frame for part in section.parts if isinstance(part, Table)][-1]
    assert costs["steps"].sum() == 6
    assert "0.500" in page  # between the best and the worst trial
    (figure,) = section.figures.values()
    assert list(figure.data[0].y) == [3.0, 2.5]
    assert all(not math.isnan(y) for trace in figure.data for y in trace.y)


def test_every_arm_is_a_namespace() -> None:
    pipeline = create_pipeline(["refinements", "refinement_model"], 4)
    alone = pipeline.filter(node_namespaces=["sweep.refinement_model"])
    assert {"sweep.refinement_model.targets", "sweep.refinement_model.trials"} <= alone.all_outputs()
    assert "prompt.refinement_with_feedback" in alone.inputs()
    assert "prompt.policy" not in alone.inputs()
