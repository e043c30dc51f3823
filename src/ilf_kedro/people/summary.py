"""How far a campaign is, and how its annotators do."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ilf_kedro.people.agreement import pair_agreements
from ilf_kedro.people.campaign import get_guidelines, list_items
from ilf_kedro.people.records import Record, latest, list_records

__all__ = ["AnnotatorSummary", "Summary", "summarise"]


@dataclass(frozen=True, slots=True)
class AnnotatorSummary:
    """One annotator's part; the share of right checks and the median time are None where there is none."""

    name: str
    has_link: bool
    answered: int
    skipped: int
    checks: int
    checks_right: int
    median_seconds: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole campaign: items asked about, those with all their answers, and pairs of annotators who agree."""

    items: int
    complete: int
    answers: int
    identical: int
    guideline_version: int
    annotators: tuple[AnnotatorSummary, ...]
    pairs: int
    agreement: float | None


def summarise(connection: sqlite3.Connection) -> Summary:
    """Return how far the campaign is."""
    records, items = list_records(connection), list_items(connection)
    ordinary = [item for item in items if item.gold is None]
    (complete,) = connection.execute(
        "SELECT count(*) FROM items i WHERE is_asked AND NOT is_gold AND overlap <= "
        "(SELECT count(*) FROM assignments a WHERE a.item_id = i.item_id AND state = 'submitted')"
    ).fetchone()
    pairs = [pair.agreement for pair in pair_agreements(records)]
    version, _ = get_guidelines(connection)
    rows = connection.execute("SELECT * FROM annotators ORDER BY annotator_id").fetchall()
    return Summary(
        items=sum(item.is_asked for item in ordinary),
        complete=complete,
        answers=len(latest(records)),
        identical=sum(not item.is_asked for item in ordinary),
        guideline_version=version,
        annotators=tuple(_of_annotator(row, records) for row in rows),
        pairs=len(pairs),
        agreement=statistics.fmean(pairs) if pairs else None,
    )


def _of_annotator(row: sqlite3.Row, records: Sequence[Record]) -> AnnotatorSummary:
    own = [record for record in records if record.annotator == row["pseudonym"]]
    newest = {record.item_id: record for record in own}.values()  # records come in order, the newest last
    checks = [record.gold_correct for record in newest if record.gold and record.gold_correct is not None]
    times = [record.seconds_active for record in newest if record.seconds_active is not None and record.answer]
    return AnnotatorSummary(
        name=row["name"] or row["pseudonym"],
        has_link=row["token_hash"] is not None,
        answered=sum(record.status == "submitted" and not record.gold for record in newest),
        skipped=sum(record.status == "skipped" for record in newest),
        checks=len(checks),
        checks_right=sum(checks),
        median_seconds=statistics.median(times) if times else None,
    )
