"""The tournament's one sentence: which scorer to trust, or that the data cannot tell."""

from __future__ import annotations

from collections.abc import Sequence

from ilf_kedro.evaluation.contests import POWER
from ilf_kedro.evaluation.recommendation import OpenContest, Recommendation
from ilf_kedro.evaluation.tournament import LONGEST, RANDOM
from ilf_kedro.pipelines.tournament.score_labels import label
from ilf_kedro.report.prose import Prose
from ilf_kedro.schemas.wording import counted

__all__ = ["recommendation_sentence"]

_PROSE = Prose(__package__)
_NAMED = 2


def recommendation_sentence(found: Recommendation, win_rate: float) -> str:
    """Say in one sentence which scorer the contests speak for, and how many more rankings would settle the rest."""
    leader = label(found.leader)
    if found.leader == RANDOM:
        return _PROSE.no_scorer(found)
    if found.obstacle is None:
        return _PROSE.clear_leader(found, leader, win_rate)
    others, effort = _names(found.open), _effort(found.obstacle, leader)
    if found.verdict == "beats_controls":
        beaten = "a random choice" if found.leader == LONGEST else "a random choice and the longest refinement"
        return _PROSE.beats_controls(found, leader, win_rate, beaten, others, effort)
    return _PROSE.cannot_tell(found, leader, win_rate, others, effort)


def _effort(contest: OpenContest, leader: str) -> str:
    """Say how many more rankings would tell the leader from one other scorer."""
    return _PROSE.effort(leader, label(contest.other), contest.difference, contest.more_rankings, POWER)


def _names(contests: Sequence[OpenContest]) -> str:
    """Name the controls among the scorers, then others, and count the rest."""
    others = sorted((contest.other for contest in contests), key=lambda name: name not in (LONGEST, RANDOM))
    controls = sum(name in (LONGEST, RANDOM) for name in others)
    shown = [f"“{label(name)}”" for name in others[: max(_NAMED, controls)]]
    rest = len(others) - len(shown)
    if rest:
        shown.append(counted(rest, "other"))
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
