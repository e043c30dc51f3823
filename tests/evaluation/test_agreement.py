"""Agreement beyond chance against the packages krippendorff and statsmodels."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_kappa

from ilf_kedro.evaluation.agreement import cohens_kappa, krippendorffs_alpha


def ratings(n_units: int = 30, n_raters: int = 4, seed: int = 0) -> np.ndarray:
    """Raters by units, some missing, who lean to a truth of the unit."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([-1, 0, 1], n_units)
    said = np.where(rng.random((n_raters, n_units)) < 0.6, truth, rng.choice([-1, 0, 1], (n_raters, n_units)))
    return np.where(rng.random(said.shape) < 0.2, np.nan, said)


def units(table: np.ndarray) -> list[list[list[float]]]:
    return [[[value for value in column if not np.isnan(value)]] for column in table.T]


@pytest.mark.parametrize(("nominal", "level"), [(False, "interval"), (True, "nominal")])
def test_alpha_is_that_of_the_package(nominal: bool, level: str) -> None:
    table = ratings()
    found = krippendorffs_alpha(units(table), confidence=0.95, nominal=nominal)
    assert found.value == pytest.approx(krippendorff.alpha(table, level_of_measurement=level))
    rated = table[:, (~np.isnan(table)).sum(axis=0) > 1]
    n = rated.shape[1]
    without = [krippendorff.alpha(np.delete(rated, i, axis=1), level_of_measurement=level) for i in range(n)]
    assert found.n == n
    assert found.standard_error == pytest.approx(np.sqrt((n - 1) / n * ((without - np.mean(without)) ** 2).sum()))


def test_kappa_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    one = rng.choice(["win", "tie", "loss"], 80, p=[0.5, 0.2, 0.3])
    other = np.where(rng.random(80) < 0.6, one, rng.choice(["win", "tie", "loss"], 80))
    found = cohens_kappa(list(zip(one, other, strict=True)), [f"e{i}" for i in range(80)], confidence=0.95)
    table = [[int(((one == a) & (other == b)).sum()) for b in np.unique(one)] for a in np.unique(one)]
    expected = statsmodels_kappa(table)
    assert found.value == pytest.approx(expected.kappa)
    assert found.standard_error == pytest.approx(expected.std_kappa, rel=0.05), "near the delta method's"


def test_several_questions_on_one_input_are_not_independent() -> None:
    pairs = [("win", "win"), ("loss", "loss"), ("win", "loss"), ("loss", "loss"), ("win", "win"), ("loss", "win")]
    apart = cohens_kappa(pairs * 5, [f"e{i}" for i in range(30)], confidence=0.95)
    together = cohens_kappa([pair for pair in pairs for _ in range(5)], [f"e{i}" for i in range(6) for _ in range(5)],
                            confidence=0.95)  # fmt: skip
    assert together.value == pytest.approx(apart.value)
    assert together.standard_error > 2 * apart.standard_error


def test_answers_that_are_all_alike_show_no_agreement_beyond_chance() -> None:
    same = krippendorffs_alpha([[[1.0, 1.0]]] * 8, confidence=0.95)
    assert np.isnan(same.value)
    assert np.isnan(cohens_kappa([("win", "win")] * 8, list("abcdefgh"), confidence=0.95).value)
    assert np.isnan(krippendorffs_alpha([[[1.0]], [[0.0]]], confidence=0.95).value), "nobody rated what another did"
    perfect = krippendorffs_alpha([[[1.0, 1.0]], [[0.0, 0.0]]] * 4, confidence=0.95)
    assert (perfect.value, perfect.lower) == (1.0, None), "no spread: no interval, not a certain one"
