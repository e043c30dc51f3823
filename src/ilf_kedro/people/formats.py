"""Every format that a campaign is exported in or imported from, by its name."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from ilf_kedro.people.agreement import pair_agreements
from ilf_kedro.people.argilla import export_argilla, import_argilla
from ilf_kedro.people.campaign import get_settings, list_items
from ilf_kedro.people.database import CampaignError
from ilf_kedro.people.items import Item
from ilf_kedro.people.label_studio import export_label_studio, import_label_studio, labelling_config
from ilf_kedro.people.project_files import (
    collected_feedback,
    flat,
    incorporations,
    method_ranks,
    ranked_examples,
    round_feedback,
)
from ilf_kedro.people.records import Record, dump_line, import_records, list_records, parse_lines, to_lines

__all__ = ["EXPORTS", "IMPORTS", "export", "import_file"]

EXPORTS: Mapping[str, Callable[[Sequence[Record], Sequence[Item]], str]] = {
    "answers": lambda records, items: to_lines(records),
    "items": lambda records, items: to_lines(items),
    "feedback": lambda records, items: "".join(dump_line(flat(row)) for row in collected_feedback(records, items)),
    "rounds": lambda records, items: to_lines(round_feedback(records, items)),
    "tournament": lambda records, items: to_lines(ranked_examples(records, items)),
    "rankings": lambda records, items: to_lines(method_ranks(records, items)),
    "incorporated": lambda records, items: to_lines(incorporations(records)),
    "agreement": lambda records, items: to_lines(pair_agreements(records)),
    "label-studio": export_label_studio,
    "label-studio-config": lambda records, items: labelling_config(items[0]),
    "argilla": export_argilla,
}
IMPORTS: Mapping[str, Callable[[str, str, Sequence[Item], str], list[Record]]] = {
    "answers": lambda text, file, items, campaign: parse_lines(text, file, Record),
    "label-studio": import_label_studio,
    "argilla": import_argilla,
}


def export(connection: sqlite3.Connection, name: str) -> str:
    """Return the campaign's items and answers in the format of that name.

    Raises:
        CampaignError: the campaign has nothing for this format, such as rankings where feedback was asked for.
    """
    text = EXPORTS[name](list_records(connection), list_items(connection))
    if not text.strip():
        kinds = sorted({item.kind for item in list_items(connection)})
        raise CampaignError(
            f"nothing to export as {name}: the campaign asks for {', '.join(kinds)}, or nobody answered"
        )
    return text


def import_file(connection: sqlite3.Connection, name: str, text: str, file: str) -> int:
    """Add the answers of a file in the format of that name, and return how many are new.

    Raises:
        CampaignError: it names every fault of the file; then nothing is added.
    """
    campaign = get_settings(connection).name
    return import_records(connection, IMPORTS[name](text, file, list_items(connection), campaign))
