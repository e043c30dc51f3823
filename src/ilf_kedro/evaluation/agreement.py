"""How far raters agree beyond chance: Krippendorff's α and Cohen's κ, with intervals over inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from ilf_kedro.evaluation.intervals import FEWEST, Estimate

__all__ = ["cohens_kappa", "krippendorffs_alpha"]

Floats = NDArray[np.float64]


def krippendorffs_alpha(
    ratings: Sequence[Sequence[Sequence[float]]], *, confidence: float, nominal: bool = False
) -> Estimate:
    """Estimate Krippendorff's α (2011) of numbers, or of names that are numbered where `nominal`.

    `ratings` has for each input its units (questions of their own), and for each unit what its raters said; a unit
    with one rating says nothing about agreement. 1 is perfect agreement, 0 that of chance. The interval is the
    jackknife's over inputs, with Student's t. Where everyone said the same throughout there is no chance to compare
    with: nan.
    """
    said = sorted({value for units in ratings for unit in units for value in unit})
    place = {value: number for number, value in enumerate(said)}
    values = np.array(said, dtype=np.float64)
    distances = (values[:, None] != values[None, :]).astype(np.float64) if nominal else _squares(values)
    tables = [_coincidences(units, place) for units in ratings]
    pairable = np.array([table for table in tables if table.any()])
    if not len(pairable):
        return Estimate(np.nan, 0, note="no input has two ratings")

    def alpha(table: Floats) -> float:
        totals = table.sum(axis=0)
        n = totals.sum()
        expected = float(totals @ distances @ totals) / (n * (n - 1))
        observed = float((table * distances).sum()) / n
        return np.nan if expected == 0 else 1 - observed / expected

    return _jackknife(pairable, alpha, confidence)


def cohens_kappa(pairs: Sequence[tuple[str, str]], inputs: Sequence[str], *, confidence: float) -> Estimate:
    """Estimate Cohen's κ (1960) of two raters' answers to the same questions, several of which may be on one input.

    The interval is the jackknife's over inputs, with Student's t; nan where both say the same one thing throughout.
    """
    names = sorted({answer for pair in pairs for answer in pair})
    place = {name: number for number, name in enumerate(names)}
    numbers = {name: number for number, name in enumerate(dict.fromkeys(inputs))}
    tables = np.zeros((len(numbers), len(names), len(names)))
    for (one, other), of in zip(pairs, inputs, strict=True):
        tables[numbers[of], place[one], place[other]] += 1
    if not len(tables):
        return Estimate(np.nan, 0, note="no question was answered by both")

    def kappa(table: Floats) -> float:
        shares = table / table.sum()
        by_chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
        return np.nan if by_chance == 1 else (float(np.trace(shares)) - by_chance) / (1 - by_chance)

    return _jackknife(tables, kappa, confidence)


def _squares(values: Floats) -> Floats:
    return np.asarray((values[:, None] - values[None, :]) ** 2)


def _coincidences(units: Sequence[Sequence[float]], place: dict[float, int]) -> Floats:
    """Return how often two raters of a unit gave each two values, over the number of its other raters."""
    table = np.zeros((len(place), len(place)))
    for unit in (each for each in units if len(each) > 1):
        counts = np.bincount([place[value] for value in unit], minlength=len(place)).astype(np.float64)
        table += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    return table


def _jackknife(tables: Floats, statistic: Callable[[Floats], float], confidence: float) -> Estimate:
    """Estimate a statistic of the sum of the inputs' tables, leaving out one input at a time; within −1 and 1."""
    n, whole = len(tables), tables.sum(axis=0)
    value = float(statistic(whole))
    if np.isnan(value):
        return Estimate(np.nan, n, note="all answers are alike, so that chance alone would agree")
    if n < FEWEST:
        return Estimate(value, n, note=f"too few for an interval: {n} examples, and it takes {FEWEST}")
    without = np.array([statistic(whole - table) for table in tables])
    if np.isnan(without).any() or np.ptp(without) == 0:
        return Estimate(value, n, note="one input decides it, or all are alike: no interval")
    error = float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    reach = float(scipy.stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return Estimate(value, n, error, max(-1.0, value - reach), min(1.0, value + reach))
