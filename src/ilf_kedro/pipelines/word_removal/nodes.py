"""The loop itself: outputs, refinements, selection, and the finetuning of one arm."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import TrainableModel
from ilf_kedro.pipelines.training_log import training_log
from ilf_kedro.pipelines.word_removal.options import PolicyOptions, RefinerOptions
from ilf_kedro.prompting import PromptTemplate, clean_completion
from ilf_kedro.schemas import (
    Answers,
    DataFrame,
    Examples,
    NoteAnswers,
    Notes,
    NoteTargets,
    Refinements,
    Scores,
    Selections,
    TrainingLog,
    WrittenExamples,
)
from ilf_kedro.scoring import random_scores, select_best
from ilf_kedro.scoring.verifier import VerifierOptions, verifier_scores
from ilf_kedro.training.examples import TrainingExample, as_completion
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace

__all__ = [
    "demonstrate",
    "join_targets",
    "pass_on",
    "score_at_random",
    "select",
    "targets_from_answers",
    "targets_from_outputs",
    "targets_from_selections",
    "train_policy",
    "train_refiner",
    "verify",
]

_VERIFIER = VerifierOptions(callable="ilf_kedro.tasks.word_removal.verifier:follows_feedback")


def demonstrate(notes: DataFrame[Notes]) -> DataFrame[NoteTargets]:
    """Take the demonstrations: by somebody who objects to nothing, so each note is passed on as it is."""
    chosen = notes[notes["part"] == "demonstration"]
    return NoteTargets.validate(chosen.assign(target=chosen["text"])[["example_id", "text", "target"]])


def train_refiner(
    refiner: TrainableModel,
    written: DataFrame[WrittenExamples],
    with_feedback: PromptTemplate,
    without_feedback: PromptTemplate,
    options: RefinerOptions,
    seed: int,
    workspace: TrainingWorkspace,
) -> tuple[Checkpoint, DataFrame[TrainingLog]]:
    """Finetune the refinement model on written examples, some of which do not show the feedback."""
    examples = []
    for row in written.to_dict("records"):
        shown = {"initial_output": row["sentence"]}
        if isinstance(row["feedback"], str):
            prompt = with_feedback.render(row["example_id"], **shown, feedback=row["feedback"])
        else:
            prompt = without_feedback.render(row["example_id"], **shown)
        examples.append(TrainingExample(prompt, as_completion(row["refinement"], refiner.source.format)))
    checkpoint = train_language_model(
        refiner.source, examples, options.training, seed=seed, workspace=workspace, label="word_removal.refiner"
    )
    return checkpoint, training_log(checkpoint)


def train_policy(
    base_model: TrainableModel,
    targets: DataFrame[NoteTargets],
    template: PromptTemplate,
    options: TrainingOptions,
    seed: int,
    workspace: TrainingWorkspace,
    *,
    label: str,
) -> tuple[Checkpoint, DataFrame[TrainingLog]]:
    """Finetune the base model to pass each note on as its target says."""
    examples = [
        TrainingExample(template.render(example_id, note=text), as_completion(target, base_model.source.format))
        for example_id, text, target in targets[["example_id", "text", "target"]].itertuples(index=False)
    ]
    checkpoint = train_language_model(base_model.source, examples, options, seed=seed, workspace=workspace, label=label)
    return checkpoint, training_log(checkpoint)


def pass_on(
    base_model: TrainableModel,
    checkpoint: Checkpoint,
    notes: DataFrame[Notes],
    template: PromptTemplate,
    options: PolicyOptions,
    seed: int,
    *,
    part: str,
    model_name: str,
) -> DataFrame[Answers]:
    """Let a model pass on every note of a part, without any feedback."""
    chosen = notes[notes["part"] == part]
    prompts = [
        template.render(example_id, note=text)
        for example_id, text in zip(chosen["example_id"], chosen["text"], strict=True)
    ]
    drawn = base_model.with_checkpoint(checkpoint).generate(
        prompts, range(1), options.sampling, seed=seed, label=f"{model_name}, {part.replace('_', ' ')}"
    )
    texts = [clean_completion(each.text, ended_by_length=each.finish_reason == "length") for (each,) in drawn]
    return Answers.validate(pd.DataFrame({"example_id": chosen["example_id"], "model": model_name, "text": texts}))


def verify(examples: DataFrame[Examples], refinements: DataFrame[Refinements]) -> DataFrame[Scores]:
    """Score how well each refinement follows the feedback that the examples hold, which is all the verifier sees."""
    return verifier_scores(refinements, examples, _VERIFIER)


def score_at_random(refinements: DataFrame[Refinements], seed: int) -> DataFrame[Scores]:
    """Score at random: without feedback there is nothing to verify."""
    return random_scores(refinements, seed)


def select(scores: DataFrame[Scores], refinements: DataFrame[Refinements]) -> DataFrame[Selections]:
    """Choose the best-scored refinement of each output."""
    return select_best(scores, refinements)


def targets_from_selections(examples: DataFrame[Examples], selections: DataFrame[Selections]) -> DataFrame[NoteTargets]:
    """Take the chosen refinements; where it is empty the output stays as it was, so that all arms have equal sizes."""
    table = examples.merge(
        selections[["example_id", "text"]], on="example_id", how="left", validate="one_to_one"
    ).rename(columns={"text": "target", "note": "text"})
    table["target"] = table["target"].where(table["target"] != "", table["initial_output"])
    return NoteTargets.validate(table[["example_id", "text", "target"]])


def targets_from_outputs(examples: DataFrame[Examples]) -> DataFrame[NoteTargets]:
    """Take the outputs as they were before any feedback."""
    table = examples.rename(columns={"note": "text", "initial_output": "target"})
    return NoteTargets.validate(table[["example_id", "text", "target"]])


def targets_from_answers(notes: DataFrame[Notes], answers: DataFrame[NoteAnswers]) -> DataFrame[NoteTargets]:
    """Take the hidden annotator's own answers: the upper bound that perfect refinements would reach."""
    table = notes[notes["part"] == "first_round"].merge(answers, on="example_id")
    return NoteTargets.validate(table.rename(columns={"answer": "target"})[["example_id", "text", "target"]])


def join_targets(*tables: DataFrame[NoteTargets]) -> DataFrame[NoteTargets]:
    """Put the targets of all rounds together."""
    return NoteTargets.validate(pd.concat(list(tables), ignore_index=True))
