"""What the words of feedback were worth: refinement methods by the same measures, and their paired differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, mean_estimate
from ilf_kedro.schemas import ControlMetrics, DataFrame, PointScores, Scores
from ilf_kedro.schemas.names import WITH_FEEDBACK

__all__ = ["CONTRASTS", "METRICS", "control_metrics"]

WITHOUT = "refinement_without_feedback"
# Every method against the refinements that saw no feedback; and, since any words may help, real words against
# those that somebody said of another input.
CONTRASTS = (
    (WITH_FEEDBACK, WITHOUT),
    ("refinement_with_shuffled_feedback", WITHOUT),
    ("refinement_with_model_feedback", WITHOUT),
    (WITH_FEEDBACK, "refinement_with_shuffled_feedback"),
)
METRICS = ("instruct_rm_ensemble", "instruct_rm_chosen", "points_incorporated", "points_probability", "length_tokens")

_REFINEMENT = ["example_id", "method", "sample_index"]
_EVEN = 0.5


def control_metrics(
    scores: DataFrame[Scores], point_scores: DataFrame[PointScores], bootstrap: Bootstrap
) -> DataFrame[ControlMetrics]:
    """Estimate each method's measures and the paired differences of CONTRASTS, with intervals over examples.

    - instruct_rm_ensemble: the mean score of the N refinements, which is what a random choice would get;
    - instruct_rm_chosen: the highest of the N, which is what InstructRM's own choice gets;
    - points_incorporated: the share of the feedback's points whose p(Yes) is above ½, of the mean refinement;
    - points_probability: the mean p(Yes) over the points, of the mean refinement;
    - length_tokens: the mean length.

    Undefined scores are left out of an example's mean; an example without any defined one is left out of `n`.
    """
    values = _per_example(scores, point_scores)
    rows = []
    for metric in METRICS:
        wide = values[values["metric"] == metric].pivot_table(index="example_id", columns="method", values="value")
        for method, baseline, sample in _samples(wide):
            if len(sample):
                estimate = mean_estimate(sample, bootstrap)
                rows.append({"method": method, "baseline": baseline, "metric": metric, **asdict(estimate)})
    return ControlMetrics.from_rows(rows)


def _samples(wide: pd.DataFrame) -> Iterator[tuple[str, str | None, pd.Series]]:
    """Yield every method's values, one an example, and then the differences."""
    for method in wide:
        yield str(method), None, wide[method].dropna()
    for method, baseline in CONTRASTS:
        if method in wide and baseline in wide:
            yield method, baseline, (wide[method] - wide[baseline]).dropna()


def _per_example(scores: pd.DataFrame, point_scores: pd.DataFrame) -> pd.DataFrame:
    """Return one value per example, method and metric; nan where nothing is defined."""
    defined = point_scores.dropna(subset="score")
    points = defined.assign(done=(defined["score"] > _EVEN).astype("float64")).groupby(_REFINEMENT)
    refinements = {
        "instruct_rm_ensemble": scores.loc[scores["scorer"] == "instruct_rm_ensemble"],
        "points_incorporated": points["done"].mean().rename("score").reset_index(),
        "points_probability": points["score"].mean().reset_index(),
        "length_tokens": scores.loc[scores["scorer"] == "longest"],
    }
    means = {metric: _grouped(table).mean() for metric, table in refinements.items()}
    means["instruct_rm_chosen"] = _grouped(refinements["instruct_rm_ensemble"]).max()
    tables = [mean.rename("value").reset_index().assign(metric=metric) for metric, mean in means.items()]
    return pd.concat(tables, ignore_index=True)


def _grouped(table: pd.DataFrame) -> pd.api.typing.SeriesGroupBy:  # type: ignore[type-arg]
    return table.groupby(["example_id", "method"], sort=False)["score"]
