"""Who gets which item: claims that only one wins, leases that end, overlap and hidden checks in the same queue."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from dataclasses import dataclass
from functools import cache

from ilf_kedro.people.blinding import draw, place
from ilf_kedro.people.campaign import Settings, get_item, get_settings, now
from ilf_kedro.people.database import CampaignError
from ilf_kedro.people.items import Item

__all__ = ["Assignment", "Progress", "claim", "extend", "find_assignment", "measure_progress", "reopen_skipped"]

# What others hold or have done of an item: finished work for ever, an open claim until its lease ends.
_TAKEN = """
(SELECT count(*) FROM assignments a WHERE a.item_id = i.item_id AND a.annotator_id <> :me
 AND (a.state = 'submitted' OR (a.state = 'open' AND a.expires_at > :now)))
"""
_RESUMABLE = f"""
SELECT m.assignment_id FROM assignments m JOIN items i USING (item_id)
WHERE m.annotator_id = :me AND m.state = 'open' AND (i.is_gold OR m.expires_at > :now OR {_TAKEN} < i.overlap)
ORDER BY i.position LIMIT 1
"""  # noqa: S608  # constants
_FREE = f"""
SELECT i.item_id FROM items i
WHERE i.is_asked AND NOT i.is_gold AND {_TAKEN} < i.overlap
  AND NOT EXISTS (SELECT 1 FROM assignments m WHERE m.item_id = i.item_id AND m.annotator_id = :me)
ORDER BY i.position LIMIT 1
"""  # noqa: S608
# A check that was skipped comes back before a new one: skipping looks the same everywhere, but gets rid of none.
_GOLD = """
SELECT i.item_id, m.state FROM items i LEFT JOIN assignments m ON m.item_id = i.item_id AND m.annotator_id = :me
WHERE i.is_gold AND coalesce(m.state, 'skipped') = 'skipped' ORDER BY m.state IS NULL, i.position LIMIT 1
"""
# Tasks that are out of the annotator's hands, in all and checks alone; a check that was skipped again counts again.
_HANDED_IN = """
SELECT count(*), coalesce(sum(is_gold), 0) FROM (
    SELECT is_gold FROM assignments JOIN items USING (item_id) WHERE annotator_id = :me AND state <> 'open'
    UNION ALL
    SELECT is_gold FROM answers JOIN items USING (item_id) WHERE annotator_id = :me AND is_gold AND revision > 1
)
"""
_IN_HAND = """
SELECT count(*), coalesce(sum(is_gold), 0) FROM assignments JOIN items USING (item_id)
WHERE annotator_id = :me AND state = 'open'
"""
_UNSEEN_GOLD = """
SELECT count(*) FROM items i WHERE is_gold
AND NOT EXISTS (SELECT 1 FROM assignments m WHERE m.item_id = i.item_id AND m.annotator_id = :me)
"""
_OPEN = """
INSERT INTO assignments (assignment_id, item_id, annotator_id, state, order_shown, first_shown_at, expires_at)
VALUES (:key, :item, :me, 'open', :order, :at, :expires)
ON CONFLICT (item_id, annotator_id) DO UPDATE SET state = 'open', expires_at = excluded.expires_at
RETURNING assignment_id
"""


@dataclass(frozen=True, slots=True)
class Assignment:
    """An item in one annotator's hands, with the candidates in the order shown to them."""

    assignment_id: str
    annotator_id: int
    state: str
    order_shown: tuple[str, ...]
    first_shown_at: str
    item: Item


@dataclass(frozen=True, slots=True)
class Progress:
    """How many tasks the annotator has finished, how many of them skipped, and how many there are for them now."""

    done: int
    skipped: int
    left: int


def claim(connection: sqlite3.Connection, annotator_id: int, *, at: float | None = None) -> Assignment | None:
    """Return the annotator's open task, or give them the next one; None where nothing is left for them now.

    It runs inside one transaction, so that of many who ask at once only as many win as the overlap allows. `at` is
    the time in seconds (for tests).
    """
    settings, moment = get_settings(connection), time.time() if at is None else at
    mark, expires = {"me": annotator_id, "now": moment}, moment + settings.lease_seconds
    if resumed := connection.execute(_RESUMABLE, mark).fetchone():
        key = resumed["assignment_id"]
        connection.execute("UPDATE assignments SET expires_at = ? WHERE assignment_id = ?", (expires, key))
        return find_assignment(connection, annotator_id, key)
    pseudonym = _pseudonym(connection, annotator_id)
    chosen = connection.execute(_FREE, mark).fetchone()
    gold = connection.execute(_GOLD, mark).fetchone()
    is_due = _Schedule(settings, pseudonym).is_due(*connection.execute(_HANDED_IN, mark).fetchone())
    if gold and (gold["state"] == "skipped" if chosen is None else is_due):
        chosen = gold
    if chosen is None:
        return None
    item = get_item(connection, chosen["item_id"])
    order = place(settings.seed, pseudonym, item.item_id, item.candidate_ids)
    values = {"key": secrets.token_hex(16), "item": item.item_id, "order": json.dumps(order), "at": now()}
    (key,) = connection.execute(_OPEN, {**mark, **values, "expires": expires}).fetchone()
    return find_assignment(connection, annotator_id, key)


