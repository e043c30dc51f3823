"""Scorers and selection: against values worked out by hand, and the rules for ties and undefined scores."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.language_models.protocol import Capability, ChoiceProbabilities, MissingCapabilityError
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.schemas import Scores
from ilf_kedro.scoring import instruct_rm_scores, longest_scores, random_scores, select_best
from tests.support.example_tables import TRUE_FALSE, YES_NO, examples, refinements


def test_random_scores_depend_on_seed_and_keys_alone() -> None:
    table = refinements({"a": ["x", "y"], "b": ["z", "w"]})
    scores = random_scores(table, seed=3)
    shuffled = random_scores(table.iloc[::-1].reset_index(drop=True), seed=3)
    keys = ["example_id", "method", "sample_index"]
    pd.testing.assert_frame_equal(
        scores.sort_values(keys).reset_index(drop=True), shuffled.sort_values(keys).reset_index(drop=True)
    )
    assert (scores["score"] != random_scores(table, seed=4)["score"]).all()


def test_random_choices_are_uniform() -> None:
    table = refinements({f"example {i}": ["a", "b", "c"] for i in range(3000)})
    chosen = select_best(random_scores(table, seed=0), table)["sample_index"].value_counts(normalize=True)
    # three standard errors of a share of 1/3 among 3,000
    assert all(abs(share - 1 / 3) < 3 * math.sqrt(2 / 9 / 3000) for share in chosen)
    assert len(chosen) == 3


def test_longest_counts_tokens_not_characters() -> None:
    table = refinements({"a": ["one two three", "extraordinarily", ""]})
    scores = longest_scores(table, ScriptedLanguageModel())
    assert list(scores["score"][:2]) == [3.0, 1.0]
    assert math.isnan(scores["score"][2])


def test_instruct_rm_is_the_positive_share_and_the_ensemble_its_mean() -> None:
    def weigh(prompt, choice) -> float:
        good = prompt.text.endswith("good")
        table = {"Yes": 3.0 if good else 1.0, "No": 1.0, "True": 1.0, "False": 4.0 if good else 1.0}
        return table[choice.name]

    table = refinements({"train-0": ["good", "bad", ""]})
    scores = instruct_rm_scores(table, examples(1), ScriptedLanguageModel(weigh=weigh), YES_NO, TRUE_FALSE)
    wide = scores.pivot(index="sample_index", columns="scorer", values="score")
    assert wide.loc[0].to_dict() == pytest.approx(
        {"instruct_rm_1": 0.75, "instruct_rm_2": 0.2, "instruct_rm_ensemble": 0.475}
    )
    assert wide.loc[1].to_list() == pytest.approx([0.5, 0.5, 0.5])
    assert wide.loc[2].isna().all()


@pytest.mark.parametrize(("least", "score"), [(0.003, 0.75), (0.005, math.nan)])
def test_instruct_rm_is_null_where_its_own_two_answers_are_hardly_said(least: float, score: float) -> None:
    class Sure(ScriptedLanguageModel):
        def choice_probabilities(self, prompts, choices, *, label=""):
            # Covered in all: 0.5, of which Yes and No have 0.004, True and False the rest.
            p = {"Yes": 0.003 / 0.5, "No": 0.001 / 0.5, "True": 0.4 / 0.5, "False": 0.096 / 0.5}
            log_p = tuple(math.log(p[choice.name]) for choice in choices)
            return [ChoiceProbabilities(log_p, covered=0.5, least_covered=least) for _ in prompts]

    scores = instruct_rm_scores(refinements({"train-0": ["x"]}), examples(1), Sure(), YES_NO, TRUE_FALSE)["score"]
    np.testing.assert_allclose(scores[:2], [score, 0.4 / 0.496])


def test_instruct_rm_refuses_a_model_without_choices_before_asking() -> None:
    model = ScriptedLanguageModel(capabilities=[Capability.GENERATE])
    with pytest.raises(MissingCapabilityError, match="instruct_rm needs the capability 'choice_probabilities'"):
        instruct_rm_scores(refinements({"train-0": ["x"]}), examples(1), model, YES_NO)
    assert model.n_questions == 0


@settings(max_examples=30)
@given(st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=6))
def test_selection_takes_the_first_of_the_best_and_undefined_last(values: list[float | None]) -> None:
    table = refinements({"a": [f"text {i}" for i in range(len(values))]})
    scores = table[["example_id", "method", "sample_index"]].assign(scorer="s", score=values)
    scores = Scores.validate(scores.astype({"score": "float64"}))
    row = select_best(scores, table).iloc[0]
    defined = [value for value in values if value is not None]
    expected = values.index(max(defined)) if defined else 0
    assert row["sample_index"] == expected
    assert row["text"] == f"text {expected}"
    assert math.isnan(row["score"]) == (not defined)
