"""The tournament's one sentence: which scorer to trust, or that the data cannot tell."""

from __future__ import annotations

from collections.abc import Sequence

from ilf_kedro.evaluation.contests import POWER
from ilf_kedro.evaluation.recommendation import OpenContest, Recommendation
from ilf_kedro.evaluation.tournament import LONGEST, RANDOM
from ilf_kedro.pipelines.tournament.score_labels import label
from ilf_kedro.report.labels import number

__all__ = ["recommendation_sentence"]

_NAMED = 2


def recommendation_sentence(found: Recommendation, win_rate: float) -> str:
    """Say in one sentence which scorer the contests speak for, and how many more rankings would settle the rest."""
    leader, on = label(found.leader), f"on {found.n} ranked examples"
    if found.leader == RANDOM:
        return f"The data recommend no scorer: {on} none wins more often than a random choice."
    if found.obstacle is None:
        return (
            f"Choose by “{leader}”: {on} it wins {number(win_rate, 2)} of comparisons with a random refinement, more "
            f"than each of the other scorers ({_tests(found)})."
        )
    effort = _effort(found.obstacle, leader)
    if found.verdict == "beats_controls":
        beaten = "a random choice" if found.leader == LONGEST else "a random choice and the longest refinement"
        return (
            f"Choose by “{leader}”: {on} it wins {number(win_rate, 2)} of comparisons with a random refinement, more "
            f"than {beaten} ({_tests(found)}), but the data cannot tell it from {_names(found.open)}; {effort}."
        )
    return (
        f"The data cannot tell which scorer to trust: {on} “{leader}” wins most often, {number(win_rate, 2)} of "
        f"comparisons with a random refinement, but is not shown to be better than {_names(found.open)} "
        f"({_tests(found)}); {effort}."
    )


def _tests(found: Recommendation) -> str:
    return f"paired tests at {found.level:.0%}, corrected for all {found.n_contests:,} pairs of scorers"


def _effort(contest: OpenContest, leader: str) -> str:
    """Say how many more rankings would tell the leader from one other scorer."""
    other = f"“{label(contest.other)}”"
    if contest.more_rankings is None:
        return f"no number of rankings follows from them for “{leader}” against {other}, for both did equally well"
    return (
        f"about {contest.more_rankings:,} more rankings would tell “{leader}” from {other} with a power of "
        f"{POWER:.0%}, if the difference found is the true one"
    )


def _names(contests: Sequence[OpenContest]) -> str:
    """Name the controls among the scorers, then others, and count the rest."""
    others = sorted((contest.other for contest in contests), key=lambda name: name not in (LONGEST, RANDOM))
    controls = sum(name in (LONGEST, RANDOM) for name in others)
    shown = [f"“{label(name)}”" for name in others[: max(_NAMED, controls)]]
    rest = len(others) - len(shown)
    if rest:
        shown.append(f"{rest} other{'s' if rest > 1 else ''}")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
