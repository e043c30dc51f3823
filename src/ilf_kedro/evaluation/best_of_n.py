"""What the best of n samples is worth, for every n up to the N that were drawn (best-of-N sampling)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray

from ilf_kedro.evaluation.intervals import Bootstrap, mean_estimate
from ilf_kedro.evaluation.text_metrics import rouge_l
from ilf_kedro.schemas import BestOfN, DataFrame, Examples, Outputs, Rewards, UserError

__all__ = ["HUMAN", "best_of_n", "expected_best", "kl_bound", "rank_among"]

HUMAN = "reference"


def expected_best(values: ArrayLike, rewards: ArrayLike) -> NDArray[np.float64]:
    """Return the expected value of the sample with the highest reward among n drawn, for n = 1 … N; shape (N,).

    The mean over all subsets of n of the N samples: of the C(N, n), the sample of rank i (1 the lowest reward;
    of equal rewards the earlier sample is the higher) is the best of C(i − 1, n − 1). It is the unbiased estimate
    for n samples drawn anew (a U-statistic; Nakano et al. 2021, appendix I).

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    value, reward = np.asarray(values, dtype=np.float64), np.asarray(rewards, dtype=np.float64)
    if value.ndim != 1 or value.shape != reward.shape or not value.size:
        raise ValueError(f"expected as many values as rewards, at least one, found {value.shape} and {reward.shape}")
    n_samples = value.size
    ascending = np.lexsort((-np.arange(n_samples), reward))
    ranks, sizes = np.arange(n_samples), np.arange(n_samples)
    weights = scipy.special.comb(ranks[None, :], sizes[:, None]) / scipy.special.comb(n_samples, sizes + 1)[:, None]
    expected: NDArray[np.float64] = weights @ value[ascending]
    return expected


def kl_bound(n: int) -> float:
    """Return the bound log n − (n − 1) ÷ n on KL(best of n ‖ sampler), in nats per sequence.

    It is exact where no two samples are equal, and else too high (Beirami et al. 2024).

    Raises:
        ValueError: n is not positive.
    """
    if n < 1:
        raise ValueError(f"the best of n needs n >= 1, found {n}")
    return math.log(n) - (n - 1) / n


def rank_among(reward: float, others: ArrayLike) -> float:
    """Return the place of a reward among itself and others, 1 the highest; equal ones share theirs."""
    other = np.asarray(others, dtype=np.float64)
    return float(1 + (other > reward).sum() + (other == reward).sum() / 2)


def best_of_n(
    candidates: DataFrame[Outputs], rewards: DataFrame[Rewards], examples: DataFrame[Examples], bootstrap: Bootstrap
) -> DataFrame[BestOfN]:
    """Estimate reward and ROUGE-L of the best of n for every n, and the reference's rank; see BestOfN.

    `rewards` holds those of the candidates and, as the model "reference", of the references. Intervals
    are over inputs. What needs references is left out where the split has none.

    Raises:
        UserError: no candidate has a reward.
    """
    rewards = rewards.dropna(subset="reward")  # candidates that the reward model did not answer for are none
    if not (rewards["model"] != HUMAN).any():
        raise UserError(
            "no candidate has a score to choose by: the reward model or judge refused, or all but surely said "
            "something else than either answer, or the verifier gave none. Name another model in the catalog, train "
            "one (reward_model.trained: true), or mend the verifier"
        )
    human = rewards[rewards["model"] == HUMAN].set_index("example_id")["reward"]
    table = candidates[["example_id", "model", "sample_index", "text"]].merge(
        rewards[rewards["model"] != HUMAN], on=["example_id", "model", "sample_index"], validate="one_to_one"
    )
    references = examples.set_index("example_id")["reference"].dropna()
    curves: dict[str, list[NDArray[np.float64]]] = {"reward": [], "rouge_l": []}
    ranks = []
    for example_id, own in table.sort_values("sample_index").groupby("example_id", sort=False):
        curves["reward"].append(expected_best(own["reward"], own["reward"]))
        if example_id in references.index:
            overlap = rouge_l(list(own["text"]), [references[example_id]] * len(own))
            curves["rouge_l"].append(expected_best(overlap, own["reward"]))
        if example_id in human.index:
            ranks.append(rank_among(float(human[example_id]), own["reward"]))
    n_largest = min(len(curve) for curve in curves["reward"])
    rows = [
        _row(metric, n, [curve[n - 1] for curve in of_posts], bootstrap)
        for metric, of_posts in curves.items()
        if of_posts
        for n in range(1, n_largest + 1)
    ]
    if ranks:
        rows.append(_row("human_rank", n_largest, ranks, bootstrap))
    return BestOfN.validate(pd.DataFrame(rows))


def _row(metric: str, n: int, values: ArrayLike, bootstrap: Bootstrap) -> dict[str, object]:
    estimate = mean_estimate(values, bootstrap)
    return {
        "metric": metric,
        "n": n,
        "kl_bound": kl_bound(n),
        "n_inputs": estimate.n,
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "lower": estimate.lower,
        "upper": estimate.upper,
    }
