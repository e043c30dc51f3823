"""Tasks as a CSV that a spreadsheet can fill in, away from any network, and what comes back."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Sequence

from ilf_kedro.people.assignment import Assignment, claim, find_assignment
from ilf_kedro.people.blinding import LETTERS
from ilf_kedro.people.campaign import get_settings
from ilf_kedro.people.database import CampaignError
from ilf_kedro.people.exchange import CHOICES, answer_of, letters, shown_texts
from ilf_kedro.people.items import Item
from ilf_kedro.people.submissions import ConflictError, last_revision, skip, submit
from ilf_kedro.schemas.wording import counted

__all__ = ["check_out", "read_sheet", "write_sheet"]

_ANSWERS = {
    "feedback": ("feedback", "feedback_class", "ideal_output", "nothing_to_say"),
    "compare": ("rank_A", "rank_B", "all_bad"),
    "rank": (*(f"rank_{letter}" for letter in LETTERS), "all_bad"),
    "incorporated": ("incorporated",),
}
_ALWAYS = ("comment", "skip_because")
# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def check_out(
    connection: sqlite3.Connection, annotator_id: int, n: int, *, days: float, at: float | None = None
) -> list[Assignment]:
    """Give the annotator up to `n` tasks at once, theirs alone for so many days."""
    taken = []
    for _ in range(n):
        if (assignment := claim(connection, annotator_id, at=at)) is None:
            break
        taken.append(assignment)
        # Held back while the next is claimed, which would otherwise be the same.
        connection.execute(
            "UPDATE assignments SET state = 'submitted' WHERE assignment_id = ?", (assignment.assignment_id,)
        )
    for assignment in taken:
        connection.execute(
            "UPDATE assignments SET state = 'open', expires_at = expires_at - ? + ? WHERE assignment_id = ?",
            (get_settings(connection).lease_seconds, days * 86_400, assignment.assignment_id),
        )
    return taken


def write_sheet(assignments: Sequence[Assignment]) -> str:
    """Return the CSV: what is to be read, and empty columns for the answers, each task with its candidates' letters."""
    shown: dict[str, None] = {}
    answers: dict[str, None] = {}
    rows = []
    for assignment in assignments:
        item = as_shown(assignment)
        texts = {name: _inert(text) for name, text in shown_texts(item).items()}
        asked = [name for name in _ANSWERS[item.kind] if not name.startswith("rank_") or name[-1] in letters(item)]
        shown |= dict.fromkeys(texts)
        answers |= dict.fromkeys(asked)
        rows.append({"task": assignment.assignment_id, "kind": item.kind, **texts})
    file = io.StringIO()
    writer = csv.DictWriter(file, ["task", "kind", *shown, *answers, *_ALWAYS], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return "\ufeff" + file.getvalue()


def read_sheet(connection: sqlite3.Connection, annotator_id: int, text: str, file: str) -> tuple[int, int]:
    """Hand in what a sheet says, and return how many tasks were answered (or skipped) and how many left blank.

    A sheet that is read twice changes nothing the second time.

    Raises:
        CampaignError: it names every row at fault; then nothing is handed in.
    """
    sample = text.removeprefix("\ufeff")
    separator = max(",;\t", key=sample.split("\n", 1)[0].count)
    n_done, n_blank, faults = 0, 0, []
    reader = csv.DictReader(io.StringIO(sample), delimiter=separator)
    if "task" not in (reader.fieldnames or ()):
        raise CampaignError(f"{file} has no column `task`; found {', '.join(reader.fieldnames or ()) or 'nothing'}")
    for row in reader:
        values = {name: value for name, value in row.items() if name and isinstance(value, str) and value.strip()}
        if not set(values) & {*_ALWAYS, *CHOICES, *(name for names in _ANSWERS.values() for name in names)}:
            n_blank += 1
            continue
        try:
            _hand_in(connection, annotator_id, values)
            n_done += 1
        except (ValueError, ConflictError) as error:
            message = str(error).split("\n")
            faults.append(f"{file}:{reader.line_num}: {message[2].strip() if len(message) > 2 else message[0]}")
    if faults:
        raise CampaignError(
            f"{counted(len(faults), 'row')} at fault; nothing was imported:\n  " + "\n  ".join(faults[:50])
        )
    return n_done, n_blank


def as_shown(assignment: Assignment) -> Item:
    """Return the item with its candidates in the order shown, so that their letters are the annotator's."""
    by_id = {each.candidate_id: each for each in assignment.item.candidates}
    return assignment.item.model_copy(update={"candidates": tuple(by_id[key] for key in assignment.order_shown)})


def _hand_in(connection: sqlite3.Connection, annotator_id: int, values: dict[str, str]) -> None:
    assignment = find_assignment(connection, annotator_id, values.get("task", ""))
    item = as_shown(assignment)
    base = last_revision(connection, assignment)
    # Read again, a sheet says what is known already: it is compared with the revision that it made.
    for revision in ([base - 1] if base else []) + [base]:
        try:
            if reason := values.get("skip_because"):
                skip(connection, annotator_id, assignment.assignment_id, reason, base_revision=revision)
            else:
                answer = answer_of(values, item)
                comment = values.get("comment", "")
                submit(
                    connection, annotator_id, assignment.assignment_id, answer, base_revision=revision, comment=comment
                )
        except ConflictError:
            continue
        return


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
