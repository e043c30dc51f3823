"""The options of the pipeline selection."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Self

from pydantic import Field, field_validator, model_validator

from ilf_kedro.pipelines.names import ScorerName, each_once, repeated_values
from ilf_kedro.schemas import Options
from ilf_kedro.scoring.ensemble import SCORER as ENSEMBLE
from ilf_kedro.scoring.ensemble import EnsembleOptions
from ilf_kedro.scoring.names import scores_of
from ilf_kedro.scoring.registry import scorers as registered
from ilf_kedro.scoring.verifier import SCORER as VERIFIER
from ilf_kedro.scoring.verifier import VerifierOptions


class SelectionOptions(Options):
    """Which scorers run, and which score's choice the refinements arm is finetuned on.

    A scorer gives one score or more: instruct_rm gives instruct_rm_1 to instruct_rm_5 and their mean,
    instruct_rm_ensemble. `top_k` is how many refinements of each example are exported by every score's rank.
    """

    scorers: tuple[ScorerName, ...] = Field(default=("random", "longest", "instruct_rm"), min_length=1)
    target_scorer: str = "instruct_rm_ensemble"
    top_k: int = Field(default=5, ge=1, strict=True)
    verifier: VerifierOptions = VerifierOptions()
    ensembles: tuple[EnsembleOptions, ...] = ()

    _each_once = each_once("scorer", "scorers")

    @property
    def unit_tests(self) -> str | None:
        """Return the field whose tests the verifier runs; None where it runs none."""
        if VERIFIER not in self.scorers or self.verifier.callable != "ilf_kedro.verifiers:passes_tests":
            return None
        return str(self.verifier.arguments.get("tests", "tests"))

    @field_validator("ensembles")
    @classmethod
    def _check_ensembles(cls, ensembles: tuple[EnsembleOptions, ...]) -> tuple[EnsembleOptions, ...]:
        if repeated := repeated_values([each.name for each in ensembles]):
            raise ValueError(f"each ensemble needs a name of its own, found {repeated} more often")
        known = scores_of(registered())
        if unknown := {score for each in ensembles for score in each.weights} - set(known):
            raise ValueError(f"an ensemble's members are scores: {_remedies(sorted(unknown))}")
        return ensembles

    @model_validator(mode="after")
    def _check_scores(self) -> Self:
        """Refuse scores that are named but not made."""
        made = scores_of(self.scorers, self.ensembles)
        if ENSEMBLE in self.scorers:
            if not self.ensembles:
                raise ValueError("scorers has `ensemble`, but ensembles is empty; declare one, or leave it out")
            wanted = [score for each in self.ensembles for score in each.weights if score not in made]
            if wanted:
                raise ValueError(f"ensembles have members that no scorer gives: {_remedies(wanted)}")
        if self.target_scorer not in made:
            remedy = _remedies([self.target_scorer], self.ensembles)
            raise ValueError(
                f"target_scorer is {self.target_scorer}, which is no score of the scorers {', '.join(self.scorers)}: "
                f"{remedy}, or name one of {', '.join(made)}"
            )
        return self


def _remedies(scores: Sequence[str], ensembles: Sequence[EnsembleOptions] = ()) -> str:
    """Say which scorer gives each score; or of an unknown one, which is nearest."""
    givers = {score: scorer for scorer in registered() for score in scores_of([scorer], ensembles)}
    lines = []
    for score in dict.fromkeys(scores):
        if score in givers:
            lines.append(f"for {score} add {givers[score]} to selection.scorers")
        else:
            nearest = difflib.get_close_matches(score, givers, n=1, cutoff=0.0)[0]
            lines.append(f"no scorer gives {score} (the nearest is {nearest})")
    return "; ".join(lines)
