"""Label Studio's JSON both ways: tasks with annotations, and a labelling configuration for each kind of item.

The format: labelstud.io/guide/task_format (tasks, annotations, results with from_name, to_name, type and value).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal, cast
from xml.sax.saxutils import quoteattr

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ilf_kedro.people.database import CampaignError
from ilf_kedro.people.exchange import CHOICES, letters, make_record, newest_by_item, shown_texts, values_of
from ilf_kedro.people.items import Item
from ilf_kedro.people.messages import explain
from ilf_kedro.people.records import Record
from ilf_kedro.schemas.wording import counted

__all__ = ["export_label_studio", "import_label_studio", "labelling_config"]


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Result(_Loose):
    from_name: str
    type: str
    value: dict[str, object]


class _Person(_Loose):
    id: int
    email: str | None = None


class _Annotation(_Loose):
    result: list[_Result] = []
    completed_by: int | _Person | None = None
    lead_time: float | None = None
    created_at: str = "1970-01-01T00:00:00Z"
    was_cancelled: bool = False


class _Task(_Loose):
    data: dict[str, object]
    annotations: list[_Annotation] = []


def export_label_studio(records: Sequence[Record], items: Sequence[Item]) -> str:
    """Return the items as tasks to be imported there, with the newest answers as annotations."""
    answers = newest_by_item(records)
    tasks = [
        {
            "data": {"item_id": item.item_id, "kind": str(item.kind)} | shown_texts(item),
            "annotations": [_annotation(record, item) for record in answers.get(item.item_id, [])],
        }
        for item in items
        if item.is_asked
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def import_label_studio(text: str, file: str, items: Sequence[Item], campaign: str) -> list[Record]:
    """Read an export (JSON) of a project that was made from these items.

    `completed_by` becomes the annotator "label-studio-<number>", unless the annotation names one of ours.

    Raises:
        CampaignError: it names every task and annotation at fault.
    """
    try:
        tasks = TypeAdapter(list[_Task]).validate_json(text)
    except ValidationError as error:
        raise CampaignError(f"{file} is no JSON export of Label Studio: {explain(error)}") from None
    by_id, records, faults = {item.item_id: item for item in items}, [], []
    for number, task in enumerate(tasks, start=1):
        item = by_id.get(str(task.data.get("item_id")))
        if item is None:
            faults.append(f"{file} task {number}: data.item_id {task.data.get('item_id')!r} is not in the campaign")
            continue
        for annotation in task.annotations:
            try:
                records.append(_record(annotation, item, campaign))
            except ValueError as error:
                faults.append(f"{file} task {number}: {explain(error)}")
    if faults:
        raise CampaignError(f"{counted(len(faults), 'fault')}; nothing was imported:\n  " + "\n  ".join(faults[:50]))
    return records


def labelling_config(item: Item) -> str:
    """Return the labelling configuration (XML) of a project for items of this shape."""
    shown = [f"  <Text name={quoteattr(name)} value={quoteattr('$' + name)}/>" for name in shown_texts(item)]
    return (
        "\n".join(["<View>", *shown, *(_control(name, kind) for name, kind in _controls(item).items()), "</View>"])
        + "\n"
    )


def _controls(item: Item) -> dict[str, Literal["textarea", "number", "choices"]]:
    if item.kind == "feedback":
        return {
            "feedback": "textarea",
            "feedback_class": "textarea",
            "ideal_output": "textarea",
            "nothing_to_say": "choices",
            "comment": "textarea",
        }
    if item.kind == "incorporated":
        return {"incorporated": "choices", "comment": "textarea"}
    ranks: dict[str, Literal["textarea", "number", "choices"]] = {
        f"rank_{letter}": "number" for letter in letters(item)
    }
    return ranks | {"all_bad": "choices", "comment": "textarea"}


def _control(name: str, kind: str) -> str:
    to = f'toName="output_{name[-1] if name.startswith("rank_") else "A"}"'
    if kind == "choices":
        choices = '<Choice value="yes"/><Choice value="no"/>'
        return f'  <Header value="{name}"/>\n  <Choices name="{name}" {to}>{choices}</Choices>'
    tag = '<Number min="1" max="6"' if kind == "number" else '<TextArea rows="4"'
    return f'  <Header value="{name}"/>\n  {tag} name="{name}" {to}/>'


def _annotation(record: Record, item: Item) -> dict[str, object]:
    values = values_of(record.answer, item) if record.answer else {"reason": record.reason or ""}
    values |= {"comment": record.comment} if record.comment else {}
    values["annotator"] = record.annotator
    return {
        "result": [_result(name, value) for name, value in values.items()],
        "was_cancelled": record.answer is None,
        "lead_time": record.seconds_open,
        "created_at": record.submitted_at,
    }


def _result(name: str, value: str | int) -> dict[str, object]:
    if isinstance(value, int):
        kind, content = "number", cast(object, value)
    elif name in CHOICES:
        kind, content = "choices", [value]
    else:
        kind, content = "textarea", [value]
    inner = "text" if kind == "textarea" else kind
    to = f"output_{name[-1] if name.startswith('rank_') else 'A'}"
    return {"from_name": name, "to_name": to, "type": kind, "value": {inner: content}}


def _record(annotation: _Annotation, item: Item, campaign: str) -> Record:
    values = {result.from_name: _value(result.value) for result in annotation.result}
    values |= _pairwise(annotation.result, item)
    person = annotation.completed_by
    number = person.id if isinstance(person, _Person) else person
    return make_record(
        item,
        campaign,
        str(values.get("annotator") or f"label-studio-{0 if number is None else number}"),
        values,
        annotation.created_at,
        seconds=annotation.lead_time,
        reason=str(values.get("reason") or "skipped in Label Studio") if annotation.was_cancelled else None,
    )


def _value(value: Mapping[str, object]) -> object:
    content = next((value[key] for key in ("text", "choices", "number", "rating") if key in value), None)
    if isinstance(content, list):
        return "\n".join(map(str, content))
    return content


def _pairwise(results: Sequence[_Result], item: Item) -> dict[str, object]:
    """Read the tags Pairwise (left or right) and Ranker (an order without ties), where a project uses those."""
    for result in results:
        if result.type == "pairwise":
            left = result.value.get("selected") == "left"
            return {"rank_A": 1 if left else 2, "rank_B": 2 if left else 1}
        order = result.value.get("ranker")
        if result.type == "ranker" and isinstance(order, list):
            return {f"rank_{str(name).removeprefix('output_')}": rank for rank, name in enumerate(order, start=1)}
    return {}
