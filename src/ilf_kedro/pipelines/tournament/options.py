"""The options of the pipeline tournament."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from ilf_kedro.pipelines.names import ScorerName, each_once
from ilf_kedro.schemas import Options
from ilf_kedro.scoring.ensemble import SCORER as ENSEMBLE
from ilf_kedro.scoring.ensemble import EnsembleOptions
from ilf_kedro.scoring.names import scores_of
from ilf_kedro.tasks import Task

_CONTROLS = ("random", "longest")


class TournamentOptions(Options):
    """Which scorers compete, and against whose rankings they are measured.

    `rankings` "file" reads the data set raw.development_rankings; "judge" samples refinements of the development
    split, which the catalog's `judge` ranks; null is the file where the task has rankings, else the judge. `n_examples`
    is how many ranked examples count, in the order of the development split; null is all.
    """

    rankings: Literal["file", "judge"] | None = None
    n_examples: int | None = Field(default=8, ge=2)
    scorers: tuple[ScorerName, ...] = (
        "instruct_rm",
        "log_probability",
        "embedding_similarity",
        "classifier",
        "reward_model",
    )

    _each_once = each_once("scorer", "scorers")

    @property
    def competitors(self) -> tuple[str, ...]:
        """The scorers that run: random and longest always compete, whether they are named or not."""
        return (*_CONTROLS, *(scorer for scorer in self.scorers if scorer not in _CONTROLS))

    def that_can_run(self, task: Task) -> TournamentOptions:
        """Return the options with rankings that there are, and without a reward model that nothing could train."""
        kept = tuple(scorer for scorer in self.scorers if task.has_comparisons or scorer != "reward_model")
        rankings = self.rankings or ("file" if task.rankings else "judge")
        return self.model_copy(update={"scorers": kept, "rankings": rankings})

    def check_ensembles(self, ensembles: Sequence[EnsembleOptions]) -> None:
        """Refuse an ensemble that competes without its members.

        Raises:
            ValueError: none is declared in selection.ensembles, or a member is no score of a competing scorer.
        """
        if ENSEMBLE not in self.competitors:
            return
        made = scores_of(self.competitors, ensembles)
        missing = sorted({score for each in ensembles for score in each.weights} - set(made))
        if missing or not ensembles:
            reason = f"no competing scorer gives {', '.join(missing)}" if missing else "selection.ensembles is empty"
            raise ValueError(f"tournament.scorers has `{ENSEMBLE}`, but {reason}; add what is missing, or leave it out")
