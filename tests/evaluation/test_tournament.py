"""A tournament's figures: by hand, against the published ones, and for undefined scores and several rankers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.evaluation.intervals import Bootstrap, mean_estimate
from ilf_kedro.evaluation.tournament import WIN_RATE, example_values, rankings_of, scorer_metrics
from tests.support.ranked_tables import ranked, scores, simulated

PUBLISHED = pd.read_csv(Path(__file__).parents[2] / "data" / "01_raw" / "published_results.csv")
BOOTSTRAP = Bootstrap(confidence=0.95, resamples=200, seed=1)


def figures(metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    return metrics[metrics["metric"] == metric].set_index("scorer")


def test_two_examples_by_hand() -> None:
    """Example a: the best of three is chosen; b: the worst, which is also tied with the initial output."""
    rankings = ranked({"a": [1, 2, 3], "b": [3, 1, 2]}, initial={"a": 2, "b": 3})
    table = scores({"s": {"a": [9, 5, 1], "b": [9, 5, 1]}})
    metrics = scorer_metrics(rankings, table, BOOTSTRAP)
    # a wins over 2 of 3 and ties with itself, b only ties with itself.
    assert figures(metrics, WIN_RATE).loc["s", "value"] == pytest.approx((2.5 / 3 + 0.5 / 3) / 2)
    assert figures(metrics, "win_rate_over_initial").loc["s", "value"] == pytest.approx((1 + 0.5) / 2)
    # b: of the pairs (9, 5), (9, 1) and (5, 1) the ranking agrees with the last alone.
    assert figures(metrics, "pairwise_accuracy").loc["s", "value"] == pytest.approx((1 + 1 / 3) / 2)
    assert figures(metrics, "kendall_tau").loc["s", "value"] == pytest.approx((1 - 1 / 3) / 2)
    # Lengths are 10, 11 and 12 tokens, the scores fall.
    assert figures(metrics, "length_correlation").loc["s", "value"] == pytest.approx(-1)


def test_random_is_exact_whatever_was_drawn() -> None:
    rankings = ranked({"a": [1, 2, 3], "b": [3, 1, 1]}, initial={"a": 2, "b": 2})
    lucky = scores({"random": {"a": [9, 5, 1], "b": [1, 5, 9]}})
    metrics = scorer_metrics(rankings, lucky, BOOTSTRAP)
    found = {row["metric"]: row["value"] for row in metrics.to_dict("records")}
    assert found[WIN_RATE] == found["pairwise_accuracy"] == found[f"length_controlled_{WIN_RATE}"] == 0.5
    assert found["kendall_tau"] == 0
    # Over an initial output of rank 2: a win, a tie and a loss in a; two wins and a loss in b.
    assert found["win_rate_over_initial"] == pytest.approx((0.5 + 2 / 3) / 2)
    assert figures(metrics, WIN_RATE)["standard_error"].isna().all()


def test_an_example_counts_once_however_many_ranked_it() -> None:
    one, other = ranked({"a": [1, 2], "b": [1, 2]}), ranked({"a": [2, 1]}, ranked_by="judge:m")
    table = scores({"s": {"a": [2, 1], "b": [2, 1]}})
    values = example_values(*rankings_of(pd.concat([one, other]), table))
    # a: chosen right for one ranker (¾ over random), wrong for the other (¼).
    assert values[WIN_RATE]["s"].to_dict() == {"a": 0.5, "b": 0.75}
    assert len(values[WIN_RATE]) == 2


def test_null_and_missing_scores_rank_last_and_are_counted() -> None:
    rankings = ranked({"a": [1, 2, 3], "b": [1, 2, 3]})
    table = scores({"s": {"a": [None, -1.0, -2.0], "b": [-3.0, None, None]}, "full": {"a": [1, 2, 3], "b": [1, 2, 3]}})
    without = table[~((table["scorer"] == "s") & (table["score"].isna()))]
    metrics, of_missing = (scorer_metrics(rankings, each, BOOTSTRAP) for each in (table, without))
    undefined = figures(metrics, "undefined_scores")
    assert undefined["value"].to_dict() == {"s": 3, "full": 0}
    assert undefined["n"].to_dict() == {"s": 6, "full": 6}
    same = ["scorer", "metric", "value"]
    kept = metrics["metric"] != "undefined_scores"
    pd.testing.assert_frame_equal(
        metrics.loc[kept, same], of_missing.loc[of_missing["metric"] != "undefined_scores", same]
    )


def test_examples_without_a_ranking_order_are_left_out_where_it_is_needed() -> None:
    rankings = ranked({"a": [1, 1, 1], "b": [1, 2, 3]})
    metrics = scorer_metrics(rankings, scores({"s": {"a": [1, 2, 3], "b": [3, 2, 1]}}), BOOTSTRAP)
    n = metrics.set_index("metric")["n"]
    assert (n[WIN_RATE], n["pairwise_accuracy"], n["kendall_tau"]) == (2, 1, 1)


@pytest.mark.parametrize("row", PUBLISHED[PUBLISHED["experiment"] == "scoring_functions"].to_dict("records"), ids=str)
def test_published_rates_have_their_published_errors(row: dict[str, float]) -> None:
    """200 rankings with the wins, ties and losses that a published rate and error imply give both again.

    Each example has the scorer's choice, a worse candidate and, as the baseline, the text that it is compared with.
    """
    n = 200
    variance = row["standard_error"] ** 2 * (n - 1) + row["value"] ** 2  # mean of the squared outcomes
    ties = round(4 * n * (row["value"] - variance))
    wins = round(n * row["value"] - ties / 2)
    places = [3] * wins + [1] * ties + [0] * (n - wins - ties)
    ids = [f"e{i}" for i in range(n)]
    rankings = ranked(
        {example: [2 - (place == 1), 5] for example, place in zip(ids, places, strict=True)},
        initial={example: max(1, place) for example, place in zip(ids, places, strict=True)},
    )
    metrics = scorer_metrics(rankings, scores({"s": {example: [1.0, 0.0] for example in ids}}), BOOTSTRAP)
    found = figures(metrics, "win_rate_over_initial").loc["s"]
    assert found["value"] == pytest.approx(row["value"], abs=1e-9)
    assert found["standard_error"] == pytest.approx(row["standard_error"], abs=1e-6)
    assert found["n"] == n


def test_intervals_of_all_scorers_come_from_the_same_resamples() -> None:
    rankings, table = simulated(25, {"s": 1.0, "t": 1.0}, rng=np.random.default_rng(0))
    values = example_values(*rankings_of(rankings, table))[WIN_RATE]
    metrics = figures(scorer_metrics(rankings, table, BOOTSTRAP), WIN_RATE)
    for scorer in ("s", "t"):
        alone = mean_estimate(values[scorer], BOOTSTRAP)
        assert (metrics.loc[scorer, "lower"], metrics.loc[scorer, "upper"]) == (alone.lower, alone.upper)


def test_length_control_unmasks_a_scorer_that_only_counts_words() -> None:
    """People here like longer texts: noisy length looks good, and is a coin at equal length; quality stays."""
    rng = np.random.default_rng(2)
    n, k = 300, 5
    lengths = rng.integers(10, 41, (n, k))
    quality = rng.normal(size=(n, k))
    worth = quality + 0.1 * lengths
    ids = [f"e{i}" for i in range(n)]

    def by_example(values: np.ndarray) -> dict[str, list[float]]:
        return dict(zip(ids, values.tolist(), strict=True))

    rankings = ranked(by_example((-worth).argsort(1).argsort(1) + 1), lengths=by_example(lengths))
    noisy_length = lengths + rng.normal(0, 8, (n, k))
    table = scores({"words": by_example(noisy_length), "quality": by_example(quality)})
    metrics = scorer_metrics(rankings, table, BOOTSTRAP)
    raw, controlled = (figures(metrics, f"{name}pairwise_accuracy") for name in ("", "length_controlled_"))
    assert raw.loc["words", "value"] > 0.6
    assert controlled.loc["words", "lower"] < 0.5 < controlled.loc["words", "upper"] + 0.02
    assert controlled.loc["words", "value"] == pytest.approx(0.5, abs=0.03)
    assert controlled.loc["quality", "lower"] > 0.6


def test_length_control_without_an_effect_of_length_changes_little() -> None:
    rankings, table = simulated(200, {"s": 1.0}, rng=np.random.default_rng(3))
    metrics = scorer_metrics(rankings, table, BOOTSTRAP).set_index("metric")["value"]
    for metric in (WIN_RATE, "pairwise_accuracy"):
        assert metrics[f"length_controlled_{metric}"] == pytest.approx(metrics[metric], abs=0.02)


def test_longest_has_no_figure_at_equal_length() -> None:
    rankings, table = simulated(12, {"longest": 1.0}, rng=np.random.default_rng(4))
    found = figures(scorer_metrics(rankings, table, BOOTSTRAP), f"length_controlled_{WIN_RATE}").loc["longest"]
    assert math.isnan(found["value"])
    assert "length alone" in found["note"]
