"""Which scorer a tournament speaks for, if any, and how many more rankings would settle what it leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ilf_kedro.evaluation.tournament import LONGEST, RANDOM
from ilf_kedro.schemas import DataFrame, ScorerContests

__all__ = ["OpenContest", "Recommendation", "recommend"]

_CONTROLS = (RANDOM, LONGEST)


@dataclass(frozen=True, slots=True)
class OpenContest:
    """A scorer that the leader was not shown to beat; `more_rankings` is null where no number follows.

    That is so where they did equally well, and where their difference was the same in every example.
    """

    other: str
    difference: float
    adjusted_p: float
    more_rankings: int | None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What the contests of a tournament say, at a level that holds for all of them together.

    `verdict` is "best" where the leader beats every other scorer; "beats_controls" where it beats those of random
    and longest that it is not itself, but not every other; else, and where random leads, "undecided". `open` are the
    contests that it did not win, the runner-up first; `obstacle` the one to name: a control if any, else the runner-up.
    """

    leader: str
    n: int
    n_contests: int
    level: float
    verdict: Literal["best", "beats_controls", "undecided"]
    open: tuple[OpenContest, ...]
    obstacle: OpenContest | None


def recommend(contests: DataFrame[ScorerContests], *, confidence: float) -> Recommendation:
    """Say which scorer the contests speak for.

    The leader has the highest win rate. Because p-values are adjusted for all contests, not only the leader's,
    picking it after looking does not raise the risk: if all scorers were equally good, the probability of
    naming any as better than any is at most 1 - confidence.

    Raises:
        ValueError: there are no contests.
    """
    if contests.empty:
        raise ValueError("a recommendation needs at least one contest")
    leader = str(contests["scorer"].iloc[0])
    level = 1 - confidence
    own = contests[contests["scorer"] == leader]
    lost = own[own["adjusted_p"] > level]
    still_open = tuple(_open_contest(row) for _, row in lost.iterrows())
    by_name = {contest.other: contest for contest in still_open}
    controls = [by_name[control] for control in reversed(_CONTROLS) if control in by_name]
    verdict: Literal["best", "beats_controls", "undecided"] = "beats_controls" if still_open else "best"
    if controls or leader == RANDOM:
        verdict = "undecided"
    obstacle = next(iter([*controls, *still_open]), None)
    return Recommendation(leader, int(own["n"].iloc[0]), len(contests), level, verdict, still_open, obstacle)


def _open_contest(row: pd.Series) -> OpenContest:
    needed = row["rankings_needed"]
    return OpenContest(
        other=str(row["other"]),
        difference=float(row["difference"]),
        adjusted_p=float(row["adjusted_p"]),
        # One more at least: the test at hand did not tell them apart, whatever the approximation says.
        more_rankings=None if pd.isna(needed) else max(1, int(needed) - int(row["n"])),
    )
