"""The scorers that the parameters describe, and any other; then one table of scores, and what they choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.pipelines.requirements import require_texts
from ilf_kedro.pipelines.reward_model.inputs import reward_model_from
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    FeedbackTexts,
    RankedSelections,
    Refinements,
    Scores,
    Selections,
    TemplateDisagreement,
    UndefinedScores,
    UserError,
)
from ilf_kedro.schemas.names import CONTROLS, WITH_MODEL_FEEDBACK, WITH_SHUFFLED_FEEDBACK, WITHOUT_FEEDBACK
from ilf_kedro.scoring import (
    count_undefined,
    ensemble_scores,
    reward_model_scores,
    scorers,
    select_best,
    select_top,
    template_disagreement,
    verifier_scores,
)
from ilf_kedro.scoring.verifier import SCORER as VERIFIER
from ilf_kedro.tasks import Task


def collect_refinements(*refinement_sets: DataFrame[Refinements]) -> DataFrame[Refinements]:
    """Put the refinement sets of all methods into one table, in the order given."""
    return Refinements.validate(pd.concat(refinement_sets, ignore_index=True))


def run_scorer(refinements: DataFrame[Refinements], *inputs: Any, scorer: str) -> DataFrame[Scores]:
    """Score by a registered scorer, whose inputs follow.

    Raises:
        MissingColumnError: an example lacks a text that the scorer needs.
    """
    found = scorers()[scorer]
    if found.needs:
        examples = inputs[0]
        asked = examples[examples["example_id"].isin(refinements["example_id"])]
        require_texts(asked, found.needs, user=f"the scorer {scorer}")
    scores: DataFrame[Scores] = found.function(refinements, *inputs)
    return scores


def score_reward_model(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    reward_base_model: LanguageModel,
    checkpoint: Checkpoint,
    options: RewardModelOptions,
    template: PromptTemplate,
    pair_template: PromptTemplate,
) -> DataFrame[Scores]:
    """Score by the reward model, which was trained on comparisons and does not see the feedback."""
    reward_model = reward_model_from(reward_base_model, checkpoint, options, template, pair_template)
    return reward_model_scores(refinements, examples, reward_model)


def score_verifier(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    options: SelectionOptions,
    task: Task,
    *control_feedback: DataFrame[FeedbackTexts],
) -> DataFrame[Scores]:
    """Score by the Python function that the parameters name, in a process of its own.

    Of a control it sees the feedback that the refiner was shown: another one (`control_feedback`), or none.
    """
    shown = _shown_feedback(refinements, examples, control_feedback)
    is_target = options.target_scorer == VERIFIER
    return verifier_scores(refinements, examples, options.verifier, task, is_target=is_target, shown_feedback=shown)


def _shown_feedback(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    control_feedback: Sequence[DataFrame[FeedbackTexts]],
) -> list[str | None]:
    """Return for each refinement the feedback that the refiner was shown.

    Raises:
        KeyError: a control's feedback is not given.
    """
    own = examples.set_index("example_id")["feedback"]
    texts: dict[str, pd.Series[str] | None] = {WITHOUT_FEEDBACK: None}
    for table in control_feedback:
        method = WITH_SHUFFLED_FEEDBACK if (table["source"] == "shuffled").all() else WITH_MODEL_FEEDBACK
        texts[method] = table.set_index("example_id")["feedback"]
    shown = []
    for method, example_id in zip(refinements["method"], refinements["example_id"], strict=True):
        found = texts[method] if method in CONTROLS else own
        text = None if found is None else found[example_id]
        shown.append(text if isinstance(text, str) else None)
    return shown


def score_ensemble(
    refinements: DataFrame[Refinements], options: SelectionOptions, *scores: DataFrame[Scores]
) -> DataFrame[Scores]:
    """Score by weighted means of other scores."""
    return ensemble_scores(refinements, options.ensembles, collect_scores(*scores))


def collect_scores(*tables: DataFrame[Scores]) -> DataFrame[Scores]:
    """Put the scores of all scorers into one tidy table."""
    return Scores.validate(pd.concat(tables, ignore_index=True))


def count_undefined_scores(
    scores: DataFrame[Scores], refinements: DataFrame[Refinements]
) -> DataFrame[UndefinedScores]:
    """Count the scores that are undefined, per scorer and method."""
    return count_undefined(scores, refinements)


def measure_disagreement(scores: DataFrame[Scores]) -> DataFrame[TemplateDisagreement]:
    """Measure how far InstructRM's templates disagree on each refinement."""
    return template_disagreement(scores)


def select_refinements(
    scores: DataFrame[Scores], refinements: DataFrame[Refinements], options: SelectionOptions | None = None
) -> DataFrame[Selections]:
    """Let each scorer choose one refinement per example and method.

    Raises:
        UserError: the target scorer gave no score at all, so that the first refinements would be learnt from.
    """
    if options is not None and len(scores):
        target = scores.loc[scores["scorer"] == options.target_scorer, "score"]
        if len(target) and target.isna().all():
            raise UserError(
                f"selection.target_scorer: {options.target_scorer} gave none of {len(target)} refinements a score, so "
                "it cannot choose what is learnt; the log says why. Mend the scorer, or choose by another score."
            )
    return select_best(scores, refinements)


def select_top_refinements(
    scores: DataFrame[Scores], refinements: DataFrame[Refinements], options: SelectionOptions
) -> DataFrame[RankedSelections]:
    """Let each scorer rank the refinements of each example and method, and keep the first k."""
    return select_top(scores, refinements, options.top_k)
