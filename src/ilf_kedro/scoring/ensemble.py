"""Ensembles: weighted means of other scores, which are first made comparable within each example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray
from pydantic import Field, field_validator

from ilf_kedro.schemas import DataFrame, Options, Refinements, Scores, UserError
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.tables import score_table

__all__ = ["SCORER", "EnsembleOptions", "ensemble_scores", "score_name"]

SCORER = "ensemble"

_KEYS = ["example_id", "method", "sample_index"]
_DIGITS = 12  # scores that are equal but for rounding tie


class EnsembleOptions(Options):
    """An ensemble: its name, its members' weights, and how scores of different scales become comparable.

    A negative weight prefers low scores, such as {longest: -0.5} for short refinements. By `z_score`, a score is
    its distance from the example's mean in standard deviations; by `rank`, its rank among the example's, the
    lowest having 1.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    weights: Mapping[str, float]
    by: Literal["z_score", "rank"] = "z_score"

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, weights: Mapping[str, float]) -> Mapping[str, float]:
        if not weights or not all(weights.values()):
            raise ValueError(f"expected one or more scores, each with a weight that is not 0, found {dict(weights)}")
        return weights


def score_name(ensemble: str) -> str:
    """Return what the score of an ensemble is called in the tables."""
    return f"{SCORER}_{ensemble}"


@scorer(SCORER, scores=())
def ensemble_scores(
    refinements: DataFrame[Refinements], ensembles: Sequence[EnsembleOptions], scores: DataFrame[Scores]
) -> DataFrame[Scores]:
    """Score each refinement by the weighted mean of its members' z-scores or ranks; higher is better.

    Both are taken among the refinements of one example and method whose score by the member is defined, the
    standard deviation with n; where all are equal, z is 0. A refinement that lacks the score of any member has
    none. The weights are divided by the sum of their absolute values.

    Raises:
        UserError: an ensemble has a member that is not among the scores; naming all of them.
    """
    known = list(dict.fromkeys(scores["scorer"]))
    missing = [f"{each.name}: {score}" for each in ensembles for score in each.weights if score not in known]
    if missing:
        raise UserError(
            f"ensembles have members that were not scored ({', '.join(missing)}); the scores are {', '.join(known)}; "
            "add the scorers of the missing ones, or change selection.ensembles"
        )
    columns = {name: own.set_index(_KEYS)["score"] for name, own in scores.groupby("scorer", sort=False)}
    wide = pd.DataFrame(columns).reindex(pd.MultiIndex.from_frame(refinements[_KEYS]))
    tables = [score_table(refinements, score_name(each.name), list(_weighted_mean(each, wide))) for each in ensembles]
    return Scores.validate(pd.concat(tables, ignore_index=True))


def _weighted_mean(options: EnsembleOptions, wide: pd.DataFrame) -> NDArray[np.float64]:
    members, weights = list(options.weights), np.array(list(options.weights.values()), dtype=np.float64)
    groups = [wide.index.get_level_values(level) for level in ("example_id", "method")]
    comparable = [wide[member].groupby(groups, sort=False).transform(_WAYS[options.by]) for member in members]
    total: NDArray[np.float64] = np.stack(comparable, axis=1) @ (weights / np.abs(weights).sum())
    return total.round(_DIGITS)


def _z_scores(values: pd.Series) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64)
    if np.nanmax(numbers, initial=-np.inf) <= np.nanmin(numbers, initial=np.inf):  # alike, or none defined
        return np.where(np.isnan(numbers), np.nan, 0.0)
    return np.asarray(scipy.stats.zscore(numbers, nan_policy="omit"))


def _ranks(values: pd.Series) -> NDArray[np.float64]:
    return np.asarray(scipy.stats.rankdata(values.to_numpy(dtype=np.float64), nan_policy="omit"))


_WAYS: Mapping[str, Callable[[pd.Series], NDArray[np.float64]]] = {"z_score": _z_scores, "rank": _ranks}
