"""What page and server say to one another."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError

from ilf_kedro.people.answers import Answer, FeedbackAnswer, rename_ranks
from ilf_kedro.people.assignment import Assignment
from ilf_kedro.people.blinding import LETTERS
from ilf_kedro.people.items import Passage
from ilf_kedro.people.rendering import highlight
from ilf_kedro.people.spreadsheet import as_shown
from ilf_kedro.people.submissions import LastAnswer
from ilf_kedro.schemas.base import Options

__all__ = ["Draft", "Language", "Read", "Skip", "Submission", "Time", "describe", "explain", "lettered"]

Identifier = Annotated[str, Field(min_length=1, max_length=64)]
Milliseconds = Annotated[int, Field(ge=0, le=2**50)]


class Read(Options):
    """The instructions of this version were read."""

    version: int


class Language(Options):
    """The page is to be in this language."""

    language: Identifier


class Draft(Options):
    """What stands in the form of a task so far; `sequence` counts the annotator's changes to it."""

    task: Identifier
    revision: Annotated[int, Field(ge=0)]
    sequence: Annotated[int, Field(ge=0)]
    body: dict[str, str | bool | dict[str, int] | None]


class Time(Options):
    """How long one opening (`page`) of a task has lasted so far."""

    task: Identifier
    page: Identifier
    active_ms: Milliseconds
    open_ms: Milliseconds


class Submission(Time):
    """An answer, with its candidates by letter, as the revision after `revision`."""

    revision: Annotated[int, Field(ge=0)]
    answer: Answer
    comment: str = ""

    def texts(self) -> list[str]:
        """Return whatever the annotator wrote."""
        written = (
            (self.answer.feedback, self.answer.ideal_output or "") if isinstance(self.answer, FeedbackAnswer) else ()
        )
        return [*written, self.comment]


class Skip(Time):
    """The task is passed on, and why."""

    revision: Annotated[int, Field(ge=0)]
    reason: Annotated[str, Field(max_length=2000)]


def lettered(answer: Answer, assignment: Assignment) -> Answer:
    """Return an answer by letters as one by candidates."""
    return rename_ranks(answer, dict(zip(LETTERS, assignment.order_shown, strict=False)))


def describe(assignment: Assignment, draft: tuple[str, int] | None, last: LastAnswer | None) -> dict[str, object]:
    """Return what the page shows of a task, the draft and the last answer with it."""
    item = as_shown(assignment)
    to_letters = dict(zip(assignment.order_shown, LETTERS, strict=False))
    return {
        "task": assignment.assignment_id,
        "kind": item.kind,
        "inputs": [_show(passage) for passage in item.inputs],
        "initial_output": _show(item.initial_output) if item.initial_output else None,
        "feedback": item.feedback,
        "outputs": [_show(candidate.output) for candidate in item.candidates],
        "opinions": [rename_ranks(answer, to_letters).model_dump(mode="json") for answer in item.opinions],
        "draft": {"body": draft[0], "sequence": draft[1]} if draft else None,
        "revision": last.revision if last else 0,
        "answer": rename_ranks(last.answer, to_letters).model_dump(mode="json") if last and last.answer else None,
        "comment": last.comment if last else "",
    }


def explain(error: Exception) -> str:
    """Return an error in one sentence."""
    return error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)


def _show(passage: Passage) -> dict[str, object]:
    code = passage.kind == "code"
    return {
        "label": passage.label,
        "kind": passage.kind,
        "runs": highlight(passage.text, passage.language) if code else [("", passage.text)],
        "messages": [{"role": turn.role, "content": turn.content} for turn in passage.messages],
        "results": passage.results,
    }
