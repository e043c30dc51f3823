"""How well rewards agree with people's comparisons: accuracy, its interval, and calibration."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ilf_kedro.evaluation.intervals import wilson_interval
from ilf_kedro.schemas import DataFrame, RewardPredictions, UserError

ENOUGH_TO_JUDGE = 100
"""Below this many comparisons a reliability curve is too coarse to judge calibration by."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share of comparisons whose preferred output got the higher reward (ties count ½).

    `lower` and `upper` bound it by Wilson's interval, `standard_error` is that of the mean (n − 1).
    """

    n: int
    accuracy: float
    standard_error: float
    lower: float
    upper: float
    ties: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """How p(preferred) agrees with how often people did prefer.

    `curve` has one row per filled bin: p_mean, observed, n. `expected_error` is the mean of
    |observed − p_mean| over comparisons, and `error_if_calibrated` what that would be on average at this n, were every
    probability right: chance alone makes it more than 0. Where `verdict` is not empty it says why the curve proves
    nothing.
    """

    n: int
    expected_error: float
    error_if_calibrated: float
    curve: pd.DataFrame
    verdict: str


def pairwise_accuracy(reward_preferred: ArrayLike, reward_other: ArrayLike, *, confidence: float = 0.95) -> Accuracy:
    """Compare the rewards of the preferred and the other output, one pair per comparison.

    Raises:
        ValueError: the two differ in length, are empty, or hold something that is no finite number.
    """
    preferred, other = _pairs(reward_preferred, reward_other)
    won = np.where(preferred > other, 1.0, np.where(preferred == other, 0.5, 0.0))
    n = len(won)
    share = float(won.mean())
    lower, upper = wilson_interval(share, n, 1 - confidence)
    error = float(won.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Accuracy(n, share, error, lower, upper, int((won == 0.5).sum()))


def better_and_worse(predictions: DataFrame[RewardPredictions]) -> tuple[pd.Series, pd.Series]:
    """Return the rewards of the preferred and of the other output of each comparison."""
    prefers_a = predictions["preferred"] == "a"
    return (
        predictions["reward_a"].where(prefers_a, predictions["reward_b"]),
        predictions["reward_b"].where(prefers_a, predictions["reward_a"]),
    )


def answered(predictions: DataFrame[RewardPredictions]) -> DataFrame[RewardPredictions]:
    """Return the comparisons of which the reward model rewarded both outputs.

    Raises:
        UserError: there are none.
    """
    defined = predictions.dropna(subset=["reward_a", "reward_b", "p_a_preferred"])
    if defined.empty:
        raise UserError(
            f"the reward model answered for none of {len(predictions)} comparisons: it refused, or all but surely said "
            "something else than either answer. Name another model in the catalog, or train one "
            "(reward_model.trained: true)"
        )
    return RewardPredictions.validate(defined)


def accuracy_row(predictions: DataFrame[RewardPredictions], *, n_train: int, confidence: float) -> dict[str, object]:
    """Return what RewardModelAccuracy says of a reward model's predictions on the validation split.

    Raises:
        UserError: none is defined.
    """
    defined = answered(predictions)
    calibrated = calibration(defined["p_a_preferred"], defined["preferred"] == "a")
    return {
        "split": "validation",
        "n_train": n_train,
        **dataclasses.asdict(pairwise_accuracy(*better_and_worse(defined), confidence=confidence)),
        "n_undefined": len(predictions) - len(defined),
        "confidence": confidence,
        "expected_calibration_error": calibrated.expected_error,
        "calibration_error_if_calibrated": calibrated.error_if_calibrated,
        "calibration_verdict": calibrated.verdict or None,
    }


def probability_preferred(p_first: ArrayLike, p_second: ArrayLike) -> NDArray[np.float64]:
    """Return the probability that the first of two outputs is preferred, from each one's p(Yes).

    It is the logistic function of the difference of their log-odds: the chance that, of the two answers, the
    first is Yes and the second No, given that they differ.
    """
    first, second = (np.clip(np.asarray(p, dtype=float), 1e-12, 1 - 1e-12) for p in (p_first, p_second))
    odds = (1 - first) * second / (first * (1 - second))
    probabilities: NDArray[np.float64] = 1 / (1 + odds)
    return probabilities


def calibration(p_first_preferred: ArrayLike, first_preferred: ArrayLike, *, n_bins: int = 10) -> Calibration:
    """Bin the probabilities that the first output is preferred, and compare with how often it was.

    Which output of a pair is first must not depend on which was preferred (as A and B of the data), or
    every outcome would be 1.

    Raises:
        ValueError: the two differ in length, are empty, or hold something that is no finite number.
    """
    probabilities, outcomes = _pairs(p_first_preferred, first_preferred)
    n = len(probabilities)
    bins = np.minimum((probabilities * n_bins).astype(int), n_bins - 1)
    table = pd.DataFrame({"bin": bins, "p": probabilities, "outcome": outcomes})
    curve = table.groupby("bin").agg(p_mean=("p", "mean"), observed=("outcome", "mean"), n=("p", "size"))
    curve = curve.reset_index(drop=True)
    error = float(((curve["observed"] - curve["p_mean"]).abs() * curve["n"]).sum() / n)
    return Calibration(n, error, _error_by_chance(probabilities, bins), curve, too_few_to_judge(n))


def _error_by_chance(probabilities: NDArray[np.float64], bins: NDArray[np.int64], n_draws: int = 1000) -> float:
    """Return the mean calibration error of outcomes that are drawn with the probabilities themselves."""
    rng = np.random.default_rng(0)
    member = np.eye(int(bins.max()) + 1)[bins]
    expected = probabilities @ member
    errors = [
        np.abs((rng.random(len(probabilities)) < probabilities) @ member - expected).sum() for _ in range(n_draws)
    ]
    return float(np.mean(errors) / len(probabilities))


def too_few_to_judge(n: int) -> str:
    """Return the words that a reliability curve of so few comparisons must carry, or nothing where n suffices."""
    if n >= ENOUGH_TO_JUDGE:
        return ""
    return f"{n} comparisons are too few to judge calibration by (at least {ENOUGH_TO_JUDGE} are needed)"


def _pairs(left: ArrayLike, right: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise ValueError(f"expected two equally long columns of numbers, found shapes {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("expected finite numbers, found missing or infinite ones; drop these comparisons first")
    return first, second
