"""Runs the trials of one arm, one training after the other, and chooses the winner of each arm."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate
from ilf_kedro.evaluation.log_likelihoods import nll_per_token
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import TrainableModel
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.finetune.training_plan import TrainingPlan, plan_training
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.pipelines.requirements import having_texts, require_texts
from ilf_kedro.pipelines.sweep.design import FACTORS, Trial, list_trials
from ilf_kedro.pipelines.sweep.options import SweepOptions
from ilf_kedro.prompting import PromptTemplate, prompts_of
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import DataFrame, Examples, SweepWinners, Targets, Trials, UserError
from ilf_kedro.training.errors import DivergedError
from ilf_kedro.training.examples import as_completion
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace

logger = logging.getLogger(__name__)

OWN_COLUMNS: Mapping[Arm, str] = {
    "references": "reference",
    "initial_outputs": "initial_output",
    "refinement_model": "reference",
}


@dataclass(frozen=True, slots=True)
class _Arm:
    """What all trials of an arm share: its name and size, what it trains on, and what scores it."""

    name: Arm
    train_size: int
    targets: DataFrame[Targets]
    asked: PromptTemplate
    development: DataFrame[Examples]
    bootstrap: Bootstrap


def run_trials(
    base_model: TrainableModel,
    targets: DataFrame[Targets],
    template: PromptTemplate,
    asked: PromptTemplate,
    development: DataFrame[Examples],
    finetune: FinetuneOptions,
    options: SweepOptions,
    reporting: ReportingOptions,
    seed: int,
    workspace: TrainingWorkspace,
    *,
    arm: Arm,
    train_size: int,
) -> DataFrame[Trials]:
    """Train the arm with every set of options and seed, and score each model on the development split.

    `template` is what the arm is trained on, `asked` what the references are scored as answers to.
    Every arm gets the same list of trials. A finished trial is found again by its content hash, and a killed
    one resumes. A trial whose loss diverges has no score, and the sweep goes on.

    Raises:
        MissingColumnError: no development example has a reference.
    """
    development = having_texts(development, ["reference"], user="the pipeline sweep")
    if arm == "refinement_model":
        require_texts(development, ["initial_output", "feedback"], user="the pipeline sweep (refinement_model)")
    bootstrap = reporting.bootstrap(seed)
    shared = _Arm(arm, train_size, targets, asked, development, bootstrap)
    first = finetune.training_for(train_size)
    trials = list_trials(options, first)
    rows = []
    for trial in trials:
        plan = plan_training(targets, template, trial.apply(first), base_model.source.format, train_size=train_size)
        for seed_here in range(seed, seed + options.n_seeds):
            row = _run(base_model, shared, trial, plan, seed_here, workspace)
            rows.append(row)
            logger.info(
                "sweep, %s: trial %d of %d (%s), seed %d: %s",
                arm,
                trial.number + 1,
                len(trials),
                ", ".join(f"{name} {getattr(trial, name):g}" for name in FACTORS),
                seed_here,
                _outcome(row),
            )
    return Trials.from_rows(rows)


def collect_trials(*tables: DataFrame[Trials]) -> DataFrame[Trials]:
    """Put the trials of all arms into one table."""
    return Trials.validate(pd.concat(tables, ignore_index=True))


def choose_winners(trials: DataFrame[Trials], options: SweepOptions) -> DataFrame[SweepWinners]:
    """Choose each arm's options: the lowest mean score over seeds, and the earlier trial where two are equal.

    A trial that diverged with one of its seeds cannot win.

    Raises:
        UserError: an arm has no score of the kind that is asked for.
    """
    column = "nll_references" if options.chosen_by == "references" else "nll_own_targets"
    rows = []
    for arm, of_arm in trials.groupby("arm", sort=False):
        scores = of_arm.groupby("trial")[column].apply(lambda values: values.mean(skipna=False))
        if scores.isna().all():
            raise UserError(_why_none(str(arm), of_arm, options))
        winner = of_arm[of_arm["trial"] == scores.idxmin()].iloc[0]
        rows.append(
            {
                **{name: winner[name] for name in ("arm", "train_size", "trial", *FACTORS)},
                "chosen_by": options.chosen_by,
                "score": scores.min(),
                "n_trials": len(of_arm),
                "n_diverged": (of_arm["status"] == "diverged").sum(),
                "n_steps": of_arm["n_steps"].sum(),
            }
        )
    return SweepWinners.from_rows(rows)


def _why_none(arm: str, trials: pd.DataFrame, options: SweepOptions) -> str:
    if (trials["status"] == "diverged").all():
        return f"the loss of every trial of the arm {arm} diverged; lower sweep.learning_rate_multiplier"
    return (
        f"sweep.chosen_by is {options.chosen_by}, but the development split has no targets of the arm {arm}'s kind; "
        "set it to references, or leave the arm out of sweep.arms"
    )


def _run(
    base_model: TrainableModel,
    arm: _Arm,
    trial: Trial,
    plan: TrainingPlan,
    seed: int,
    workspace: TrainingWorkspace,
) -> dict[str, object]:
    """Train and score one trial, and return its row."""
    texts = [example.prompt.text + example.completion for example in plan.examples]
    row: dict[str, object] = {
        "arm": arm.name,
        "trial": trial.number,
        "factor": trial.factor,
        "seed": seed,
        "train_size": arm.train_size,
        **{name: getattr(trial, name) for name in FACTORS},
        "status": "finished",
        "n_examples": arm.targets["example_id"].nunique(),
        "n_steps": plan.n_steps,
        "n_tokens": trial.epochs * sum(base_model.count_tokens(texts)),
        "n_development": len(arm.development),
        "training": "",
        "seconds": 0.0,
    }
    label = f"sweep, {arm.name}, trial {trial.number}"
    try:
        checkpoint = train_language_model(
            base_model.source, plan.examples, plan.options, seed=seed, workspace=workspace, label=label
        )
    except DivergedError as error:
        logger.warning("%s: %s", label, error)
        return row | {"status": "diverged"}
    score, own = _score(base_model, checkpoint, arm, label)
    return row | {
        "training": checkpoint.record.content_hash,
        "n_steps": checkpoint.record.n_steps,
        "seconds": checkpoint.record.seconds,
        "final_loss": checkpoint.record.final_loss,
        "nll_references": score.value,
        "standard_error": score.standard_error,
        "lower": score.lower,
        "upper": score.upper,
        "nll_own_targets": own,
    }


def _score(base_model: TrainableModel, checkpoint: Checkpoint, arm: _Arm, label: str) -> tuple[Estimate, float | None]:
    """Return the NLL of the references, and of the arm's own kind of targets where the split has them.

    A refinement model is asked with its own prompt, every other model for an output.
    """
    model = base_model.with_checkpoint(checkpoint)
    human = _nll(model, arm, "reference", label)
    column = OWN_COLUMNS.get(arm.name)
    if column is None or arm.development[column].fillna("").eq("").any():
        return human, None
    return human, human.value if column == "reference" else _nll(model, arm, column, label).value


def _nll(model: TrainableModel, arm: _Arm, column: str, label: str) -> Estimate:
    continuations = [as_completion(text, model.source.format) for text in arm.development[column]]
    answers = model.log_likelihood(prompts_of(arm.development, arm.asked), continuations, label=label)
    table = pd.DataFrame(
        {
            "log_likelihood": [sum(answer.log_probabilities) for answer in answers],
            "n_tokens": [len(answer.log_probabilities) for answer in answers],
        }
    )
    return nll_per_token(table, arm.bootstrap)


def _outcome(row: Mapping[str, object]) -> str:
    score = row.get("nll_references")
    return f"{score:.4f} nats per token of references" if isinstance(score, float) else str(row["status"])