def find_assignment(connection: sqlite3.Connection, annotator_id: int, assignment_id: str) -> Assignment:
    """Return one of the annotator's own tasks.

    Raises:
        CampaignError: they have no such task.
    """
    row = connection.execute(
        "SELECT * FROM assignments WHERE assignment_id = ? AND annotator_id = ?", (assignment_id, annotator_id)
    ).fetchone()
    if row is None:
        raise CampaignError("this task is not one of yours; load the page again")
    return Assignment(
        assignment_id,
        annotator_id,
        row["state"],
        tuple(json.loads(row["order_shown"])),
        row["first_shown_at"],
        get_item(connection, row["item_id"]),
    )


def extend(connection: sqlite3.Connection, assignment_id: str, *, at: float | None = None) -> None:
    """Let the lease of an open task begin anew: someone is at work on it."""
    moment = (time.time() if at is None else at) + get_settings(connection).lease_seconds
    connection.execute(
        "UPDATE assignments SET expires_at = ? WHERE assignment_id = ? AND state = 'open'", (moment, assignment_id)
    )


def reopen_skipped(connection: sqlite3.Connection) -> int:
    """Hand skipped tasks out again, to those who skipped them too, and return how many there are."""
    # A lease that has ended puts a task first for its annotator, but leaves it to anyone who asks sooner.
    return connection.execute("UPDATE assignments SET state = 'open', expires_at = 0 WHERE state = 'skipped'").rowcount


def measure_progress(connection: sqlite3.Connection, annotator_id: int, *, at: float | None = None) -> Progress:
    """Count the annotator's tasks, checks among them, so that no check shows by not being counted."""
    mark = {"me": annotator_id, "now": time.time() if at is None else at}
    states = dict(
        connection.execute("SELECT state, count(*) FROM assignments WHERE annotator_id = :me GROUP BY state", mark)
    )
    (free,) = connection.execute(f"SELECT count(*) FROM ({_FREE.replace('LIMIT 1', '')})", mark).fetchone()  # noqa: S608
    n_open, n_open_gold = connection.execute(_IN_HAND, mark).fetchone()
    (unseen,) = connection.execute(_UNSEEN_GOLD, mark).fetchone()
    n, n_gold = connection.execute(_HANDED_IN, mark).fetchone()
    schedule = _Schedule(get_settings(connection), _pseudonym(connection, annotator_id))
    checks = schedule.coming(n + n_open, n_gold + n_open_gold, free, unseen)
    return Progress(states.get("submitted", 0), states.get("skipped", 0), n_open + free + checks)


class _Schedule:
    """When checks come: one in every block of tasks, where in the block is drawn for each annotator."""

    def __init__(self, settings: Settings, pseudonym: str) -> None:
        self._every = settings.gold_every
        self._slot = cache(
            lambda block: draw(settings.seed, pseudonym, "gold", str(block)).randrange(settings.gold_every)
        )

    def is_due(self, n: int, n_gold: int) -> bool:
        """Tell whether a check comes after `n` tasks, `n_gold` of them checks."""
        block, place_in_block = divmod(n, self._every)
        return n_gold < block + (place_in_block >= self._slot(block))

    def coming(self, n: int, n_gold: int, free: int, unseen: int) -> int:
        """Count the checks among the next tasks, of which `free` are none, while there are `unseen` ones."""
        checks = 0
        for done in range(free):
            while checks < unseen and self.is_due(n + done + checks, n_gold + checks):
                checks += 1
        return checks


def _pseudonym(connection: sqlite3.Connection, annotator_id: int) -> str:
    row = connection.execute("SELECT pseudonym FROM annotators WHERE annotator_id = ?", (annotator_id,)).fetchone()
    return str(row["pseudonym"])
