"""A judge beside people: how far they agree, what the judge leans to, and win rates that people correct."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pandas as pd
import scipy

from ilf_kedro.evaluation.agreement import cohens_kappa
from ilf_kedro.evaluation.intervals import (
    Bootstrap,
    Estimate,
    clustered_share_estimate,
    mean_estimate,
    mean_share_estimate,
)
from ilf_kedro.evaluation.measurements import PEOPLE, RANKS, judge_of
from ilf_kedro.evaluation.prediction_powered import prediction_powered_mean
from ilf_kedro.schemas import CorrectedWinRates, DataFrame, JudgeFigures, Measurements, Verdicts
from ilf_kedro.schemas.names import IDENTICAL_OUTPUTS

__all__ = ["corrected_win_rates", "judge_figures"]

Figure = tuple[str, Estimate]

_SAID = {1: "the first", 0: "neither", -1: "the second"}


def corrected_win_rates(
    measurements: DataFrame[Measurements], bootstrap: Bootstrap, pairs: Sequence[tuple[str, str]] | None = None
) -> DataFrame[CorrectedWinRates]:
    """Correct each judge's win rates by the inputs that people ranked, for every two arms that both know.

    The judge's prediction of an input is the probability that its log-odds give, or 1, ½, 0 by its ranks. It holds for
    all inputs where those that people ranked are a random sample of them; see prediction_powered_mean. Where people
    ranked all that the judge judged, there is nothing to add to what they say, and no row.
    """
    gaps = _gaps(measurements, pairs)
    people = gaps[gaps["measure"] == PEOPLE].assign(outcome=lambda own: (np.sign(own["gap"]) + 1) / 2)
    ranked = {
        pair: own.groupby("example_id", sort=False)["outcome"].mean()
        for pair, own in people.groupby(["arm", "baseline"], sort=False)
    }
    rows = []
    for (measure, arm, baseline), own in gaps.groupby(["measure", "arm", "baseline"], sort=False):
        judge = judge_of(str(measure))
        if judge is None or (arm, baseline) not in ranked:
            continue
        by_rank = str(measure).startswith(RANKS)
        p = (np.sign(own["gap"]) + 1) / 2 if by_rank else pd.Series(scipy.special.expit(own["gap"]), index=own.index)
        predictions = p.groupby(own["example_id"], sort=False).mean()
        labels = ranked[(arm, baseline)]
        both = labels.index.intersection(predictions.index, sort=False)
        if both.empty or len(both) == len(predictions):
            continue
        found = prediction_powered_mean(
            labels[both].to_numpy(dtype=np.float64),
            predictions[both].to_numpy(dtype=np.float64),
            predictions.drop(both).to_numpy(dtype=np.float64),
            confidence=bootstrap.confidence,
        )
        alone = mean_share_estimate(labels[both], bootstrap)
        rows.append(
            {
                "arm": arm,
                "baseline": baseline,
                "judge": judge,
                "n_judged": len(predictions),
                "weight": found.weight,
                "by_judge": float(((np.sign(own["gap"]) + 1) / 2).mean()),
                "by_people": alone.value,
                "lower_by_people": alone.lower,
                "upper_by_people": alone.upper,
                **asdict(found.estimate),
            }
        )
    return CorrectedWinRates.from_rows(rows)


def judge_figures(
    measurements: DataFrame[Measurements], bootstrap: Bootstrap, verdicts: DataFrame[Verdicts] | None = None
) -> DataFrame[JudgeFigures]:
    """Estimate how each judge judges, with errors over inputs: beside people where they ranked, and by its verdicts."""
    gaps = _gaps(measurements, None)
    people = gaps[(gaps["measure"] == PEOPLE) & (gaps["judged_by"] != IDENTICAL_OUTPUTS)]
    rows: list[dict[str, object]] = []
    for measure in dict.fromkeys(gaps["measure"]):
        if (judge := judge_of(measure)) is None:
            continue
        own = gaps[gaps["measure"] == measure]
        figures = [*_beside_people(own, people, bootstrap), *_leanings(own, "", bootstrap)]
        if verdicts is not None and not measure.startswith(RANKS):
            figures += _of_verdicts(verdicts[verdicts["judged_by"] == judge], bootstrap)
        rows += [{"judge": judge, "metric": metric, **asdict(estimate)} for metric, estimate in figures]
    return JudgeFigures.validate(
        pd.DataFrame(rows, columns=JudgeFigures.column_names()).drop_duplicates(["judge", "metric"])
    )


def _gaps(measurements: pd.DataFrame, pairs: Sequence[tuple[str, str]] | None) -> pd.DataFrame:
    """Return a row per measure, two arms, example and judge: by how much the first arm's value and length are more."""
    table = measurements[(measurements["measure"] == PEOPLE) | measurements["measure"].map(judge_of).notna()]
    order = list(dict.fromkeys(table["arm"]))
    keys = ["measure", "example_id", "judged_by"]
    parts = []
    for arm, baseline in pairs if pairs is not None else combinations(order, 2):
        one, other = table[table["arm"] == arm], table[table["arm"] == baseline]
        both = one.merge(other, on=keys, suffixes=("", "_other"))
        parts.append(
            both[keys].assign(
                arm=arm,
                baseline=baseline,
                gap=both["value"] - both["value_other"],
                longer_by=both["length"] - both["length_other"],
            )
        )
    columns = [*keys, "arm", "baseline", "gap", "longer_by"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _beside_people(own: pd.DataFrame, people: pd.DataFrame, bootstrap: Bootstrap) -> Iterator[Figure]:
    keys = ["arm", "baseline", "example_id"]
    both = people.merge(own, on=keys, suffixes=("", "_judge"))
    if both.empty:
        return
    theirs, its = np.sign(both["gap"]).astype(int), np.sign(both["gap_judge"]).astype(int)
    inputs = both["example_id"].tolist()
    same = (theirs == its).tolist()
    yield "agreement", clustered_share_estimate(same, inputs, confidence=bootstrap.confidence)
    said = [(_SAID[a], _SAID[b]) for a, b in zip(theirs, its, strict=True)]
    yield "kappa", cohens_kappa(said, inputs, confidence=bootstrap.confidence)
    two = people.merge(people, on=keys, suffixes=("", "_other"))
    two = two[two["judged_by"] < two["judged_by_other"]]
    if len(two):
        alike = (np.sign(two["gap"]) == np.sign(two["gap_other"])).tolist()
        yield (
            "people_agreement",
            clustered_share_estimate(alike, two["example_id"].tolist(), confidence=bootstrap.confidence),
        )
    yield from (each for each in _leanings(both, "people_", bootstrap) if each[0] == "people_prefer_longer")


def _leanings(own: pd.DataFrame, whose: str, bootstrap: Bootstrap) -> Iterator[Figure]:
    """Yield the share of ties, and of preferences between unequal lengths that go to the longer output."""
    inputs = own["example_id"].tolist()
    yield f"{whose}ties", clustered_share_estimate((own["gap"] == 0).tolist(), inputs, confidence=bootstrap.confidence)
    told = own[(own["gap"] != 0) & own["longer_by"].notna() & (own["longer_by"] != 0)]
    if len(told):
        longer = ((told["gap"] > 0) == (told["longer_by"] > 0)).tolist()
        found = clustered_share_estimate(longer, told["example_id"].tolist(), confidence=bootstrap.confidence)
        yield f"{whose}prefer_longer" if whose else "prefers_longer", found


def _of_verdicts(verdicts: pd.DataFrame, bootstrap: Bootstrap) -> Iterator[Figure]:
    """Yield what the single verdicts show: the place preferred, contradictions, refusals, and what is covered."""
    if verdicts.empty:
        return

    def share(said: pd.Series, of: pd.DataFrame) -> Estimate:
        inputs = of["example_id"].tolist()
        return clustered_share_estimate(said.astype(bool).tolist(), inputs, confidence=bootstrap.confidence)

    refused = verdicts["prefers"] == "undefined"
    yield "refuses", share(refused, verdicts)
    told = verdicts[verdicts["prefers"].isin(["model", "baseline"])]
    if len(told):
        first = (told["prefers"] == "model") == (told["order"] == "model_first")
        yield "prefers_first", share(first, told)
    orders = told.pivot_table(
        index=["example_id", "model"], columns="order", values="prefers", aggfunc="first"
    ).dropna()
    if orders.shape[1] > 1 and len(orders):
        pairs = orders.reset_index()
        yield "contradicts", share(pairs["model_first"] != pairs["baseline_first"], pairs)
    covered = verdicts.groupby("example_id", sort=False)["covered"].mean()
    yield "covered", mean_estimate(covered, bootstrap, within=(0.0, 1.0))
