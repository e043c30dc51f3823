"""Every parameter of the project at one glance: one model per pipeline, one for the whole.

Kedro builds these from conf/*/parameters_<pipeline>.yml for the nodes that name them; the whole is
checked before anything runs, so that a mistyped key at any depth is refused.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from ilf_kedro.pipelines.analyses import analyses
from ilf_kedro.pipelines.analysis.options import AnalysisOptions
from ilf_kedro.pipelines.contrasts.options import ContrastsOptions
from ilf_kedro.pipelines.controls.options import ControlsOptions
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.pipelines.export.options import ExportOptions
from ilf_kedro.pipelines.finetune.options import FinetuneOptions, TrainingOverride
from ilf_kedro.pipelines.names import CONTROL_ARMS, Arm, Chooser, RefinementMethod, ScorerName
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.reporting.pipeline import VerifiedTexts
from ilf_kedro.pipelines.reward_model.options import ComparisonOptions, RewardModelOptions
from ilf_kedro.pipelines.rounds.options import RoundsOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.pipelines.sweep.options import SweepOptions
from ilf_kedro.pipelines.tournament.options import TournamentOptions
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import Options
from ilf_kedro.schemas.names import BASE_MODEL
from ilf_kedro.scoring.names import reads_feedback
from ilf_kedro.scoring.registry import scorers
from ilf_kedro.scoring.verifier import SCORER as VERIFIER
from ilf_kedro.tasks import Task, plain_task
from ilf_kedro.wiring.tracking_options import TrackingOptions

__all__ = [
    "AnalysisOptions",
    "Arm",
    "ComparisonOptions",
    "ContrastsOptions",
    "ControlsOptions",
    "DataPrepOptions",
    "ExportOptions",
    "FinetuneOptions",
    "Parameters",
    "RefinementMethod",
    "RefinementOptions",
    "ReportingOptions",
    "RewardModelOptions",
    "RoundsOptions",
    "ScorerName",
    "SelectionOptions",
    "SweepOptions",
    "TournamentOptions",
    "TrackingOptions",
    "TrainingOverride",
]


_REWARD: Chooser = "reward_model"
# The columns that an arm's texts come from.
_NEEDS: dict[Arm, tuple[str, ...]] = {
    "refinements": ("feedback",),
    "references": ("reference",),
    "initial_outputs": ("initial_output",),
    "feedback_and_refinement": ("feedback", "initial_output"),
    "best_of_n_outputs": ("comparison",),
    "refinement_model": ("feedback", "initial_output", "reference"),
    **dict.fromkeys(CONTROL_ARMS, ("feedback",)),
}


class Parameters(Options):
    """The whole of conf/*/parameters*.yml.

    Seed and train sizes become names and cache keys as they are written: 8.0, "8" and true are refused.
    """

    seed: int = Field(ge=0, strict=True)
    train_sizes: tuple[Annotated[int, Field(strict=True)], ...]
    task: Task = plain_task()
    data_prep: DataPrepOptions
    refinement: RefinementOptions
    selection: SelectionOptions
    reward_model: RewardModelOptions
    finetune: FinetuneOptions
    reporting: ReportingOptions
    tracking: TrackingOptions = TrackingOptions()
    contrasts: ContrastsOptions = ContrastsOptions()
    controls: ControlsOptions = ControlsOptions()
    analysis: AnalysisOptions = AnalysisOptions()
    export: ExportOptions = ExportOptions()
    sweep: SweepOptions = SweepOptions()
    tournament: TournamentOptions = TournamentOptions()
    rounds: RoundsOptions = RoundsOptions()
    also: tuple[str, ...] = Field(default=(), description="analyses that `kedro run` adds to the main job")

    @field_validator("train_sizes")
    @classmethod
    def _check_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not sizes or any(size < 1 for size in sizes) or list(sizes) != sorted(set(sizes)):
            raise ValueError(
                f"train_sizes must be one or more distinct positive numbers in ascending order, found {list(sizes)}"
            )
        return sizes

    @field_validator("also")
    @classmethod
    def _check_also(cls, also: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in also if name not in analyses()]:
            raise ValueError(f"found {', '.join(unknown)}, expected analyses: {', '.join(analyses())}")
        return also

    @model_validator(mode="after")
    def _check_tournament(self) -> Self:
        self.tournament.check_ensembles(self.selection.ensembles)
        return self

    @model_validator(mode="after")
    def _check_what_the_data_have(self) -> Self:
        """Refuse what asks for texts that the task has no column for."""
        task, asked = self.task, {f"finetune.arms: {arm}": _NEEDS[arm] for arm in self.finetune.arms or ()}
        if self.finetune.best_of_n_by is not None:
            asked.pop("finetune.arms: best_of_n_outputs", None)
        if self.finetune.best_of_n_by == "reward_model":
            asked["finetune.best_of_n_by: reward_model"] = ("comparison",)
        if task.has_references:  # else there is no sweep
            asked |= {f"sweep.arms: {arm}": _NEEDS[arm] for arm in self.sweep.arms or ()}
        if self.refinement.refiner == "refinement_model":
            asked["refinement.refiner: refinement_model"] = _NEEDS["refinement_model"]
        asked |= {f"selection.scorers: {name}": ("comparison",) for name in self.selection.scorers if name == _REWARD}
        there = {
            "comparison": task.has_comparisons,
            "feedback": task.has_feedback,
            "initial_output": task.has_initial_outputs,
            "reference": task.has_references,
        }
        faults = []
        for column in (name for name, is_there in there.items() if not is_there):
            if users := [user for user, needed in asked.items() if column in needed]:
                remedy = "name the column that has it, or leave it out"
                faults.append(f"{', '.join(users)} needs task.columns.{column}, which is null; {remedy}")
        if self.tournament.rankings == "file" and not task.rankings:
            faults.append(
                "tournament.rankings: file needs task.rankings, which is false; set it to true and name the file as "
                "raw.development_rankings in the catalog, or let the judge rank"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @model_validator(mode="after")
    def _check_sampler(self) -> Self:
        asked_otherwise = ("refinement_model", "feedback_and_refinement")  # than by an input alone
        arms = [arm for arm in self.arms if arm not in asked_otherwise]
        known = [BASE_MODEL, *(f"finetune.{arm}.n{size}" for arm in arms for size in self.train_sizes)]
        if self.finetune.best_of_n_from not in (None, *known):
            raise ValueError(
                f"finetune.best_of_n_from is {self.finetune.best_of_n_from!r}, which is no model that writes outputs; "
                f"expected null or one of {', '.join(known)}"
            )
        return self

    @model_validator(mode="after")
    def _check_control_arms(self) -> Self:
        controls = [arm for arm in (*self.arms, *(self.sweep.arms or ())) if arm in CONTROL_ARMS]
        if controls and reads_feedback(self.selection.target_scorer, self.selection.ensembles):
            named = ", ".join(dict.fromkeys(controls))
            blind = [name for name, each in scorers().items() if not each.reads_feedback and each.scores]
            raise ValueError(
                f"selection.target_scorer: {self.selection.target_scorer} reads the person's feedback, which would "
                f"choose for the controls {named} too, so that they would control for less; choose by a score of "
                f"{', '.join(blind)} (add it to selection.scorers), or leave the controls out"
            )
        return self

    @property
    def refinement_methods(self) -> tuple[RefinementMethod, ...]:
        """The methods that refine: those of `refinement.methods`, and those that control arms learn from."""
        asked = (CONTROL_ARMS[arm] for arm in (*self.arms, *(self.sweep.arms or ())) if arm in CONTROL_ARMS)
        return tuple(dict.fromkeys((*self.refinement.methods, *asked)))

    @property
    def n_written(self) -> int | None:
        """How many of people's refinements a refinement model learns from; None where the refiner refines."""
        options = self.refinement
        return (options.n_written or max(self.train_sizes)) if options.refiner == "refinement_model" else None

    @property
    def n_refined(self) -> int:
        """How many of the first training examples may be refined, by the main job or in rounds."""
        return max(*self.train_sizes, sum(self.rounds.sizes))

    @property
    def verified(self) -> tuple[VerifiedTexts, ...]:
        """The texts that the verifier scores, and that have pass rates in the report."""
        found: dict[VerifiedTexts, bool] = {
            "refinements": self.task.has_feedback and VERIFIER in self.selection.scorers,
            "outputs": self.task.has_test and "verifier" in self.task.output.metrics,
        }
        return tuple(texts for texts, are_scored in found.items() if are_scored)

    @property
    def best_of_n_by(self) -> Chooser | None:
        """What chooses the best of N: what is named, else the reward model, where the data have comparisons."""
        return self.finetune.best_of_n_by or (_REWARD if self.task.has_comparisons else None)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms that are finetuned: those that are named, else those that the data have the texts for."""
        if self.finetune.arms is not None:
            return self.finetune.arms
        default: dict[Arm, bool] = {
            "refinements": self.task.has_feedback,
            "references": self.task.has_references,
            "initial_outputs": self.task.has_initial_outputs,
        }
        return tuple(arm for arm, is_there in default.items() if is_there)

    @property
    def unused_sizes(self) -> tuple[int, ...]:
        """The sizes in `finetune.per_size` that nothing is trained at: no train size, round or sum of rounds."""
        rounds = {*self.rounds.sizes, *accumulate(self.rounds.sizes)}
        used = {*self.train_sizes, self.sweep.train_size, self.n_written, *rounds}
        overridden = (override.train_size for override in self.finetune.per_size)
        return tuple(dict.fromkeys(size for size in overridden if size not in used))
