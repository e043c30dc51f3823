"""The task's words in pages and figures: sentences change, what people and models wrote does not."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.report.vocabulary import Vocabulary
from ilf_kedro.tasks import Words

CODE = Vocabulary(Words(input="exercise", output="program"))


@pytest.mark.parametrize(
    ("general", "said"),
    [
        ("An output for each input.", "A program for each exercise."),
        ("over an input; outputs, INPUTS", "over an exercise; programs, INPUTS"),
        ("12\u00a0inputs, the initial output's length", "12\u00a0exercises, the initial program's length"),
        ("finetune.outputs, task.inputs and initial_outputs", "finetune.outputs, task.inputs and initial_outputs"),
        ("3 output tokens of one output", "3 output tokens of one program"),
    ],
)
def test_sentences_take_the_tasks_words_with_their_article(general: str, said: str) -> None:
    assert CODE.sentence(general) == said


def test_what_is_quoted_stays_as_it_is_written() -> None:
    page = (
        '<!doctype html><p title="x">An output &amp; its input<br></p><blockquote>an output <b>input</b>'
        '</blockquote><td translate="no">input <i>input</i></td><script>const output = "<p>input";</script>output'
    )
    said = (
        '<!doctype html><p title="x">A program &amp; its exercise<br></p><blockquote>an output <b>input</b>'
        '</blockquote><td translate="no">input <i>input</i></td><script>const output = "<p>input";</script>program'
    )
    assert CODE.page(page) == said


@given(st.text(alphabet=st.characters(exclude_characters="<>&", exclude_categories=("Cs", "Cc"))))
def test_a_page_in_the_general_words_is_copied_letter_by_letter(text: str) -> None:
    page = f"<p>{text} input &#39;</p><pre>{text}</pre>"
    assert Vocabulary(Words()).page(page) == page


def test_a_figures_words_change_and_its_numbers_do_not() -> None:
    figure = go.Figure(
        go.Scatter(x=[1.5, 2.5], y=["initial outputs", "references"], name="outputs", customdata=["output"])
    )
    figure.update_xaxes(title_text="train size (inputs)")
    figure.update_yaxes(categoryarray=["references", "initial outputs"])
    shown = CODE.figure(figure).to_dict()
    assert list(shown["data"][0]["x"]) == [1.5, 2.5]
    assert list(shown["data"][0]["y"]) == ["initial programs", "references"]
    assert shown["data"][0]["name"] == "programs"
    assert list(shown["data"][0]["customdata"]) == ["output"]
    assert shown["layout"]["xaxis"]["title"]["text"] == "train size (exercises)"
    assert list(shown["layout"]["yaxis"]["categoryarray"]) == ["references", "initial programs"], "so their order holds"
