"""What was collected, as the project's own pipelines read it: feedback, rankings for the tournament, win rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ilf_kedro.people.answers import FeedbackAnswer, IncorporatedAnswer, RankingAnswer
from ilf_kedro.people.items import Item, Passage
from ilf_kedro.people.records import Record, latest
from ilf_kedro.schemas.base import Options
from ilf_kedro.schemas.names import IDENTICAL_OUTPUTS

__all__ = [
    "CollectedFeedback",
    "Incorporation",
    "MethodRank",
    "RankedExample",
    "RankedText",
    "RoundFeedback",
    "collected_feedback",
    "incorporations",
    "method_ranks",
    "ranked_examples",
    "round_feedback",
]

INITIAL_OUTPUT = "initial_output"


class CollectedFeedback(Options):
    """A row of first-round feedback, one per example and annotator; the task maps its columns (format: feedback).

    `example_id` is the example's own for its first feedback; a further annotator's has the pseudonym added, and
    `group` is the example's for all, so that errors are clustered by it.
    """

    example_id: str
    group: str
    inputs: dict[str, str | list[dict[str, str]]]
    initial_output: str
    feedback: str | None
    feedback_class: str | None
    reference: str | None
    nothing_to_say: bool
    comment: str
    annotator: str
    seconds_feedback: float | None


class RoundFeedback(Options):
    """A line of the file that a later round waits for (format: rounds)."""

    example_id: str
    initial_output: str
    feedback: str
    nothing_to_say: bool = False


class RankedText(Options):
    """A candidate as a tournament of scorers reads it."""

    text: str
    rank: int
    is_initial_output: bool = False


class RankedExample(Options):
    """One ranker's ranking of one example, as a tournament of scorers reads it (format: tournament)."""

    example_id: str
    ranked_by: str
    candidates: tuple[RankedText, ...]


class MethodRank(Options):
    """The rank of one method's output for one example by one annotator (format: rankings); equal ranks are ties."""

    example_id: str
    judged_by: str
    method: str
    rank: int
    all_bad: bool = False


class Incorporation(Options):
    """Whether one method's refinement does what the feedback asks, by one annotator (format: incorporated)."""

    example_id: str
    method: str
    incorporated: bool
    judged_by: str


def collected_feedback(records: Sequence[Record], items: Sequence[Item]) -> Iterator[CollectedFeedback]:
    """Yield the newest feedback of every annotator on every example, in the order in which it came."""
    by_id, seen = {item.item_id: item for item in items}, set[str]()
    for record in latest(records):
        if not isinstance(answer := record.answer, FeedbackAnswer):
            continue
        item, example_id = by_id[record.item_id], record.example_id
        yield CollectedFeedback(
            example_id=f"{example_id}:{record.annotator}" if example_id in seen else example_id,
            group=example_id,
            inputs={passage.label: _input(passage) for passage in item.inputs},
            initial_output=item.candidates[0].output.plain,
            feedback=answer.feedback or None,
            feedback_class=answer.feedback_class,
            reference=answer.ideal_output,
            nothing_to_say=answer.nothing_to_say,
            comment=record.comment,
            annotator=record.annotator,
            seconds_feedback=record.seconds_active,
        )
        seen.add(example_id)


def flat(row: CollectedFeedback) -> dict[str, object]:
    """Return the row with its inputs as columns of their own, as files of examples have them."""
    return row.inputs | row.model_dump(exclude={"inputs"})


def round_feedback(records: Sequence[Record], items: Sequence[Item]) -> list[RoundFeedback]:
    """Return one line per example for a round's file: the first annotator's feedback where there are several."""
    first: dict[str, RoundFeedback] = {}
    for row in collected_feedback(records, items):
        line = RoundFeedback(
            example_id=row.group,
            initial_output=row.initial_output,
            feedback=row.feedback or "",
            nothing_to_say=row.nothing_to_say,
        )
        first.setdefault(row.group, line)
    return list(first.values())


def ranked_examples(records: Sequence[Record], items: Sequence[Item]) -> Iterator[RankedExample]:
    """Yield the rankings that a tournament can use: two candidates or more besides the initial output."""
    by_id = {item.item_id: item for item in items}
    for record, ranks in _rankings(records):
        candidates = tuple(
            RankedText(
                text=each.output.plain,
                rank=ranks[each.candidate_id],
                is_initial_output=INITIAL_OUTPUT in each.sources,
            )
            for each in by_id[record.item_id].candidates
        )
        if sum(not each.is_initial_output for each in candidates) > 1:
            yield RankedExample(
                example_id=record.example_id, ranked_by=f"human:{record.annotator}", candidates=candidates
            )


def method_ranks(records: Sequence[Record], items: Sequence[Item]) -> Iterator[MethodRank]:
    """Yield every method's rank by every annotator, and the ties of methods whose outputs are identical."""
    for record, ranks in _rankings(records):
        for candidate, methods in record.sources.items():
            for method in methods:
                yield MethodRank(
                    example_id=record.example_id,
                    judged_by=f"human:{record.annotator}",
                    method=method,
                    rank=ranks[candidate],
                    all_bad=isinstance(record.answer, RankingAnswer) and record.answer.all_bad,
                )
    for item in items:
        if not item.is_asked:
            for method in item.candidates[0].sources:
                yield MethodRank(example_id=item.example_id, judged_by=IDENTICAL_OUTPUTS, method=method, rank=1)


def incorporations(records: Sequence[Record]) -> Iterator[Incorporation]:
    """Yield every verdict on whether a refinement does what the feedback asks."""
    for record in latest(records):
        if isinstance(answer := record.answer, IncorporatedAnswer):
            for method in next(iter(record.sources.values())):
                yield Incorporation(
                    example_id=record.example_id,
                    method=method,
                    incorporated=answer.incorporated,
                    judged_by=f"human:{record.annotator}",
                )


def _input(passage: Passage) -> str | list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in passage.messages] or passage.text


def _rankings(records: Sequence[Record]) -> Iterator[tuple[Record, Mapping[str, int]]]:
    """Yield the newest rankings; where everything is bad and nothing was ranked there is none."""
    for record in latest(records):
        if isinstance(record.answer, RankingAnswer) and record.answer.ranks:
            yield record, record.answer.ranks
