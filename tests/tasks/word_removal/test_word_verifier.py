from __future__ import annotations

import inspect
from collections import UserDict
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.tasks.word_removal.verifier import follows_feedback
from ilf_kedro.verifiers import Row

NOTE = "Eva is an odd, silly, lazy cook who sings."


def row(refinement: str, feedback: str = "Please leave out odd and lazy.", output: str = NOTE) -> Row:
    return Row(refinement, fields={"initial_output": output, "feedback": feedback})


def test_the_named_words_gone_the_rest_unchanged_the_grammar_mended() -> None:
    assert follows_feedback(row("Eva is a silly cook who sings.")) == 1
    wrong_article = follows_feedback(row("Eva is an silly cook who sings."))
    one_left = follows_feedback(row("Eva is a silly, lazy cook who sings."))
    both_left = follows_feedback(row(NOTE))
    too_much = follows_feedback(row("Eva is a cook."))
    another = follows_feedback(row("The weather is fine."))
    assert 1 > wrong_article > one_left > both_left > another > 0
    assert wrong_article > too_much > another


def test_praise_asks_for_no_change() -> None:
    assert follows_feedback(row(NOTE, "Nothing needs to change.")) == 1
    assert follows_feedback(row("Eva is a cook who sings.", "Nothing needs to change.")) < 1


def test_feedback_on_another_output_is_followed_as_it_stands() -> None:
    assert follows_feedback(row(NOTE, "Drop vain; the rest is fine.")) == 1


class Watched(UserDict[str, object]):
    """Fields that know which of them were looked at."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        super().__init__(fields)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> object:
        self.seen.add(name)
        return super().__getitem__(name)


def test_a_test_note_passes_as_the_annotator_wants_it_and_in_no_other_way() -> None:
    answered = {**row("").fields, "answer": "Eva is a silly cook who sings."}
    assert follows_feedback(Row("Eva is a silly cook who sings.", fields=answered)) == 1
    assert follows_feedback(Row("Eva is a cook who sings.", fields=answered)) == 0


def test_without_feedback_nothing_can_be_followed() -> None:
    texts = (NOTE, "Eva is a silly cook who sings.", "Eva is a cook who sings.")
    assert {follows_feedback(Row(text, fields={"initial_output": NOTE, "feedback": None})) for text in texts} == {0}


def test_of_a_training_row_neither_reference_nor_annotator_are_looked_at() -> None:
    assert list(inspect.signature(follows_feedback).parameters) == ["row"]
    fields = Watched({**row("x").fields, "annotator": "hidden", "reference": NOTE})
    follows_feedback(Row(NOTE, fields=fields))
    assert fields.seen == {"answer", "feedback", "initial_output"}


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_has_a_score(refinement: str, feedback: str, output: str) -> None:
    assert 0 <= follows_feedback(row(refinement, feedback, output)) <= 1
