"""Feedback in points: where it is split, that no word is lost, and what is asked of each."""

from __future__ import annotations

import logging
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ilf_kedro.language_models.protocol import Capability, ChoiceProbabilities, MissingCapabilityError
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.scoring.feedback_points import list_points, point_scores, split_feedback, split_points
from tests.support.example_tables import examples, refinements

ASK = PromptTemplate(text="{{ post }}|{{ refinement }}|{{ point }}", positive=("Yes",), negative=("No",))
LIST = PromptTemplate(text="{{ feedback }}:", truncate="feedback")


@pytest.mark.parametrize(
    ("feedback", "points"),
    [
        ("It is too long.", ["It is too long."]),
        (
            "It is too long. It should say that Anna left and ask where she went.",
            ["It is too long.", "It should say that Anna left", "ask where she went."],
        ),
        (
            "It leaves out the cat and the dog; the question is missing.",
            ["It leaves out the cat and the dog", "the question is missing."],
        ),
        ("Good start, but it misses the point of all.", ["Good start, but it misses the point of all."]),
        ("A very good start, but it misses the point.", ["A very good start", "it misses the point."]),
        ("Say that and that she wants to go now.", ["Say that and that she wants to go now."]),
        ("- Mention the price\n- Drop the joke", ["- Mention the price", "- Drop the joke"]),
        ("He owes $4,800 and pays 7.9 percent; ask whether Mr. Smith knows.",
         ["He owes $4,800 and pays 7.9 percent", "ask whether Mr. Smith knows."]),
        ("", []),
        (" …\n--- ", []),
    ],
)  # fmt: skip
def test_feedback_is_split_where_a_point_ends(feedback: str, points: list[str]) -> None:
    assert split_points(feedback) == points


WORDS = st.sampled_from(
    [
        "it",
        "should",
        "say",
        "that",
        "and",
        "but",
        ", and",
        "; and",
        ";",
        ".",
        "\n",
        "Anna",
        "left",
        "ask",
        "AND",
        "why",
        "$5",
    ]
)


@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=30).map(" ".join)))
@example("a b c; and; ask d e")
@example("it is so , and it should go ; but it is so")
def test_no_word_is_lost_but_the_conjunctions_between_points(feedback: str) -> None:
    points = split_points(feedback)
    words = re.findall(r"\w+", feedback)
    skipped = []
    for word in re.findall(r"\w+", " ".join(points)):
        while words and words[0] != word:
            skipped.append(words.pop(0).lower())
        assert words, f"{word!r} is not in the feedback, or not in this order"
        words.pop(0)
    skipped += [word.lower() for word in words]
    assert {word for word in skipped if any(map(str.isalnum, word))} <= {"and", "but"}


def test_the_points_of_every_example_are_numbered() -> None:
    table = split_feedback(examples(3, feedback=["One thing. Another thing.", "One thing.", None]))
    assert list(zip(table["example_id"], table["point_index"], strict=True)) == [
        ("train-0", 0),
        ("train-0", 1),
        ("train-1", 0),
    ]
    assert set(table["split_by"]) == {"rules"}


def test_a_model_lists_points_and_where_it_does_not_the_rules_do(caplog: pytest.LogCaptureFixture) -> None:
    lists = {"train-0": "Sure:\n- say why\n * say when\n2) ask how\nThat is all.", "train-1": "I cannot."}
    model = ScriptedLanguageModel("lister", complete=lambda prompt, i: lists[prompt.example_id])
    with caplog.at_level(logging.WARNING):
        table = list_points(model, LIST, examples(2, feedback=["x", "One thing. Another thing."]), seed=0)
    assert list(table["point"]) == ["say why", "say when", "ask how", "One thing.", "Another thing."]
    assert list(table["split_by"]) == ["model:lister"] * 3 + ["rules"] * 2
    assert "lister listed no points for 1 of 2 examples" in caplog.text


def test_each_point_is_asked_about_each_refinement_and_empty_ones_are_not() -> None:
    table = examples(2, feedback=["Say why. Say when.", "Ask how."])
    refined = refinements({"train-0": ["why", ""], "train-1": ["how"]})

    def weigh(prompt, choice) -> float:
        _, refinement, point = prompt.text.split("|")
        return 3.0 if choice.name == "positive" and refinement in point else 1.0

    model = ScriptedLanguageModel(weigh=weigh)
    scores = point_scores(model, ASK, table, split_feedback(table), refined)
    found = scores.set_index(["example_id", "sample_index", "point_index"])["score"]
    assert found["train-0", 0, 0] == pytest.approx(0.75)
    assert found["train-0", 0, 1] == pytest.approx(0.5)
    assert found["train-1", 0, 0] == pytest.approx(0.75)
    assert found["train-0", 1].isna().all()
    assert len(found) == 5
    assert model.n_questions == 3


def test_a_refused_question_is_null() -> None:
    class Refusing(ScriptedLanguageModel):
        def choice_probabilities(self, prompts, choices, *, label=""):
            return [ChoiceProbabilities((-0.7, -0.7), covered=0.0, bound=1.0) for _ in prompts]

    table = examples(1)
    scores = point_scores(Refusing(), ASK, table, split_feedback(table), refinements({"train-0": ["x"]}))
    assert scores["score"].isna().all()


def test_models_that_cannot_answer_are_refused_before_they_are_asked() -> None:
    model, table = ScriptedLanguageModel(capabilities=[]), examples(1)
    with pytest.raises(MissingCapabilityError, match="choice_probabilities"):
        point_scores(model, ASK, table, split_feedback(table), refinements({"train-0": ["x"]}))
    with pytest.raises(MissingCapabilityError, match=Capability.GENERATE.value):
        list_points(model, LIST, table, seed=0)
    assert model.n_questions == 0
