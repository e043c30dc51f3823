"""The examples of each round: which inputs, whose output of them, and who says what is wrong with it."""

from __future__ import annotations

import logging

import pandas as pd

from ilf_kedro.datasets.feedback_folder import FeedbackFolder
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import Capability, LanguageModel, TrainableModel, require
from ilf_kedro.pipelines.finetune.nodes import sample_base_outputs, sample_outputs
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.requirements import having_texts
from ilf_kedro.pipelines.rounds.annotators import annotate
from ilf_kedro.pipelines.rounds.options import RoundsOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate, clean_completion, prompts_of
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    Outputs,
    RoundExamples,
    RoundTargets,
    Selections,
    UserError,
)
from ilf_kedro.tasks import Task

logger = logging.getLogger(__name__)

DATA, HUMAN = "data", "human"
SPLIT = "split"
_OF_ROUND = ["round", "output_by", "feedback_source"]


def first_examples(examples: DataFrame[Examples], options: RoundsOptions) -> DataFrame[RoundExamples]:
    """Take the examples of all rounds with the split's own initial outputs and feedback, as one round has them.

    Raises:
        UserError: the split has fewer such examples than the rounds need.
        MissingColumnError: no example has both.
    """
    needed = sum(options.sizes)
    examples = having_texts(examples, ["initial_output", "feedback"], user="the pipeline rounds")
    if needed > len(examples):
        raise UserError(
            f"rounds.sizes is {list(options.sizes)}, {needed} examples together, but the train split has "
            f"{len(examples)} with an initial output and feedback; lower the sizes or add examples to the train file"
        )
    chosen = examples.sort_values("position").head(needed)
    rounds = [number for number, size in enumerate(options.sizes) for _ in range(size)]
    return RoundExamples.validate(chosen.assign(round=rounds, output_by=SPLIT, feedback_source=DATA))


def sample_initial_outputs(
    base_model: TrainableModel,
    examples: DataFrame[RoundExamples],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    checkpoint: Checkpoint | None = None,
    *,
    round: int,  # noqa: A002  # the design's word
    author: str,
) -> DataFrame[Outputs]:
    """Let the model that the feedback of a round is about write an output of each input of the round."""
    inputs = Examples.validate(examples[examples["round"] == round].drop(columns=_OF_ROUND))
    if checkpoint is None:
        return sample_base_outputs(base_model, inputs, template, options, seed, model_name=author)
    return sample_outputs(base_model, checkpoint, inputs, template, options, seed, model_name=author)


def collect_feedback(
    examples: DataFrame[RoundExamples],
    folder: FeedbackFolder,
    options: RoundsOptions,
    task: Task,
    seed: int,
    refiner: LanguageModel | None = None,
    template: PromptTemplate | None = None,
    **outputs: DataFrame[Outputs],
) -> dict[str, DataFrame[RoundExamples]]:
    """Get feedback on the outputs of a round, from the refiner, from files that people fill in, or from a function.

    `outputs` are tables of outputs by the name of their file. Empty outputs give nothing to speak about, and an
    empty answer of the model nothing to refine by: such examples are left out and counted.

    Raises:
        FeedbackNeededError: files wait for people's feedback, or have faults.
        UserError: no example is left.
    """
    rounds = {name: _about(examples, table) for name, table in outputs.items()}
    if refiner is not None and template is not None:
        require(refiner, Capability.GENERATE, user="the feedback of later rounds")
        answers = {
            name: _ask(refiner, table, template, options, seed, label=f"feedback, {name}")
            for name, table in rounds.items()
        }
        source = f"model:{refiner.name}"
    elif options.annotator is not None and options.feedback_by == "function":
        answers = {name: annotate(table, options.annotator, task) for name, table in rounds.items()}
        source = f"function:{options.annotator.callable}"
    else:
        answers, source = folder.collect(rounds), HUMAN
    collected = {}
    for name, table in rounds.items():
        answered = table.assign(feedback=answers[name], feedback_source=source)
        collected[name] = RoundExamples.validate(_without_empty(answered, "feedback", name))
    return collected


def round_targets(
    examples: DataFrame[RoundExamples], selections: DataFrame[Selections], options: SelectionOptions
) -> DataFrame[RoundTargets]:
    """Take the refinement that the target scorer chose of each example; empty ones are left out and counted."""
    chosen = selections.loc[selections["scorer"] == options.target_scorer, ["example_id", "text"]]
    table = examples.merge(chosen.rename(columns={"text": "target"}), on="example_id")
    kept = _without_empty(table, "target", str(table["output_by"].iloc[0]))
    return RoundTargets.validate(
        kept[
            [
                "example_id",
                *RoundExamples.input_names(examples),
                "target",
                "round",
                "feedback_source",
            ]
        ]
    )


def _about(examples: DataFrame[RoundExamples], outputs: DataFrame[Outputs]) -> pd.DataFrame:
    """Return the round's examples with the outputs as their initial outputs, and no feedback yet."""
    by_id = outputs.set_index("example_id")
    table = examples[examples["example_id"].isin(by_id.index)].reset_index(drop=True)
    table = table.assign(
        initial_output=table["example_id"].map(by_id["text"]),
        output_by=table["example_id"].map(by_id["model"]),
        feedback=None,
    )
    return _without_empty(table, "initial_output", str(outputs["model"].iloc[0]))


def _ask(
    refiner: LanguageModel,
    table: pd.DataFrame,
    template: PromptTemplate,
    options: RoundsOptions,
    seed: int,
    *,
    label: str,
) -> pd.Series[str]:
    drawn = refiner.generate(prompts_of(table, template), range(1), options.feedback_sampling, seed=seed, label=label)
    texts = [
        clean_completion(completion.text, ended_by_length=completion.finish_reason == "length")
        for (completion,) in drawn
    ]
    return pd.Series(texts, index=table.index)


def _without_empty(table: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    kept = table[table[column].fillna("") != ""].reset_index(drop=True)
    if kept.empty:
        raise UserError(f"rounds, {name}: every {column} of the round is empty, so that nothing is left to learn from")
    if len(kept) < len(table):
        logger.warning(
            "rounds, %s: %d of %d examples are left out, for their %s is empty",
            name,
            len(table) - len(kept),
            len(table),
            column,
        )
    return kept
