"""What annotators hand in: drafts, times, answers, revisions of answers, and skipped tasks with their reasons."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from ilf_kedro.people.answers import ANSWER, Answer, check_answer
from ilf_kedro.people.assignment import Assignment, extend, find_assignment
from ilf_kedro.people.campaign import get_settings, now
from ilf_kedro.schemas.base import UserError

__all__ = [
    "ConflictError",
    "Saved",
    "add_time",
    "get_draft",
    "history",
    "last_revision",
    "save_draft",
    "skip",
    "submit",
]

_INSERT = """
INSERT INTO answers (item_id, annotator_id, round, revision, status, body, reason, comment, order_shown,
                     guideline_version, first_shown_at, submitted_at, active_ms, open_ms)
VALUES (:item, :me, :round, :revision, :status, :body, :reason, :comment, :order, :guidelines, :shown, :at,
        :active, :open)
"""


class ConflictError(UserError):
    """The task was answered meanwhile, in another window."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What is on disk now: the revision, and whether it was there before (the same submission came twice)."""

    revision: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """The newest revision of an answer; None in `answer` where the task was skipped."""

    revision: int
    answer: Answer | None
    comment: str


def submit(
    connection: sqlite3.Connection,
    annotator_id: int,
    assignment_id: str,
    answer: Answer,
    *,
    base_revision: int,
    comment: str = "",
) -> Saved:
    """Keep an answer as the revision after `base_revision`, which is 0 for a task that was never answered.

    Raises:
        ValueError: it is no answer to this item.
        ConflictError: another answer has come after that revision.
        CampaignError: the task is not the annotator's.
    """
    assignment = find_assignment(connection, annotator_id, assignment_id)
    check_answer(answer, assignment.item.kind, assignment.item.candidate_ids)
    return _keep(connection, assignment, base_revision, "submitted", comment, body=answer.model_dump_json())


def skip(
    connection: sqlite3.Connection, annotator_id: int, assignment_id: str, reason: str, *, base_revision: int
) -> Saved:
    """Keep that the annotator passed the task on, and why; it goes to others.

    Raises:
        ValueError: there is no reason.
        ConflictError: an answer has come meanwhile.
        CampaignError: the task is not the annotator's.
    """
    if not reason.strip():
        raise ValueError("say why the task is skipped")
    assignment = find_assignment(connection, annotator_id, assignment_id)
    return _keep(connection, assignment, base_revision, "skipped", "", reason=reason)


def save_draft(
    connection: sqlite3.Connection,
    annotator_id: int,
    assignment_id: str,
    body: str,
    *,
    sequence: int,
    base_revision: int,
) -> bool:
    """Keep what was typed so far, and tell whether it was kept: a late draft replaces nothing newer.

    Raises:
        CampaignError: the task is not the annotator's.
    """
    assignment = find_assignment(connection, annotator_id, assignment_id)
    if last_revision(connection, assignment) != base_revision:
        return False
    extend(connection, assignment_id)
    kept = connection.execute(
        "INSERT INTO drafts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body, "
        "sequence = excluded.sequence WHERE excluded.sequence > sequence",
        (assignment_id, body, sequence),
    )
    return kept.rowcount > 0


def get_draft(connection: sqlite3.Connection, assignment_id: str) -> tuple[str, int] | None:
    """Return the draft of a task and its sequence number."""
    row = connection.execute("SELECT body, sequence FROM drafts WHERE assignment_id = ?", (assignment_id,)).fetchone()
    return (row["body"], row["sequence"]) if row else None


