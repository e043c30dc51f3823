"""A campaign: its settings, its instructions and its items."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ilf_kedro.people.blinding import draw
from ilf_kedro.people.database import CampaignError, Database
from ilf_kedro.people.items import Item
from ilf_kedro.schemas.base import Options
from ilf_kedro.schemas.wording import counted

__all__ = ["Settings", "add_guidelines", "create_campaign", "get_item", "get_settings", "list_items", "now"]


class Settings(Options):
    """How a campaign's items are handed out.

    Each item goes to `overlap` annotators; with a share below 1, only that share of the items (drawn from the seed)
    does, and the others to one. One task in `gold_every` is a hidden check, where there are gold items. A task that
    nobody touches for `lease_seconds` goes to someone else. Time without any input counts as active up to
    `idle_seconds`.
    """

    name: str
    seed: int = 0
    round: Annotated[int, Field(ge=0)] = 0
    overlap: Annotated[int, Field(ge=1)] = 1
    overlap_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    gold_every: Annotated[int, Field(ge=2)] = 10
    lease_seconds: Annotated[float, Field(gt=0)] = 1800.0
    idle_seconds: Annotated[float, Field(gt=0)] = 60.0
    max_characters: Annotated[int, Field(ge=100, le=200_000)] = 50_000
    classes: tuple[str, ...] = ()
    language: str = "en"


def create_campaign(path: Path, settings: Settings, items: Sequence[Item], guidelines: str) -> Database:
    """Make a campaign's file with its items in their order.

    Raises:
        CampaignError: the file is there already, there is nothing to ask, or two items have one item_id.
    """
    if not any(item.is_asked and item.gold is None for item in items):
        raise CampaignError(f"no item of {settings.name} asks anything; look at the tables that it is made from")
    if repeated := [item_id for item_id, n in Counter(item.item_id for item in items).items() if n > 1]:
        raise CampaignError(f"{counted(len(repeated), 'item_id')} more than once, such as {repeated[0]!r}")
    database = Database(path, create=True)
    database.do(_fill, settings, items, guidelines)
    return database


def _fill(connection: sqlite3.Connection, settings: Settings, items: Sequence[Item], guidelines: str) -> None:
    connection.execute("INSERT INTO campaign VALUES (?)", (settings.model_dump_json(),))
    add_guidelines(connection, guidelines)
    ordinary = [item.item_id for item in items if item.gold is None]
    n_shared = math.ceil(settings.overlap_share * len(ordinary))
    shared = set(draw(settings.seed, "overlap").sample(ordinary, n_shared))
    connection.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                item.item_id,
                position,
                item.model_dump_json(),
                item.gold is not None,
                item.is_asked,
                item.overlap or (settings.overlap if item.item_id in shared else 1),
            )
            for position, item in enumerate(items)
        ],
    )


def add_guidelines(connection: sqlite3.Connection, text: str) -> int:
    """Keep the instructions as a new version, which every annotator must acknowledge, and return its number."""
    (last,) = connection.execute("SELECT coalesce(max(version), 0) FROM guidelines").fetchone()
    connection.execute("INSERT INTO guidelines VALUES (?, ?, ?)", (last + 1, text, now()))
    return int(last) + 1


def get_guidelines(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return the newest version of the instructions, and its text."""
    version, text = connection.execute("SELECT version, text FROM guidelines ORDER BY version DESC LIMIT 1").fetchone()
    return version, text


def get_settings(connection: sqlite3.Connection) -> Settings:
    """Return how the campaign was set up."""
    return Settings.model_validate_json(connection.execute("SELECT settings FROM campaign").fetchone()[0])


def get_item(connection: sqlite3.Connection, item_id: str) -> Item:
    """Return the item as it was created."""
    row = connection.execute("SELECT body FROM items WHERE item_id = ?", (item_id,)).fetchone()
    return Item.model_validate_json(row["body"])


def list_items(connection: sqlite3.Connection) -> list[Item]:
    """Return all items in their order."""
    return [
        Item.model_validate_json(row["body"]) for row in connection.execute("SELECT body FROM items ORDER BY position")
    ]


def now() -> str:
    """Return the time as exports have it: UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
