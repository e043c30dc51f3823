"""Where annotators disagree: every pair of answers kept as it is, and items for someone to settle, without names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from ilf_kedro.people.answers import Answer, FeedbackAnswer, IncorporatedAnswer, RankingAnswer
from ilf_kedro.people.items import Item
from ilf_kedro.people.records import Record, latest
from ilf_kedro.schemas.base import Options

__all__ = ["PairAgreement", "adjudication_items", "pair_agreements"]


class PairAgreement(Options):
    """How far two annotators agree on one item: over the pairs of its candidates, or on its one question.

    A pair of candidates counts 1 where both say the same (better, worse or tied), ½ where only one says tied, 0 where
    they contradict each other.
    """

    item_id: str
    example_id: str
    annotators: tuple[str, str]
    answers: tuple[Answer, Answer]
    agreement: float


def pair_agreements(records: Iterable[Record]) -> Iterator[PairAgreement]:
    """Yield the agreement of every two annotators on every item that both answered; words are not compared."""
    by_item: dict[str, list[Record]] = {}
    for record in latest(records):
        by_item.setdefault(record.item_id, []).append(record)
    for item_records in by_item.values():
        for a, b in combinations(item_records, 2):
            if a.answer is not None and b.answer is not None:
                yield PairAgreement(
                    item_id=a.item_id,
                    example_id=a.example_id,
                    annotators=(a.annotator, b.annotator),
                    answers=(a.answer, b.answer),
                    agreement=_agreement(a.answer, b.answer),
                )


def adjudication_items(items: Sequence[Item], records: Sequence[Record], *, below: float = 1.0) -> list[Item]:
    """Return the items on which some two annotators agree less than `below`, with their answers but not their names."""
    disputed = {pair.item_id for pair in pair_agreements(records) if pair.agreement < below}
    opinions: dict[str, list[Answer]] = {}
    for record in latest(records):
        if record.answer is not None:
            opinions.setdefault(record.item_id, []).append(record.answer)
    return [
        item.model_copy(update={"opinions": tuple(sorted(opinions[item.item_id], key=repr)), "overlap": 1})
        for item in items
        if item.item_id in disputed
    ]


def _agreement(a: Answer, b: Answer) -> float:
    if isinstance(a, RankingAnswer) and isinstance(b, RankingAnswer):
        if a.all_bad != b.all_bad:
            return 0.0
        pairs = list(combinations(sorted(set(a.ranks) & set(b.ranks)), 2))
        return sum(1 - abs(_sign(a, *pair) - _sign(b, *pair)) / 2 for pair in pairs) / len(pairs) if pairs else 1.0
    if isinstance(a, IncorporatedAnswer) and isinstance(b, IncorporatedAnswer):
        return float(a.incorporated == b.incorporated)
    if isinstance(a, FeedbackAnswer) and isinstance(b, FeedbackAnswer):
        return float(a.nothing_to_say == b.nothing_to_say and a.feedback_class == b.feedback_class)
    return 0.0


def _sign(answer: RankingAnswer, a: str, b: str) -> int:
    return (answer.ranks[a] > answer.ranks[b]) - (answer.ranks[a] < answer.ranks[b])
