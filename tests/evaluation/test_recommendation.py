"""What a tournament recommends, from contests whose outcome is plain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.evaluation.contests import contests
from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.evaluation.recommendation import Recommendation, recommend

BOOTSTRAP = Bootstrap(confidence=0.95, resamples=100, seed=0)


def verdict(means: dict[str, float], n: int = 60, spread: float = 0.1) -> Recommendation:
    noise = np.random.default_rng(1).normal(0, spread, (n, len(means)))
    values = pd.DataFrame(noise - noise.mean(0), columns=list(means)) + pd.Series(means)
    if "random" in values:
        values["random"] = 0.5
    return recommend(contests(values, BOOTSTRAP), confidence=0.95)


def test_a_clear_winner_is_the_best() -> None:
    found = verdict({"random": 0.5, "longest": 0.55, "a": 0.8, "b": 0.6})
    assert (found.leader, found.verdict, found.open, found.obstacle) == ("a", "best", (), None)
    assert found.n_contests == 6


def test_two_good_scorers_beat_the_controls_but_not_each_other() -> None:
    found = verdict({"random": 0.5, "longest": 0.55, "a": 0.8, "b": 0.795})
    assert (found.leader, found.verdict) == ("a", "beats_controls")
    assert [contest.other for contest in found.open] == ["b"]
    assert found.obstacle is not None
    assert found.obstacle.more_rankings is not None
    assert found.obstacle.more_rankings > 1000


def test_a_leader_no_better_than_the_longest_is_not_recommended() -> None:
    found = verdict({"random": 0.5, "longest": 0.64, "a": 0.65, "b": 0.52})
    assert (found.leader, found.verdict) == ("a", "undecided")
    assert found.obstacle is not None
    assert found.obstacle.other == "longest"
    assert found.obstacle.more_rankings is not None
    assert found.obstacle.more_rankings > 100


def test_the_longest_itself_may_lead_and_then_has_random_alone_to_beat() -> None:
    found = verdict({"random": 0.5, "longest": 0.7, "a": 0.69})
    assert (found.leader, found.verdict) == ("longest", "beats_controls")


def test_random_in_the_lead_recommends_nothing() -> None:
    found = verdict({"random": 0.5, "longest": 0.45, "a": 0.3})
    assert (found.leader, found.verdict) == ("random", "undecided")


def test_scorers_that_did_equally_well_need_no_number_of_rankings() -> None:
    values = pd.DataFrame({"a": [0.9, 0.1, 0.5, 0.5], "longest": [0.1, 0.9, 0.5, 0.5]})
    found = recommend(contests(values, BOOTSTRAP), confidence=0.95)
    assert found.verdict == "undecided"
    assert found.open[0].more_rankings is None


def test_without_a_contest_there_is_nothing_to_recommend() -> None:
    values = pd.DataFrame({"a": [0.1, 0.2], "b": [0.1, 0.2]})
    with pytest.raises(ValueError, match="at least one contest"):
        recommend(contests(values, BOOTSTRAP).iloc[:0], confidence=0.95)
