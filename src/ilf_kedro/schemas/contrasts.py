"""What outputs are worth by one measure or another, and how every two of their writers compare."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Estimates, Table


class Measurements(Table):
    """What the output of an arm for an example is worth by a measure; a higher value is better.

    `judged_by` is who said so: an annotator, a judge, or empty for what is computed. A rank is negated, and compares
    only with those of the same example and judge. `length` is in words; null where it is not known. Rows stand in the
    order in which they were collected.
    """

    measure: Series[str]
    judged_by: Series[str]
    example_id: Series[str]
    arm: Series[str]
    value: Series[float]
    length: Series[float] = pa.Field(nullable=True, ge=0)

    class Config:
        unique = ["measure", "judged_by", "example_id", "arm"]


class Contrasts(Estimates):
    """How an arm compares with a baseline on the examples that both have, by one measure.

    `statistic` is win_rate (½ for a tie), win_rate_at_equal_length, or difference (of values, paired). `n` counts
    examples, `n_judgements` and `n_judges` what and who stands behind them. `adjusted_p` is Holm's, over all contrasts
    of one measure and statistic. `smallest_difference` is what these data would show in four of five repetitions,
    after that correction; `n_for_3_points` how many examples bring the interval to ±0.03; `lower_any_time` and
    `upper_any_time` hold however often one looks while judgements come in. What cannot be estimated is null.
    """

    measure: Series[str]
    arm: Series[str]
    baseline: Series[str]
    statistic: Series[str] = pa.Field(isin=["win_rate", "win_rate_at_equal_length", "difference"])
    n_judgements: Series[int] = pa.Field(ge=0)
    n_judges: Series[int] = pa.Field(ge=0)
    ties: Series[float] = pa.Field(nullable=True, ge=0, le=1)
    p_value: Series[float] = pa.Field(nullable=True, ge=0, le=1)
    adjusted_p: Series[float] = pa.Field(nullable=True, ge=0, le=1)
    smallest_difference: Series[float] = pa.Field(nullable=True, ge=0)
    n_for_3_points: Series[float] = pa.Field(nullable=True, ge=1)
    lower_any_time: Series[float] = pa.Field(nullable=True)
    upper_any_time: Series[float] = pa.Field(nullable=True)
    value: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["measure", "arm", "baseline", "statistic"]


class Standings(Estimates):
    """Where an arm stands among all of a measure.

    `statistic` is strength (Bradley and Terry's, log-odds against an average arm), mean_rank (1 is the best, tied arms
    share the mean of their places) or mean (of values). What cannot be estimated is null.
    """

    measure: Series[str]
    arm: Series[str]
    statistic: Series[str] = pa.Field(isin=["strength", "mean_rank", "mean"])
    value: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["measure", "arm", "statistic"]


class CorrectedWinRates(Estimates):
    """A win rate by people for all inputs, from the `n` that people ranked and the judge's predictions of `n_judged`.

    `weight` is what the judge's predictions count, from 0 (nothing) to 1. The judge's own win rate over all stands
    beside, and that of people over theirs with its interval, which the correction is to narrow.
    """

    arm: Series[str]
    baseline: Series[str]
    judge: Series[str]
    n_judged: Series[int] = pa.Field(ge=0)
    weight: Series[float] = pa.Field(ge=0, le=1)
    by_judge: Series[float] = pa.Field(ge=0, le=1)
    by_people: Series[float] = pa.Field(ge=0, le=1)
    lower_by_people: Series[float] = pa.Field(nullable=True)
    upper_by_people: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["arm", "baseline", "judge"]


class JudgeFigures(Estimates):
    """One figure of a judge, a language model: how it judges, and how far people agree with it.

    Metrics: agreement and kappa (with people, on the same two outputs), people_agreement (of two people on them),
    prefers_first, contradicts (prefers the same place in both orders), prefers_longer and people_prefer_longer (of
    preferences between outputs of unequal length), ties, refuses, covered (probability on the two answers).
    """

    judge: Series[str]
    metric: Series[str]
    value: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["judge", "metric"]
