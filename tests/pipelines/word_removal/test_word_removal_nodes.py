"""Selection, targets and measures of the loop, each checked by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from ilf_kedro.pipelines.word_removal import measures, nodes, section
from ilf_kedro.pipelines.word_removal.options import WordRemovalOptions
from ilf_kedro.pipelines.word_removal.pipeline import ARMS, MODELS
from ilf_kedro.report.sections import render_page
from ilf_kedro.schemas import Answers, NoteAnswers, Notes
from ilf_kedro.scoring import select_best
from tests.support import example_tables as tables

ODD = "Eva is an odd, silly cook who sings."
SILLY_LEFT = "Eva is a silly cook who sings."
OPTIONS = WordRemovalOptions()


def commented(*feedback: str) -> pd.DataFrame:
    n = len(feedback)
    return tables.examples(n, note=[ODD] * n, initial_output=[ODD] * n, feedback=list(feedback))


def test_the_verifiers_choice_becomes_the_target() -> None:
    examples = commented("Drop odd; the rest is fine.", "I like it as it is.", "Please leave out odd.")
    refined = tables.refinements(
        {"train-0": [ODD, SILLY_LEFT], "train-1": ["Eva is a cook who sings.", ODD], "train-2": ["", ""]}
    )
    scores = nodes.verify(examples, refined)
    assert scores["score"].isna().sum() == 2
    assert scores["score"].tolist()[1] == scores["score"].tolist()[3] == 1
    chosen = nodes.select(scores, refined)
    assert chosen.equals(select_best(scores, refined))
    targets = nodes.targets_from_selections(examples, chosen)
    assert targets["target"].tolist() == [SILLY_LEFT, ODD, ODD]  # nothing to choose: the output stays
    assert targets["text"].tolist() == [ODD] * 3
    assert nodes.targets_from_outputs(examples)["target"].tolist() == [ODD] * 3


def test_perfect_targets_are_those_of_the_first_round_alone() -> None:
    notes = Notes.validate(
        pd.DataFrame({"example_id": ["a", "b"], "part": ["first_round", "test"], "text": [ODD, "Other."]})
    )
    answers = NoteAnswers.validate(
        pd.DataFrame({"example_id": ["a", "b"], "n_words": 2, "n_to_remove": 1, "answer": [SILLY_LEFT, "x"]})
    )
    targets = nodes.targets_from_answers(notes, answers)
    assert targets.to_dict("records") == [{"example_id": "a", "text": ODD, "target": SILLY_LEFT}]
    joined = nodes.join_targets(targets, targets.assign(example_id="c"))
    assert joined["example_id"].tolist() == ["a", "c"]


def judged(right: int, n: int) -> pd.DataFrame:
    return pd.DataFrame({"model": "m", "n_to_remove": 1, "right": [i < right for i in range(n)]})


@pytest.mark.parametrize(("value", "published"), [(520, 0.01325), (483, 0.013051), (111, 0.007479), (16, 0.002946)])
def test_the_standard_error_is_the_published_one(value: int, published: float) -> None:
    row = measures.exact_matches(judged(value, 1350), confidence=0.95).iloc[0]
    assert row["standard_error"] == pytest.approx(published, abs=6e-7)


def test_the_interval_is_wilsons() -> None:
    row = measures.exact_matches(judged(30, 40), confidence=0.95).iloc[0]
    z, p, n = 1.959964, 0.75, 40
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (row["lower"], row["upper"]) == (
        pytest.approx(centre - half, abs=1e-6),
        pytest.approx(centre + half, abs=1e-6),
    )


def all_answers() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Answers of all models to twelve notes, with one more right for each model."""
    ids = [f"test-{i}" for i in range(12)]
    right = pd.DataFrame(
        {"example_id": ids, "n_words": 4, "n_to_remove": [1, 2, 3] * 4, "answer": [f"answer {i}." for i in range(12)]}
    )
    texts = pd.DataFrame(
        [
            {"example_id": each, "model": model, "text": f"answer {i}." if i <= place else "wrong"}
            for place, model in enumerate(MODELS)
            for i, each in enumerate(ids)
        ]
    )
    notes = pd.DataFrame({"example_id": ids, "part": "test", "text": [f"note {i}" for i in range(12)]})
    return Answers.validate(texts), NoteAnswers.validate(right), Notes.validate(notes)


