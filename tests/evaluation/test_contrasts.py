"""Contrasts and standings against win rates of old, scipy, and figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ilf_kedro.evaluation.contrasts import DIFFERENCE, EQUAL_LENGTH, WIN_RATE, contrasts, standings
from ilf_kedro.evaluation.intervals import Bootstrap, mean_estimate
from ilf_kedro.evaluation.win_rates import win_rates_from_rankings
from ilf_kedro.schemas import DataFrame, Measurements, Rankings

BOOTSTRAP = Bootstrap(resamples=200)
PEOPLE = "ranks:people"


def measured(
    table: dict[str, list[float | None]], measure: str = "reward", judged_by: str = "", lengths: dict | None = None
) -> DataFrame[Measurements]:
    """One column per arm and one row per example; None is missing."""
    rows = [
        {
            "measure": measure,
            "judged_by": judged_by,
            "example_id": f"e{row}",
            "arm": arm,
            "value": value,
            "length": lengths[arm][row] if lengths else None,
        }
        for arm, values in table.items()
        for row, value in enumerate(values)
        if value is not None
    ]
    return Measurements.from_rows(rows)


def row(table: pd.DataFrame, arm: str, baseline: str, statistic: str = WIN_RATE) -> pd.Series:
    found = table[(table["arm"] == arm) & (table["baseline"] == baseline) & (table["statistic"] == statistic)]
    assert len(found) == 1
    return found.iloc[0]


def random_ranks(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.integers(1, 4, size=(n, 3)), columns=["a", "b", "c"])


def test_win_rates_of_rankings_are_those_of_every_two_methods() -> None:
    ranks = random_ranks(25)
    long = ranks.melt(ignore_index=False, var_name="method", value_name="rank").reset_index(names="example_id")
    long = long.assign(example_id="e" + long["example_id"].astype(str), judged_by="human:anna")
    old = win_rates_from_rankings(Rankings.validate(long[Rankings.column_names()]))
    found = contrasts(measured({arm: list(-ranks[arm]) for arm in ranks}, PEOPLE, "human:anna"), BOOTSTRAP)
    assert set(found["statistic"]) == {WIN_RATE}, "ranks have no differences, and no lengths are known"
    for arm, baseline in (("a", "b"), ("a", "c"), ("b", "c")):
        ours, theirs = row(found, arm, baseline), old[(old["model"] == arm) & (old["baseline"] == baseline)].iloc[0]
        assert (ours["value"], ours["ties"]) == (pytest.approx(theirs["win_rate"]), pytest.approx(theirs["ties"]))
        assert ours["standard_error"] == pytest.approx(theirs["standard_error"])
        assert ours["n_judges"] == 1


def test_differences_are_paired_and_only_over_common_examples() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=12)
    table = {"a": [*(base + rng.normal(0.5, 0.1, 12)), 9.0], "b": [*base, None]}
    found = row(contrasts(measured(table), BOOTSTRAP), "a", "b", DIFFERENCE)
    expected = mean_estimate(np.array(table["a"][:12]) - base, BOOTSTRAP)
    assert (found["n"], found["value"]) == (12, pytest.approx(expected.value))
    assert (found["lower"], found["upper"]) == (pytest.approx(expected.lower), pytest.approx(expected.upper))
    assert found["p_value"] == pytest.approx(2 / 2**12), "every flip counted: only all and none are as extreme"


def test_p_values_are_corrected_by_holm_within_a_measure() -> None:
    rng = np.random.default_rng(2)
    table = {name: list(rng.normal(shift, 1, 11)) for name, shift in (("a", 1.5), ("b", 0.4), ("c", 0.0))}
    found = contrasts(measured(table), BOOTSTRAP)
    own = found[found["statistic"] == DIFFERENCE]
    p = sorted(own["p_value"])
    by_hand = [min(1.0, 3 * p[0]), min(1.0, max(3 * p[0], 2 * p[1])), min(1.0, max(3 * p[0], 2 * p[1], p[2]))]
    assert sorted(own["adjusted_p"]) == pytest.approx(by_hand)
    alone = contrasts(measured(table), BOOTSTRAP, pairs=[("a", "c")])
    assert row(alone, "a", "c")["adjusted_p"] == row(alone, "a", "c")["p_value"]


def test_at_equal_length_what_only_length_won_is_no_win() -> None:
    rng = np.random.default_rng(3)
    length = {"a": list(rng.integers(20, 60, 200)), "b": list(rng.integers(20, 50, 200))}
    score = {
        arm: [float(words + noise) for words, noise in zip(length[arm], rng.normal(0, 6, 200), strict=True)]
        for arm in length
    }
    found = contrasts(measured(score, PEOPLE, "human:anna", length), BOOTSTRAP)
    assert row(found, "a", "b")["lower"] > 0.5
    equal = row(found, "a", "b", EQUAL_LENGTH)
    assert equal["lower"] < 0.5 < equal["upper"]


def test_mean_ranks_share_places_under_ties_whatever_the_notation() -> None:
    dense = measured({"a": [-1.0] * 6, "b": [-1.0] * 6, "c": [-2.0] * 6}, PEOPLE, "human:x")
    sparse = measured({"a": [-1.0] * 6, "b": [-1.0] * 6, "c": [-3.0] * 6}, PEOPLE, "human:x")
    for table in (dense, sparse):
        found = standings(table, BOOTSTRAP)
        ranks = found[found["statistic"] == "mean_rank"].set_index("arm")["value"]
        assert ranks.to_dict() == {"a": 1.5, "b": 1.5, "c": 3.0}
    ranks = random_ranks(30, seed=4)
    found = standings(measured({arm: list(-ranks[arm]) for arm in ranks}, PEOPLE, "human:x"), BOOTSTRAP)
    expected = stats.rankdata(ranks.to_numpy(), axis=1).mean(axis=0)
    assert list(found.loc[found["statistic"] == "mean_rank", "value"]) == pytest.approx(list(expected))


def test_two_annotators_of_an_input_are_one_input() -> None:
    ranks = random_ranks(15, seed=5)
    table = {arm: list(-ranks[arm]) for arm in ranks}
    once = contrasts(measured(table, PEOPLE, "human:x"), BOOTSTRAP)
    both = pd.concat([measured(table, PEOPLE, "human:x"), measured(table, PEOPLE, "human:y")], ignore_index=True)
    twice = contrasts(Measurements.validate(both), BOOTSTRAP)
    columns = ["value", "standard_error", "lower", "upper", "p_value"]
    assert row(twice, "a", "b")[columns].tolist() == pytest.approx(row(once, "a", "b")[columns].tolist())
    assert (row(twice, "a", "b")["n_judgements"], row(twice, "a", "b")["n_judges"]) == (30, 2)
