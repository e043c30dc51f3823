"""What the JSON of other tools has in common: a judgement as named values, and back.

Candidates are called A, B, … in the order of the item's key, so that neither tool nor file names a method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ilf_kedro.people.answers import Answer, FeedbackAnswer, IncorporatedAnswer, RankingAnswer, rename_ranks
from ilf_kedro.people.blinding import LETTERS
from ilf_kedro.people.items import Item
from ilf_kedro.people.records import Record

__all__ = ["CHOICES", "answer_of", "letters", "make_record", "newest_by_item", "shown_texts", "values_of"]

CHOICES = ("nothing_to_say", "all_bad", "incorporated")
"""The questions that are answered by yes or no."""


def letters(item: Item) -> dict[str, str]:
    """Return the candidate of each letter."""
    return dict(zip(LETTERS, item.candidate_ids, strict=False))


def shown_texts(item: Item) -> dict[str, str]:
    """Return what another tool has to show, by field: input_1, initial_output, output_A and so on."""
    texts = {f"input_{number}": passage.plain for number, passage in enumerate(item.inputs, start=1)}
    if item.feedback:
        texts["feedback_given"] = item.feedback
    if item.initial_output:
        texts["initial_output"] = item.initial_output.plain
    return texts | {
        f"output_{letter}": each.output.plain for letter, each in zip(LETTERS, item.candidates, strict=False)
    }


def values_of(answer: Answer, item: Item) -> dict[str, str | int]:
    """Return an answer as named values: texts, ranks by letter (rank_A, …), and yes or no."""
    if isinstance(answer, FeedbackAnswer):
        texts = {name: getattr(answer, name) for name in ("feedback", "feedback_class", "ideal_output")}
        return {name: text for name, text in texts.items() if text} | {"nothing_to_say": _yes_no(answer.nothing_to_say)}
    if isinstance(answer, IncorporatedAnswer):
        return {"incorporated": _yes_no(answer.incorporated)}
    lettered = rename_ranks(answer, {candidate: letter for letter, candidate in letters(item).items()})
    ranks = lettered.ranks if isinstance(lettered, RankingAnswer) else {}
    return {f"rank_{letter}": rank for letter, rank in ranks.items()} | {"all_bad": _yes_no(answer.all_bad)}


def answer_of(values: Mapping[str, object], item: Item) -> Answer:
    """Return the answer that the named values give to the item.

    Raises:
        ValueError: they are no answer; it says what was expected.
    """
    flags = {name: _flag(name, values[name]) for name in CHOICES if values.get(name) not in (None, "")}
    if item.kind == "feedback":
        texts = {name: str(values[name]) for name in ("feedback", "feedback_class", "ideal_output") if values.get(name)}
        return FeedbackAnswer.model_validate(texts | {"nothing_to_say": flags.get("nothing_to_say", False)})
    if item.kind == "incorporated":
        if "incorporated" not in flags:
            raise ValueError("nothing in incorporated; expected yes or no")
        return IncorporatedAnswer(incorporated=flags["incorporated"])
    ranks = {
        letter: _rank(letter, values[f"rank_{letter}"])
        for letter in letters(item)
        if values.get(f"rank_{letter}") not in (None, "")
    }
    given = RankingAnswer(kind=item.kind, ranks=ranks, all_bad=flags.get("all_bad", False))
    return rename_ranks(given, letters(item))


def make_record(
    item: Item,
    campaign: str,
    annotator: str,
    values: Mapping[str, object],
    at: str,
    *,
    seconds: float | None = None,
    reason: str | None = None,
) -> Record:
    """Return the judgement that another tool hands in: values, or the reason why there are none.

    Raises:
        ValueError: the values are no answer to the item.
    """
    return Record(
        campaign=campaign,
        item_id=item.item_id,
        example_id=item.example_id,
        kind=item.kind,
        annotator=annotator,
        revision=1,
        status="submitted" if reason is None else "skipped",
        answer=answer_of(values, item) if reason is None else None,
        reason=reason,
        comment=str(values.get("comment") or ""),
        order_shown=item.candidate_ids,
        sources={each.candidate_id: each.sources for each in item.candidates},
        origin=item.origin,
        first_shown_at=at,
        submitted_at=at,
        seconds_open=seconds,
    )


def newest_by_item(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the last revision of each annotator's answer to each item, skipped ones too."""
    last = {(record.item_id, record.annotator): record for record in sorted(records, key=lambda each: each.revision)}
    by_item: dict[str, list[Record]] = {}
    for record in last.values():
        by_item.setdefault(record.item_id, []).append(record)
    return by_item


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _flag(name: str, value: object) -> bool:
    if value in (True, False):
        return bool(value)
    word = str(value).strip().casefold()
    if word not in {"yes", "no", "true", "false"}:
        raise ValueError(f"{value!r} in {name}; expected yes or no")
    return word in {"yes", "true"}


def _rank(letter: str, value: object) -> int:
    try:
        number = float(str(value))
    except ValueError:
        number = 0.5
    if number != int(number) or number < 1:
        raise ValueError(f"{value!r} in rank_{letter}; expected a whole number from 1 (the best)")
    return int(number)