def test_exact_match_counts_by_number_to_remove() -> None:
    texts, right, _ = all_answers()
    exact = measures.measure_exact_match(texts, right, OPTIONS).set_index(["model", "n_to_remove"])
    for place, model in enumerate(MODELS):
        assert exact.loc[(model, 0), "exact_match"] == pytest.approx((place + 1) / 12)
        assert exact.loc[(model, 0), "n"] == 12
        for number in (1, 2, 3):
            hits = sum(i % 3 == number - 1 for i in range(place + 1))
            assert exact.loc[(model, number), "exact_match"] == pytest.approx(hits / 4)


def test_differences_are_paired() -> None:
    texts, right, _ = all_answers()
    pairs = [(MODELS[-1], MODELS[0]), (MODELS[1], MODELS[1])]
    first, same = measures.compare_arms(texts, right, OPTIONS, 0, pairs=pairs).to_dict("records")
    assert first["difference"] == pytest.approx((len(MODELS) - 1) / 12)
    assert first["lower"] < first["difference"] < first["upper"]
    assert same["difference"] == 0
    assert pd.isna(same["lower"])
    assert "alike" in same["note"]


def joints_of(**changes: object) -> pd.DataFrame:
    examples = commented("Drop odd; the rest is fine.", "Please leave out odd.", "Please leave out odd.")
    examples = examples.assign(**changes)
    refined = tables.refinements(
        {"train-0": [ODD, SILLY_LEFT], "train-1": [SILLY_LEFT, SILLY_LEFT], "train-2": [ODD, "Else."]}
    )
    chosen = select_best(nodes.verify(examples, refined), refined)
    chosen.loc[chosen["example_id"] == "train-1", "text"] = ODD  # selection errs once
    ids = ["train-0", "train-1", "train-2"]
    right = pd.DataFrame({"example_id": ids, "n_words": 2, "n_to_remove": 1, "answer": SILLY_LEFT})
    exact = measures.exact_matches(judged(3, 4).assign(model="perfect_targets"), confidence=0.95)
    return measures.measure_joints(examples, refined, chosen, NoteAnswers.validate(right), exact, OPTIONS, 0).set_index(
        "joint"
    )


def test_each_joint_is_measured_alone() -> None:
    joints = joints_of()
    assert joints["share"].tolist() == pytest.approx([1, 0.5, 2 / 3, 0.5, 1 / 3, 0.75])
    assert joints["n"].tolist() == [3, 3, 3, 2, 3, 4]
    assert (joints["lower"].fillna(0) <= joints["share"]).all()


def test_where_no_refinement_is_right_selection_cannot_be_measured() -> None:
    joints = joints_of(feedback="Please leave out odd and silly.")
    assert pd.isna(joints.loc["the verifier takes one that does, where there is one", "share"])


def test_the_page_says_what_happened() -> None:
    texts, right, notes = all_answers()
    exact = measures.measure_exact_match(texts, right, OPTIONS)
    pairs = [("second_round", "refinements"), ("refinements", "no_feedback")]
    differences = measures.compare_arms(texts, right, OPTIONS, 0, pairs=pairs)
    described = section.describe(exact, joints_of().reset_index(), differences, texts, notes, right, OPTIONS)
    page = render_page("x", [described])
    assert "passes on 17% of 12 unseen notes" in page
    assert "shows no clear effect" in page
    assert all(section.LABELS[model] in page for model in ("initial", *ARMS, "second_round"))
