"""Feedback and refinement in one text: what is written can be read, and nothing is guessed."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ilf_kedro.prompting.joint_outputs import END, MARKER, JointOutput, parse_joint_output, write_joint_output

PIECES = st.lists(st.sampled_from([MARKER, END, "words of an output.", "\n", " ", "###", "Ünïcode 🙂"]), max_size=7)


@given(st.text(), st.text())
def test_what_is_written_is_read_again_with_its_blanks_folded(feedback: str, refinement: str) -> None:
    assume(feedback.strip() and refinement.strip())
    assume(not any(word in feedback + refinement for word in (MARKER, END)))
    expected = JointOutput("parsed", " ".join(feedback.split()), " ".join(refinement.split()))
    try:
        text = write_joint_output(feedback, refinement)
    except ValueError:  # blanks within a marker fold into one
        folded = expected.feedback + expected.refinement
        assert MARKER in folded or END in folded
        return
    assert parse_joint_output(text) == expected
    assert text.splitlines()[-1] == END


@given(PIECES)
def test_only_one_marker_before_one_end_is_taken(pieces: list[str]) -> None:
    text = "".join(pieces)
    output = parse_joint_output(text)
    marks = [piece for piece in pieces if piece in (MARKER, END)]
    well_formed = marks == [MARKER, END]
    parts_written = False
    if well_formed:
        before, after = pieces[: pieces.index(MARKER)], pieces[pieces.index(MARKER) + 1 : pieces.index(END)]
        parts_written = bool("".join(before).strip()) and bool("".join(after).strip())
    assert (output.status == "parsed") == (well_formed and parts_written)
    if output.status != "parsed":
        assert (output.feedback, output.refinement) == ("", "")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("It lacks the date.", "no_marker"),
        ("", "no_marker"),
        (f"Bad.\n{MARKER}\nGood.\n{MARKER}\nBetter.\n{END}", "several_markers"),
        (f"Bad.\n{MARKER}\nGood, but cut o", "no_end"),
        (f"Bad.\n{END}\n{MARKER}\nGood.", "no_end"),
        (f"Bad.\n{MARKER}\nGood.\n{END}\n{END}", "several_ends"),
        (f"{MARKER}\nGood.\n{END}", "empty"),
        (f"Bad.\n{MARKER}\n \n{END}", "empty"),
    ],
)
def test_what_is_wrong_is_named(text: str, status: str) -> None:
    assert parse_joint_output(text).status == status


def test_what_follows_the_end_is_ignored() -> None:
    output = parse_joint_output(f" It lacks the date.\n{MARKER}\nThe cat left on Monday.\n{END}\nAnd so on")
    assert output == JointOutput("parsed", "It lacks the date.", "The cat left on Monday.")


@pytest.mark.parametrize(("feedback", "refinement"), [("", "a"), ("a", " \n"), (f"a {END}", "b"), ("a", f"b {MARKER}")])
def test_texts_that_could_not_be_taken_apart_are_refused(feedback: str, refinement: str) -> None:
    with pytest.raises(ValueError, match="without"):
        write_joint_output(feedback, refinement)
