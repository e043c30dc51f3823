"""Means of judgements that hang together: those on one input, and those by one annotator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from ilf_kedro.evaluation.contests import sign_flip_tests
from ilf_kedro.evaluation.intervals import FEWEST, Bootstrap, Estimate, mean_estimate, mean_share_estimate
from ilf_kedro.schemas.names import IDENTICAL_OUTPUTS

__all__ = ["ClusteredMean", "Judgements", "clustered_errors", "clustered_mean"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Judgements:
    """Of each judgement its input and its annotator, as numbers, and its weight: every input weighs 1 together."""

    inputs: Integers
    annotators: Integers
    weights: Floats
    n_annotators: int

    @classmethod
    def of(cls, example_ids: Sequence[str], judged_by: Sequence[str]) -> Judgements:
        """Number the inputs, in their order, and annotators.

        What is computed is judged by "", and identical outputs by nobody: neither is an annotator.
        """
        inputs, _ = pd.factorize(np.asarray(example_ids, dtype=object))
        people = np.asarray(judged_by, dtype=object)
        nobody = people == IDENTICAL_OUTPUTS
        own = np.where(nobody, [f"{IDENTICAL_OUTPUTS} {number}" for number in range(len(people))], people)
        annotators, _ = pd.factorize(own)
        weights = 1.0 / np.bincount(inputs)[inputs]
        return cls(inputs, annotators, weights, len(set(people[~nobody]) - {""}))

    @property
    def groupings(self) -> tuple[Integers, ...]:
        """What judgements hang together by: inputs, and annotators where there are enough to estimate it from."""
        return (self.inputs, self.annotators) if self.n_annotators >= FEWEST else (self.inputs,)


def clustered_errors(influences: Floats, groupings: Sequence[Integers]) -> tuple[Floats, int]:
    """Return the standard error of each column of `influences` (judgements, estimates), and the degrees of freedom.

    An influence is what a judgement adds to an estimate, less what it would at the truth. By one grouping the variance
    is the sum of squares of the groups' sums; by two it is Cameron, Gelbach and Miller's (2011): the sum of both less
    that of their intersections, and never less than either. Each is times G/(G − 1). Degrees of freedom are those of
    the smaller number of groups.
    """
    variances = [_variance(influences, grouping) for grouping in groupings]
    total = variances[0]
    if len(groupings) > 1:
        joined = np.unique(np.column_stack(groupings), axis=0, return_inverse=True)[1].ravel()
        total = np.maximum.reduce([sum(variances) - _variance(influences, joined), *variances])
    return np.sqrt(total), min(int(grouping.max()) + 1 for grouping in groupings) - 1


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """A mean over inputs of each input's mean judgement.

    `per_input` are those means, in the order of the inputs. `degrees` of freedom of Student's t are given where
    annotators count as drawn at random.
    """

    estimate: Estimate
    per_input: Floats
    degrees: int | None = None

    def p_value(self, null: float, *, seed: int) -> float:
        """Return the two-sided p-value against a mean of `null`: by sign flips over inputs, or by Student's t."""
        if self.degrees is not None and self.estimate.standard_error:
            t = (self.estimate.value - null) / self.estimate.standard_error
            return float(2 * scipy.stats.t.sf(abs(t), self.degrees))
        table = np.column_stack([self.per_input - null, np.zeros_like(self.per_input)])
        return float(sign_flip_tests(table, np.array([0]), np.array([1]), seed=seed)[0][0])


def clustered_mean(
    values: Floats, judgements: Judgements, bootstrap: Bootstrap, *, share: bool = False
) -> ClusteredMean:
    """Estimate the mean over inputs of the mean of each input's judgements.

    With one annotator per input, or fewer than 5 annotators in all, the interval is over inputs: it is about these
    annotators. Else it also counts that another annotator would have judged otherwise, with Student's t of the
    annotators or inputs, whichever are fewer. A `share` lies within 0 and 1.
    """
    per_input: Floats = np.bincount(judgements.inputs, weights=values * judgements.weights).astype(np.float64)
    estimate = mean_share_estimate(per_input, bootstrap) if share else mean_estimate(per_input, bootstrap)
    by_input = ClusteredMean(estimate, per_input)
    if len(judgements.groupings) < 2 or estimate.standard_error is None or estimate.lower is None:
        return by_input
    n = per_input.size
    influences = (values - estimate.value) * judgements.weights / n
    errors, degrees = clustered_errors(influences[:, None], judgements.groupings)
    error = float(errors[0])
    if error <= estimate.standard_error:
        return by_input
    reach = float(scipy.stats.t.ppf((1 + bootstrap.confidence) / 2, degrees)) * error
    lower, upper = estimate.value - reach, estimate.value + reach
    if share:
        lower, upper = max(0.0, lower), min(1.0, upper)
    note = f"counts {judgements.n_annotators} annotators as drawn at random"
    return ClusteredMean(Estimate(estimate.value, n, error, lower, upper, note), per_input, degrees)


def _variance(influences: Floats, grouping: Integers) -> Floats:
    n_groups = int(grouping.max()) + 1
    summed = np.zeros((n_groups, influences.shape[1]))
    np.add.at(summed, grouping, influences)
    if n_groups == 1:
        return np.zeros(influences.shape[1])
    return np.asarray(n_groups / (n_groups - 1) * (summed**2).sum(axis=0))
