"""Argilla's JSON both ways: the list of records that `dataset.records.to_json` writes and `from_json` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ilf_kedro.people.database import CampaignError
from ilf_kedro.people.exchange import letters, make_record, newest_by_item, shown_texts, values_of
from ilf_kedro.people.items import Item
from ilf_kedro.people.messages import explain
from ilf_kedro.people.records import Record
from ilf_kedro.schemas.wording import counted

__all__ = ["export_argilla", "import_argilla"]


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Response(_Loose):
    value: object
    user_id: str | None = None
    status: str | None = None


class _Record(_Loose):
    id: str
    metadata: dict[str, object] = {}
    responses: dict[str, list[_Response]] = {}


def export_argilla(records: Sequence[Record], items: Sequence[Item]) -> str:
    """Return the items as records, with the newest answers as responses.

    Ranks are questions of their own (rank_A, …), since a ranking in Argilla's Python client has no ties. Who a user_id
    is, and how long they took, stands in the metadata.
    """
    answers = newest_by_item(records)
    rows = []
    for item in (item for item in items if item.is_asked):
        responses: dict[str, list[dict[str, object]]] = {}
        seconds = {}
        for record in answers.get(item.item_id, []):
            values = values_of(record.answer, item) if record.answer else {"reason": record.reason or ""}
            values |= {"comment": record.comment} if record.comment else {}
            status = "submitted" if record.answer else "discarded"
            for question, value in values.items():
                response: dict[str, object] = {"value": value, "user_id": record.annotator, "status": status}
                responses.setdefault(question, []).append(response)
            seconds[record.annotator] = {"seconds_open": record.seconds_open, "submitted_at": record.submitted_at}
        rows.append(
            {
                "id": item.item_id,
                "fields": shown_texts(item),
                "metadata": {"kind": item.kind, "annotators": json.dumps(seconds)},
                "suggestions": {},
                "responses": responses,
                "status": "completed" if responses else "pending",
            }
        )
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def import_argilla(text: str, file: str, items: Sequence[Item], campaign: str) -> list[Record]:
    """Read the records of a dataset that was made from these items.

    A question of the type ranking, called `ranking`, is read too: a list of candidates (output_A, …), the best first,
    or of {value, rank} with ties.

    Raises:
        CampaignError: it names every record at fault.
    """
    try:
        rows = TypeAdapter(list[_Record]).validate_json(text)
    except ValidationError as error:
        raise CampaignError(f"{file} is no JSON of Argilla's records: {explain(error)}") from None
    by_id, records, faults = {item.item_id: item for item in items}, [], []
    for number, row in enumerate(rows, start=1):
        if (item := by_id.get(row.id)) is None:
            faults.append(f"{file} record {number}: id {row.id!r} is not in the campaign")
            continue
        try:
            records += _records(row, item, campaign)
        except ValueError as error:
            faults.append(f"{file} record {number}: {explain(error)}")
    if faults:
        raise CampaignError(f"{counted(len(faults), 'fault')}; nothing was imported:\n  " + "\n  ".join(faults[:50]))
    return records


def _records(row: _Record, item: Item, campaign: str) -> list[Record]:
    by_user: dict[str, dict[str, object]] = {}
    discarded = set()
    for question, responses in row.responses.items():
        for response in responses:
            if response.status == "draft":
                continue
            user = response.user_id or "argilla"
            values = by_user.setdefault(user, {})
            values |= _ranks(response.value, item) if question == "ranking" else {question: response.value}
            if response.status == "discarded":
                discarded.add(user)
    told = json.loads(str(row.metadata.get("annotators") or "{}"))
    return [
        make_record(
            item,
            campaign,
            user,
            values,
            str(told.get(user, {}).get("submitted_at") or "1970-01-01T00:00:00Z"),
            seconds=told.get(user, {}).get("seconds_open"),
            reason=str(values.get("reason") or "discarded in Argilla") if user in discarded else None,
        )
        for user, values in by_user.items()
    ]


def _ranks(value: object, item: Item) -> dict[str, object]:
    ranks: dict[str, object] = {}
    for place, entry in enumerate(value if isinstance(value, list) else [], start=1):
        name, rank = (entry.get("value"), entry.get("rank", place)) if isinstance(entry, dict) else (entry, place)
        letter = str(name).removeprefix("output_")
        if letter not in letters(item):
            raise ValueError(
                f"{name!r} in ranking; expected one of {', '.join('output_' + each for each in letters(item))}"
            )
        ranks[f"rank_{letter}"] = rank
    return ranks
