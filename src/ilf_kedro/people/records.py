"""The one row per judgement that everything is exported from, and imported as."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from ilf_kedro.people.answers import ANSWER, Answer, RankingAnswer, check_answer
from ilf_kedro.people.campaign import get_settings, list_items
from ilf_kedro.people.database import CampaignError
from ilf_kedro.people.items import Item, Kind, Origin
from ilf_kedro.schemas.base import Options
from ilf_kedro.schemas.wording import counted

__all__ = ["Record", "dump_line", "import_records", "latest", "list_records", "parse_lines", "to_lines"]

OptionsT = TypeVar("OptionsT", bound=Options)
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
Text = Annotated[str, Field(min_length=1)]


class Record(Options):
    """One judgement: who said what about which item when, having seen the candidates in which order.

    A line of an export. Each revision of an answer is a record; the one with the highest revision holds. Annotators
    stand under a pseudonym. `answer` is null where the task was skipped, `reason` where not. Times are in seconds,
    null where nobody measured: `seconds_active` without idle time, `seconds_open` with it. `sources` says which
    methods wrote a candidate.
    """

    campaign: Text
    round: Annotated[int, Field(ge=0)] = 0
    item_id: Text
    example_id: Text
    kind: Kind
    annotator: Text
    revision: Annotated[int, Field(ge=1)]
    status: Literal["submitted", "skipped"]
    answer: Answer | None
    reason: str | None = None
    comment: str = ""
    gold: bool = False
    gold_correct: bool | None = None
    order_shown: tuple[str, ...]
    sources: dict[str, tuple[str, ...]]
    origin: Origin | None = None
    guideline_version: Annotated[int, Field(ge=0)] = 0
    first_shown_at: Text
    submitted_at: Text
    seconds_active: Annotated[float, Field(ge=0)] | None = None
    seconds_open: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Record:
        if (self.status == "submitted") != (self.answer is not None):
            raise ValueError(f"status {self.status} {'without' if self.answer is None else 'with'} an answer")
        if sorted(self.order_shown) != sorted(self.sources):
            raise ValueError("order_shown and sources name different candidates")
        if self.answer is not None:
            check_answer(self.answer, self.kind, self.order_shown)
        return self


def list_records(connection: sqlite3.Connection) -> list[Record]:
    """Return every judgement of the campaign, in the order in which they came."""
    settings = get_settings(connection)
    items = {item.item_id: item for item in list_items(connection)}
    rows = connection.execute("SELECT * FROM answers JOIN annotators USING (annotator_id) ORDER BY answers.rowid")
    return [_record(row, items[row["item_id"]], settings.name) for row in rows]


def latest(records: Iterable[Record]) -> list[Record]:
    """Return the newest revision of each answer, without skipped tasks and hidden checks."""
    newest: dict[tuple[str, str, int], Record] = {}
    for record in records:
        key = (record.item_id, record.annotator, record.round)
        if key not in newest or record.revision > newest[key].revision:
            newest[key] = record
    return [record for record in newest.values() if record.status == "submitted" and not record.gold]


def is_correct(item: Item, answer: Answer | None) -> bool | None:
    """Tell whether an answer to a hidden check is right; None where it is no check, or was skipped.

    Feedback is right in saying whether there is anything to say, and in its class where the check has one; an order
    where every pair of candidates stands as in the check.
    """
    if item.gold is None or answer is None:
        return None
    if isinstance(item.gold, RankingAnswer) and isinstance(answer, RankingAnswer):
        if item.gold.all_bad != answer.all_bad or set(item.gold.ranks) != set(answer.ranks):
            return item.gold.all_bad and answer.all_bad
        pairs = [(a, b) for a in answer.ranks for b in answer.ranks if a < b]
        return all(_sign(item.gold.ranks, *pair) == _sign(answer.ranks, *pair) for pair in pairs)
    wanted, given = item.gold.model_dump(), answer.model_dump()
    keys = ["nothing_to_say", "incorporated", *(["feedback_class"] if wanted.get("feedback_class") else [])]
    return all(wanted.get(key) == given.get(key) for key in keys)


def import_records(connection: sqlite3.Connection, records: Sequence[Record]) -> int:
    """Add judgements to a campaign of the same items, and return how many are new; those that are there stay.

    Raises:
        CampaignError: it names every record that does not fit the campaign; then none is added.
    """
    items = {item.item_id: item for item in list_items(connection)}
    faults = [fault for number, record in enumerate(records, 1) if (fault := _misfit(number, record, items))]
    if faults:
        raise CampaignError(
            f"{counted(len(faults), 'record')} at fault; nothing was taken into the campaign:\n  "
            + "\n  ".join(faults[:50])
        )
    return sum(_insert(connection, record) for record in records)


def to_lines(rows: Iterable[Options]) -> str:
    """Write one JSON object per line; whatever some reader takes for a line end is escaped within it."""
    return "".join(dump_line(row.model_dump(mode="json")) for row in rows)


def dump_line(row: Mapping[str, object]) -> str:
    """Write the row as a line of JSON."""
    return json.dumps(row, ensure_ascii=False).translate(_LINE_ENDS) + "\n"


def parse_lines(text: str, file: str, model: type[OptionsT]) -> list[OptionsT]:
    """Read one JSON object per line, each a `model`.

    Raises:
        CampaignError: it names every line at fault, and what is wrong there.
    """
    rows, faults = [], []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(model.model_validate_json(line))
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=False):
                place = ".".join(map(str, detail["loc"])) or "the line"
                faults.append(f"{file}:{number} {place}: {detail['msg']}")
    if faults:
        raise CampaignError(f"{counted(len(faults), 'fault')}; nothing was imported:\n  " + "\n  ".join(faults[:50]))
    return rows


def _record(row: sqlite3.Row, item: Item, campaign: str) -> Record:
    answer = ANSWER.validate_json(row["body"]) if row["body"] else None
    return Record(
        campaign=campaign,
        round=row["round"],
        item_id=item.item_id,
        example_id=item.example_id,
        kind=item.kind,
        annotator=row["pseudonym"],
        revision=row["revision"],
        status=row["status"],
        answer=answer,
        reason=row["reason"],
        comment=row["comment"],
        gold=item.gold is not None,
        gold_correct=is_correct(item, answer),
        order_shown=tuple(json.loads(row["order_shown"])),
        sources={each.candidate_id: each.sources for each in item.candidates},
        origin=item.origin,
        guideline_version=row["guideline_version"],
        first_shown_at=row["first_shown_at"],
        submitted_at=row["submitted_at"],
        seconds_active=_seconds(row["active_ms"]),
        seconds_open=_seconds(row["open_ms"]),
    )


def _misfit(number: int, record: Record, items: dict[str, Item]) -> str | None:
    item = items.get(record.item_id)
    if item is None:
        return f"record {number}: item_id {record.item_id!r} is not in the campaign"
    if record.kind != item.kind or sorted(record.order_shown) != sorted(item.candidate_ids):
        return f"record {number}: {record.item_id!r} is another question there (other candidates or another kind)"
    return None


def _insert(connection: sqlite3.Connection, record: Record) -> int:
    connection.execute("INSERT OR IGNORE INTO annotators (pseudonym) VALUES (?)", (record.annotator,))
    (annotator,) = connection.execute(
        "SELECT annotator_id FROM annotators WHERE pseudonym = ?", (record.annotator,)
    ).fetchone()
    order = json.dumps(record.order_shown)
    # The identifier tells nothing: nobody without the annotator's link can use it.
    connection.execute(
        "INSERT INTO assignments VALUES (lower(hex(randomblob(16))), ?, ?, ?, ?, ?, NULL) "
        "ON CONFLICT (item_id, annotator_id) DO UPDATE SET state = excluded.state, expires_at = NULL",
        (record.item_id, annotator, record.status, order, record.first_shown_at),
    )
    answer = record.answer.model_dump_json() if record.answer else None
    return connection.execute(
        "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.item_id,
            annotator,
            record.round,
            record.revision,
            record.status,
            answer,
            record.reason,
            record.comment,
            order,
            record.guideline_version,
            record.first_shown_at,
            record.submitted_at,
            _milliseconds(record.seconds_active),
            _milliseconds(record.seconds_open),
        ),
    ).rowcount


def _sign(ranks: dict[str, int], a: str, b: str) -> int:
    return (ranks[a] > ranks[b]) - (ranks[a] < ranks[b])


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
