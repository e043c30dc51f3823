"""How annotators did: agreement, hidden checks, leanings, time, and whether any of it changed on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations, permutations

import numpy as np
import scipy

from ilf_kedro.evaluation.agreement import krippendorffs_alpha
from ilf_kedro.evaluation.intervals import FEWEST, Bootstrap, Estimate, clustered_share_estimate, mean_estimate
from ilf_kedro.evaluation.intervals import share_estimate as share
from ilf_kedro.people.agreement import pair_agreements
from ilf_kedro.people.answers import FeedbackAnswer, IncorporatedAnswer, RankingAnswer
from ilf_kedro.people.items import Item
from ilf_kedro.people.records import Record, latest
from ilf_kedro.schemas import AnnotatorFigures, DataFrame

__all__ = ["EVERYONE", "annotator_figures", "campaign_alpha"]

EVERYONE = "everyone"

Figure = tuple[str, Estimate]


def annotator_figures(
    records: Sequence[Record], items: Sequence[Item], bootstrap: Bootstrap
) -> DataFrame[AnnotatorFigures]:
    """Estimate every annotator's figures, and those of all together; see AnnotatorFigures."""
    lengths = {
        item.item_id: {each.candidate_id: _words(each.output.plain) for each in item.candidates} for item in items
    }
    read = {item.item_id: sum(_words(each.plain) for each in item.inputs) for item in items}
    shown = {item_id: read[item_id] + sum(own.values()) for item_id, own in lengths.items()}
    agreed = _agreements(records)
    answers = latest(records)
    rows: list[dict[str, object]] = []
    for annotator in (EVERYONE, *dict.fromkeys(record.annotator for record in records)):
        everyone = annotator == EVERYONE
        given = [each for each in answers if everyone or each.annotator == annotator]
        newest = _newest(record for record in records if everyone or record.annotator == annotator)
        figures: list[Figure] = [*_of_tasks(newest, bootstrap), *_leanings(given, lengths, bootstrap)]
        figures += _times(given, shown, bootstrap)
        figures += _agreement(given, agreed, bootstrap, drift=not everyone)
        if everyone:
            figures.append(("alpha", campaign_alpha(answers, confidence=bootstrap.confidence)))
        rows += [{"annotator": annotator, "metric": name, **asdict(estimate)} for name, estimate in figures]
    return AnnotatorFigures.from_rows(rows)


def campaign_alpha(answers: Sequence[Record], *, confidence: float) -> Estimate:
    """Estimate Krippendorff's α of a campaign's answers.

    Of rankings: of −1, 0 and 1 for every two candidates of an item, in both orders, so that it does not matter which is
    called the first. Of verdicts and of feedback ("nothing to say", else its class): of names.
    """
    by_item: dict[str, list[Record]] = {}
    for record in answers:
        by_item.setdefault(record.item_id, []).append(record)
    ratings, names = [], dict[str, float]()
    for own in by_item.values():
        rankings = [each.answer.ranks for each in own if isinstance(each.answer, RankingAnswer) and each.answer.ranks]
        if rankings:
            pairs = permutations(sorted(set.intersection(*(set(ranks) for ranks in rankings))), 2)
            ratings.append([[float(np.sign(ranks[b] - ranks[a])) for ranks in rankings] for a, b in pairs])
        elif named := [name for each in own if (name := _name(each)) is not None]:
            ratings.append([[names.setdefault(name, float(len(names))) for name in named]])
    nominal = any(not isinstance(each.answer, RankingAnswer) for each in answers)
    return krippendorffs_alpha(ratings, confidence=confidence, nominal=nominal)


def _name(record: Record) -> str | None:
    answer = record.answer
    if isinstance(answer, IncorporatedAnswer):
        return str(answer.incorporated)
    if isinstance(answer, FeedbackAnswer):
        return "nothing to say" if answer.nothing_to_say else str(answer.feedback_class)
    return None


def _newest(records: Iterator[Record]) -> list[Record]:
    """Return each task's newest record, hidden checks and skipped ones too."""
    found: dict[tuple[str, str, int], Record] = {}
    for record in records:
        key = (record.item_id, record.annotator, record.round)
        if key not in found or record.revision > found[key].revision:
            found[key] = record
    return list(found.values())


