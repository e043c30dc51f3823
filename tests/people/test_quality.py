"""How annotators did, against counts by hand, the package krippendorff and scipy's Welch test."""

from __future__ import annotations

import krippendorff
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.people import FeedbackAnswer, IncorporatedAnswer, Item, RankingAnswer, Record
from ilf_kedro.people.answers import Answer
from ilf_kedro.people.quality import EVERYONE, annotator_figures, campaign_alpha
from tests.support.campaigns import ask_feedback, ask_incorporated, ask_order, gold_item

BOOTSTRAP = Bootstrap(resamples=200)


def record(item: Item, annotator: str, answer: Answer | None, number: int = 0, **changes: object) -> Record:
    values = {
        "campaign": "trial",
        "item_id": item.item_id,
        "example_id": item.example_id,
        "kind": item.kind,
        "annotator": annotator,
        "revision": 1,
        "status": "skipped" if answer is None else "submitted",
        "answer": answer,
        "order_shown": item.candidate_ids,
        "sources": {each.candidate_id: each.sources for each in item.candidates},
        "first_shown_at": "2026-01-01T00:00:00Z",
        "submitted_at": f"2026-01-01T00:00:{number:02}Z",
    }
    return Record.model_validate(values | changes)


def ranked(item: Item, *ranks: int) -> RankingAnswer:
    return RankingAnswer(kind=item.kind, ranks=dict(zip(item.candidate_ids, ranks, strict=True)))


def figures(records: list[Record], items: list[Item]) -> pd.DataFrame:
    return annotator_figures(records, items, BOOTSTRAP).set_index(["annotator", "metric"])


def test_alpha_of_rankings_is_krippendorffs_of_every_pair_in_both_orders() -> None:
    items, rng = ask_order(12, 3), np.random.default_rng(0)
    given = {name: [ranked(item, *rng.integers(1, 4, 3)) for item in items] for name in ("anna", "ben", "cleo")}
    records = [
        record(item, name, answer) for name, own in given.items() for item, answer in zip(items, own, strict=True)
    ]
    table = []
    for own in given.values():
        signs = []
        for answer in own:
            values = [answer.ranks[key] for key in sorted(answer.ranks)]
            signs += [np.sign(values[b] - values[a]) for a in range(3) for b in range(3) if a != b]
        table.append(signs)
    found = campaign_alpha(records, confidence=0.95)
    assert found.value == pytest.approx(krippendorff.alpha(np.array(table), level_of_measurement="interval"))
    assert found.n == 12


def test_alpha_of_verdicts_and_classes_is_of_names() -> None:
    items = ask_incorporated(6)
    said = {"anna": [1, 1, 0, 1, 0, 0], "ben": [1, 0, 0, 1, 0, 1]}
    records = [
        record(item, name, IncorporatedAnswer(incorporated=bool(yes)))
        for name, own in said.items()
        for item, yes in zip(items, own, strict=True)
    ]
    expected = krippendorff.alpha(np.array(list(said.values())), level_of_measurement="nominal")
    assert campaign_alpha(records, confidence=0.95).value == pytest.approx(expected)
    (item,) = ask_feedback(1)
    answers = (FeedbackAnswer(nothing_to_say=True), FeedbackAnswer(feedback="Short.", feedback_class="Coverage"))
    two = [record(item, name, answer) for name, answer in zip(("anna", "ben"), answers, strict=True)]
    assert campaign_alpha(two, confidence=0.95).value == pytest.approx(0.0), (
        "of two different answers chance has as much"
    )


def test_leanings_count_preferences_by_place_and_length() -> None:
    items = ask_order(4)
    longer = items[3].model_copy(
        update={"candidates": (items[3].candidates[0].model_copy(
            update={"output": items[3].candidates[0].output.model_copy(update={"text": "A longer text by far."})}
        ), items[3].candidates[1].model_copy(update={"output": items[3].candidates[1].output.model_copy(
            update={"text": "Short."})}))}
    )  # fmt: skip
    items = [*items[:3], longer]
    answers = [ranked(items[0], 1, 2), ranked(items[1], 2, 1), ranked(items[2], 1, 1), ranked(items[3], 2, 1)]
    records = [record(item, "anna", answer) for item, answer in zip(items, answers, strict=True)]
    records.append(record(ask_order(5)[4], "anna", None))
    found = figures(records, [*items, ask_order(5)[4]])["value"]
    assert found["anna", "ties"] == pytest.approx(1 / 4)
    assert found["anna", "prefers_first"] == pytest.approx(1 / 3)
    assert found["anna", "prefers_longer"] == 0.0
    assert found["anna", "skipped"] == pytest.approx(1 / 5)
    assert (EVERYONE, "alpha") in found.index
    assert np.isnan(found[EVERYONE, "alpha"])


def test_hidden_checks_are_counted_and_not_judged_on() -> None:
    gold, (item,) = gold_item(), ask_order(1)
    records = [
        record(gold, "anna", ranked(gold, 1, 2), gold=True, gold_correct=True),
        record(gold, "ben", ranked(gold, 2, 1), gold=True, gold_correct=False),
        record(item, "anna", ranked(item, 1, 2)),
    ]
    found = figures(records, [gold, item])["value"]
    assert (found["anna", "gold_accuracy"], found["ben", "gold_accuracy"]) == (1.0, 0.0)
    assert found[EVERYONE, "gold_accuracy"] == 0.5
    assert ("ben", "ties") not in found.index


def test_time_is_of_the_answer_and_of_the_words_read_and_its_change_is_welchs() -> None:
    items, rng = ask_order(16), np.random.default_rng(1)
    seconds = [*rng.normal(40, 5, 8), *rng.normal(25, 5, 8)]
    records = [
        record(item, "anna", ranked(item, 1, 2), number, seconds_active=float(time))
        for number, (item, time) in enumerate(zip(items, seconds, strict=True))
    ]
    found = figures(records, items)
    words = [
        sum(len(each.plain.split()) for each in item.inputs)
        + sum(len(each.output.plain.split()) for each in item.candidates)
        for item in items
    ]
    per_100 = [100 * time / n for time, n in zip(seconds, words, strict=True)]
    assert found.loc[("anna", "seconds"), "value"] == pytest.approx(np.mean(seconds))
    assert found.loc[("anna", "seconds_per_100_words"), "value"] == pytest.approx(np.mean(per_100))
    drift = found.loc[("anna", "seconds_drift")]
    interval = stats.ttest_ind(seconds[8:], seconds[:8], equal_var=False).confidence_interval(0.95)
    assert drift["value"] == pytest.approx(np.mean(seconds[8:]) - np.mean(seconds[:8]))
    assert (drift["lower"], drift["upper"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert (EVERYONE, "seconds_drift") in found.index, "one annotator is everyone"