def add_time(
    connection: sqlite3.Connection, annotator_id: int, assignment_id: str, page: str, *, active_ms: int, open_ms: int
) -> None:
    """Keep how long one opening of the page has shown the task so far, and how much of that someone was at work.

    Both only grow; `page` names the opening, so that a message that comes twice counts once.

    Raises:
        ValueError: a time is negative, or more of it active than open.
        CampaignError: the task is not the annotator's.
    """
    if not 0 <= active_ms <= open_ms:
        raise ValueError(f"{active_ms} ms active of {open_ms} ms open")
    assignment = find_assignment(connection, annotator_id, assignment_id)
    extend(connection, assignment.assignment_id)
    connection.execute(
        "INSERT INTO times VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "active_ms = max(active_ms, excluded.active_ms), open_ms = max(open_ms, excluded.open_ms)",
        (assignment_id, page, active_ms, open_ms),
    )


def history(connection: sqlite3.Connection, annotator_id: int) -> list[tuple[str, str, str]]:
    """Return the annotator's finished tasks, the newest first: assignment_id, state, time."""
    rows = connection.execute(
        "SELECT assignment_id, state, max(submitted_at) AS at, max(answers.rowid) AS place FROM answers "
        "JOIN assignments USING (item_id, annotator_id) WHERE annotator_id = ? AND state <> 'open' "
        "GROUP BY assignment_id ORDER BY place DESC",
        (annotator_id,),
    )
    return [(row["assignment_id"], row["state"], row["at"]) for row in rows]


def last_revision(connection: sqlite3.Connection, assignment: Assignment) -> int:
    """Return the number of the newest revision of the task's answer, 0 where there is none."""
    (revision,) = connection.execute(
        "SELECT coalesce(max(revision), 0) FROM answers WHERE item_id = ? AND annotator_id = ?",
        (assignment.item.item_id, assignment.annotator_id),
    ).fetchone()
    return int(revision)


def last_answer(connection: sqlite3.Connection, assignment: Assignment) -> LastAnswer | None:
    """Return the newest revision of the task's answer."""
    row = connection.execute(
        "SELECT * FROM answers WHERE item_id = ? AND annotator_id = ? ORDER BY revision DESC LIMIT 1",
        (assignment.item.item_id, assignment.annotator_id),
    ).fetchone()
    if row is None:
        return None
    return LastAnswer(row["revision"], ANSWER.validate_json(row["body"]) if row["body"] else None, row["comment"])


def _keep(
    connection: sqlite3.Connection,
    assignment: Assignment,
    base_revision: int,
    status: str,
    comment: str,
    *,
    body: str | None = None,
    reason: str | None = None,
) -> Saved:
    key = (assignment.assignment_id,)
    active, open_ = connection.execute(
        "SELECT sum(active_ms), sum(open_ms) FROM times WHERE assignment_id = ?", key
    ).fetchone()
    (guidelines,) = connection.execute(
        "SELECT acknowledged FROM annotators WHERE annotator_id = ?", (assignment.annotator_id,)
    ).fetchone()
    values = {
        "item": assignment.item.item_id,
        "me": assignment.annotator_id,
        "round": get_settings(connection).round,
        "revision": base_revision + 1,
        "status": status,
        "body": body,
        "reason": reason,
        "comment": comment,
        "order": json.dumps(assignment.order_shown),
        "guidelines": guidelines,
        "shown": assignment.first_shown_at,
        "at": now(),
        "active": active,
        "open": open_,
    }
    newest = last_revision(connection, assignment)
    if newest > base_revision:
        row = connection.execute(
            "SELECT * FROM answers WHERE item_id = :item AND annotator_id = :me AND revision = :revision", values
        ).fetchone()
        if newest == base_revision + 1 and all(
            row[name] == values[name] for name in ("status", "body", "reason", "comment")
        ):
            return Saved(newest, repeated=True)
        raise ConflictError(
            "this task was answered meanwhile, in another window; load the page again to see the answer"
        )
    if newest < base_revision:
        raise ValueError(f"revision {base_revision} of the answer does not exist; the newest is {newest}")
    connection.execute(_INSERT, values)
    connection.execute("UPDATE assignments SET state = ?, expires_at = NULL WHERE assignment_id = ?", (status, *key))
    connection.execute("DELETE FROM drafts WHERE assignment_id = ?", key)
    return Saved(base_revision + 1)