def _of_tasks(newest: Sequence[Record], bootstrap: Bootstrap) -> Iterator[Figure]:
    ordinary = [record for record in newest if not record.gold]
    if ordinary:
        skipped = sum(record.status == "skipped" for record in ordinary)
        yield "skipped", share(skipped, len(ordinary), confidence=bootstrap.confidence)
    checks = [record.gold_correct for record in newest if record.gold and record.gold_correct is not None]
    if checks:
        yield "gold_accuracy", share(sum(checks), len(checks), confidence=bootstrap.confidence)


def _leanings(
    given: Sequence[Record], lengths: Mapping[str, Mapping[str, int]], bootstrap: Bootstrap
) -> Iterator[Figure]:
    """Yield how often two candidates tie, and how often the preferred one stood first, or is the longer."""
    ties: list[tuple[bool, str]] = []
    firsts: list[tuple[bool, str]] = []
    longers: list[tuple[bool, str]] = []
    for record in given:
        if not isinstance(record.answer, RankingAnswer) or not record.answer.ranks:
            continue
        ranks, words, item = record.answer.ranks, lengths[record.item_id], record.item_id
        for first, second in combinations([each for each in record.order_shown if each in ranks], 2):
            ties.append((ranks[first] == ranks[second], item))
            if ranks[first] != ranks[second]:
                firsts.append((ranks[first] < ranks[second], item))
                if words[first] != words[second]:
                    longers.append(((ranks[first] < ranks[second]) == (words[first] > words[second]), item))
    for name, trials in (("ties", ties), ("prefers_first", firsts), ("prefers_longer", longers)):
        if trials:
            said, clusters = zip(*trials, strict=True)
            yield name, clustered_share_estimate(said, clusters, confidence=bootstrap.confidence)


def _times(given: Sequence[Record], shown: Mapping[str, int], bootstrap: Bootstrap) -> Iterator[Figure]:
    timed = [(record.seconds_active, shown[record.item_id]) for record in given if record.seconds_active is not None]
    if not timed:
        return
    seconds = [time for time, _ in timed]
    yield "seconds", mean_estimate(seconds, bootstrap)
    if of_words := [100 * time / words for time, words in timed if words]:
        yield "seconds_per_100_words", mean_estimate(of_words, bootstrap)
    if len({record.annotator for record in given}) == 1:
        yield from _drift("seconds_drift", seconds, bootstrap)


def _agreements(records: Sequence[Record]) -> dict[tuple[str, str], list[float]]:
    """Return with how much of each other annotator's answer each annotator's answer to an item agrees."""
    found: dict[tuple[str, str], list[float]] = {}
    for pair in pair_agreements(records):
        for annotator in pair.annotators:
            found.setdefault((annotator, pair.item_id), []).append(pair.agreement)
    return found


def _agreement(
    given: Sequence[Record], agreed: Mapping[tuple[str, str], list[float]], bootstrap: Bootstrap, *, drift: bool
) -> Iterator[Figure]:
    by_item: dict[str, list[float]] = {}
    for record in given:
        if own := agreed.get((record.annotator, record.item_id)):
            by_item.setdefault(record.item_id, []).append(float(np.mean(own)))
    values = [float(np.mean(own)) for own in by_item.values()]
    if values:
        yield "agreement", mean_estimate(values, bootstrap, within=(0.0, 1.0))
    if values and drift:
        yield from _drift("agreement_drift", values, bootstrap)


def _drift(name: str, values: Sequence[float], bootstrap: Bootstrap) -> Iterator[Figure]:
    """Yield the second half's mean less the first's, in the order of the answers, with Welch's interval."""
    first, second = np.array_split(np.asarray(values, dtype=np.float64), 2)
    if min(first.size, second.size) < FEWEST or not first.std() + second.std():
        return
    tested = scipy.stats.ttest_ind(second, first, equal_var=False)
    interval = tested.confidence_interval(bootstrap.confidence)
    difference = float(second.mean() - first.mean())
    error = float(np.sqrt(first.var(ddof=1) / first.size + second.var(ddof=1) / second.size))
    yield name, Estimate(difference, len(values), error, float(interval.low), float(interval.high))


def _words(text: str) -> int:
    return len(text.split())
