"""One node per scorer; then one table of scores, and what they choose."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import Capability, Embedder, LanguageModel, TokenCounter
from ilf_kedro.pipelines.requirements import asks, require_texts
from ilf_kedro.pipelines.reward_model.inputs import reward_model_from
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    RankedSelections,
    Refinements,
    Scores,
    Selections,
    TemplateDisagreement,
    UndefinedScores,
)
from ilf_kedro.scoring import (
    classifier_scores,
    count_undefined,
    embedding_similarity_scores,
    ensemble_scores,
    instruct_rm_scores,
    log_probability_scores,
    longest_scores,
    random_scores,
    reward_model_scores,
    select_best,
    select_top,
    template_disagreement,
    verifier_scores,
)


def collect_refinements(*refinement_sets: DataFrame[Refinements]) -> DataFrame[Refinements]:
    """Put the refinement sets of all methods into one table, in the order given."""
    return Refinements.validate(pd.concat(refinement_sets, ignore_index=True))


def score_random(refinements: DataFrame[Refinements], seed: int) -> DataFrame[Scores]:
    """Score at random, reproducibly."""
    return random_scores(refinements, seed)


def score_longest(refinements: DataFrame[Refinements], base_model: TokenCounter) -> DataFrame[Scores]:
    """Score by length in the tokens of the model that will be finetuned."""
    return longest_scores(refinements, base_model)


@asks("the scorer InstructRM", instruct_rm=Capability.CHOICE_PROBABILITIES)
def score_instruct_rm(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    instruct_rm: LanguageModel,
    *templates: PromptTemplate,
) -> DataFrame[Scores]:
    """Score by asking a language model in five ways whether the feedback was incorporated."""
    _require(examples, refinements, "InstructRM", "initial_output", "feedback")
    return instruct_rm_scores(instruct_rm, templates, examples, refinements)


@asks("the scorer log_probability", likelihood_model=Capability.LOG_LIKELIHOOD)
def score_log_probability(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    likelihood_model: LanguageModel,
    refinement_template: PromptTemplate,
    feedback_template: PromptTemplate,
) -> DataFrame[Scores]:
    """Score by how probable a language model finds the refinement and the feedback, in the paper's ways."""
    _require(examples, refinements, "log_probability", "initial_output", "feedback")
    return log_probability_scores(likelihood_model, refinement_template, feedback_template, examples, refinements)


@asks("the scorer embedding_similarity", embedder=Capability.EMBED)
def score_embedding_similarity(
    refinements: DataFrame[Refinements], examples: DataFrame[Examples], embedder: Embedder
) -> DataFrame[Scores]:
    """Score by how alike the refinement and the feedback are."""
    _require(examples, refinements, "embedding_similarity", "feedback")
    return embedding_similarity_scores(embedder, examples, refinements)


@asks("the scorer classifier", classifier=Capability.CHOICE_PROBABILITIES)
def score_classifier(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    classifier: LanguageModel,
    template: PromptTemplate,
) -> DataFrame[Scores]:
    """Score by asking a language model whether the refinement is an excellent summary."""
    return classifier_scores(classifier, template, examples, refinements)


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
    return reward_model_scores(reward_model, examples, refinements)


def score_verifier(
    refinements: DataFrame[Refinements], examples: DataFrame[Examples], options: SelectionOptions
) -> DataFrame[Scores]:
    """Score by the Python function that the parameters name, in a process of its own."""
    return verifier_scores(options.verifier, examples, refinements)


def score_ensemble(
    refinements: DataFrame[Refinements], options: SelectionOptions, *scores: DataFrame[Scores]
) -> DataFrame[Scores]:
    """Score by weighted means of other scores."""
    return ensemble_scores(options.ensembles, refinements, collect_scores(*scores))


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


def select_refinements(scores: DataFrame[Scores], refinements: DataFrame[Refinements]) -> DataFrame[Selections]:
    """Let each scorer choose one refinement per example and method."""
    return select_best(scores, refinements)


def select_top_refinements(
    scores: DataFrame[Scores], refinements: DataFrame[Refinements], options: SelectionOptions
) -> DataFrame[RankedSelections]:
    """Let each scorer rank the refinements of each example and method, and keep the first k."""
    return select_top(scores, refinements, options.top_k)


def _require(examples: DataFrame[Examples], refinements: DataFrame[Refinements], scorer: str, *columns: str) -> None:
    """Refuse refinements of examples that lack what the scorer reads."""
    asked = examples[examples["example_id"].isin(refinements["example_id"])]
    require_texts(asked, columns, user=f"the scorer {scorer}")
