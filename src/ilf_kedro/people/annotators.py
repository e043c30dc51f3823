"""Annotators: a name that only the campaign's file knows, a pseudonym for everything else, and a link that can end."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3

from ilf_kedro.people.campaign import get_guidelines, now
from ilf_kedro.people.database import CampaignError, Database

__all__ = ["Annotator", "acknowledge", "erase", "find_by_token", "get_annotator", "invite", "revoke", "set_language"]


class Annotator:
    """Who answers; `acknowledged` is the newest version of the instructions that they have read."""

    def __init__(self, row: sqlite3.Row) -> None:
        self.annotator_id: int = row["annotator_id"]
        self.pseudonym: str = row["pseudonym"]
        self.language: str | None = row["language"]
        self.acknowledged: int = row["acknowledged"]


def invite(connection: sqlite3.Connection, name: str, language: str | None = None) -> str:
    """Return a new token for the annotator, who is added where the name is new; an older one ends.

    Only the token's hash is kept, so it can be shown this once.

    Raises:
        CampaignError: the name is blank.
    """
    if not name.strip():
        raise CampaignError("an annotator needs a name; give one, such as --annotator anna")
    token = secrets.token_urlsafe(24)
    connection.execute(
        "INSERT INTO annotators (pseudonym, name, token_hash, language) VALUES (?, ?, ?, ?) ON CONFLICT (name) "
        "DO UPDATE SET token_hash = excluded.token_hash, language = coalesce(excluded.language, language)",
        (f"annotator-{secrets.token_hex(4)}", name.strip(), _hash(token), language),
    )
    return token


def revoke(connection: sqlite3.Connection, name: str) -> None:
    """End the annotator's link; what they answered stays.

    Raises:
        CampaignError: nobody of that name is known.
    """
    annotator = get_annotator(connection, name)
    connection.execute("UPDATE annotators SET token_hash = NULL WHERE annotator_id = ?", (annotator.annotator_id,))


def count_links(connection: sqlite3.Connection) -> int:
    """Return how many annotators have a link that holds."""
    (n,) = connection.execute("SELECT count(*) FROM annotators WHERE token_hash IS NOT NULL").fetchone()
    return int(n)


def erase(database: Database, name: str, *, answers: bool = False) -> str:
    """Remove the name from the file and its log, with the answers too where that is asked, and return the pseudonym.

    Raises:
        CampaignError: nobody of that name is known.
    """

    def work(connection: sqlite3.Connection) -> str:
        annotator = get_annotator(connection, name)
        key = (annotator.annotator_id,)
        connection.execute("UPDATE annotators SET name = NULL, token_hash = NULL WHERE annotator_id = ?", key)
        if answers:
            own = "(SELECT assignment_id FROM assignments WHERE annotator_id = ?)"
            connection.execute(f"DELETE FROM drafts WHERE assignment_id IN {own}", key)  # noqa: S608  # a constant
            connection.execute(f"DELETE FROM times WHERE assignment_id IN {own}", key)  # noqa: S608
            connection.execute("DELETE FROM answers WHERE annotator_id = ?", key)
            connection.execute("DELETE FROM assignments WHERE annotator_id = ?", key)
        return annotator.pseudonym

    pseudonym = database.do(work)
    database.forget_traces()
    return pseudonym


def find_by_token(connection: sqlite3.Connection, token: str) -> Annotator | None:
    """Return whose token it is; None for one that nobody has or that has ended."""
    row = connection.execute("SELECT * FROM annotators WHERE token_hash = ?", (_hash(token),)).fetchone()
    return Annotator(row) if row else None


def get_annotator(connection: sqlite3.Connection, name: str) -> Annotator:
    """Return the annotator of the name, or of the pseudonym.

    Raises:
        CampaignError: nobody of that name is known.
    """
    row = connection.execute("SELECT * FROM annotators WHERE name = ? OR pseudonym = ?", (name, name)).fetchone()
    if row is None:
        known = [each["name"] or each["pseudonym"] for each in connection.execute("SELECT * FROM annotators")]
        raise CampaignError(f"there is no annotator {name!r}; known: {', '.join(known) or 'nobody yet'}")
    return Annotator(row)


def acknowledge(connection: sqlite3.Connection, annotator_id: int, version: int) -> None:
    """Record that the annotator has read this version of the instructions.

    Raises:
        CampaignError: there is a newer version.
    """
    newest, _ = get_guidelines(connection)
    if version != newest:
        raise CampaignError(f"the instructions are now version {newest}; read them again")
    connection.execute(
        "UPDATE annotators SET acknowledged = ?, acknowledged_at = ? WHERE annotator_id = ?",
        (version, now(), annotator_id),
    )


def set_language(connection: sqlite3.Connection, annotator_id: int, language: str) -> None:
    """Keep the language that the annotator chose."""
    connection.execute("UPDATE annotators SET language = ? WHERE annotator_id = ?", (language, annotator_id))


def short_hash(text: str) -> str:
    """Return a short name for the text that does not tell it."""
    return _hash(text)[:10]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
