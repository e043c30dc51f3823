"""Trains one model, and asks it for summaries and for the probability of the human ones."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.checkpoint import Checkpoint
from ilf_kedro.language_models.local import LocalLanguageModel
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.options import FinetuneOptions
from ilf_kedro.pipelines.requirements import require_texts
from ilf_kedro.pipelines.training_log import training_log
from ilf_kedro.prompting import Prompt, PromptTemplate, clean_completion
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    LogLikelihoods,
    Rewards,
    Summaries,
    Targets,
    TrainingLog,
    text_or_empty,
)
from ilf_kedro.training.examples import TrainingExample, as_completion
from ilf_kedro.training.reward_model import SummaryToScore, score_summaries
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace


def finetune(
    base_model: LocalLanguageModel,
    targets: DataFrame[Targets],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    workspace: TrainingWorkspace,
    *,
    train_size: int,
    label: str,
) -> tuple[Checkpoint, DataFrame[TrainingLog]]:
    """Finetune the base model to answer each post's prompt with its target (paper, section 3.1)."""
    examples = [
        TrainingExample(prompt, as_completion(target, base_model.source.format))
        for prompt, target in zip(_prompts(targets, template), targets["target"], strict=True)
    ]
    options_here = options.training_for(train_size)
    checkpoint = train_language_model(
        base_model.source, examples, options_here, seed=seed, workspace=workspace, label=label
    )
    return checkpoint, training_log(checkpoint)


def sample_base_summaries(
    base_model: LanguageModel,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    *,
    model_name: str,
) -> DataFrame[Summaries]:
    """Let the model before any finetuning write one summary of each test post."""
    return _sample(base_model, examples, template, options, seed, n=1, model_name=model_name)


def sample_summaries(
    base_model: LocalLanguageModel,
    checkpoint: Checkpoint,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    *,
    model_name: str,
    candidates: bool = False,
) -> DataFrame[Summaries]:
    """Let a finetuned model write one summary of each test post, or the `best_of_n` candidates of each."""
    model, n = base_model.with_checkpoint(checkpoint), options.best_of_n if candidates else 1
    return _sample(model, examples, template, options, seed, n=n, model_name=model_name)


def reward_candidates(
    reward_base_model: LocalLanguageModel,
    reward_checkpoint: Checkpoint,
    candidates: DataFrame[Summaries],
    examples: DataFrame[Examples],
    template: PromptTemplate,
) -> DataFrame[Rewards]:
    """Score every candidate by the reward model; an empty candidate gets the lowest reward, 0."""
    by_id = examples.set_index("example_id")
    table = candidates[["example_id", "model", "sample_index"]].copy()
    written = candidates["text"] != ""
    rows = [
        SummaryToScore(example_id, text_or_empty(by_id.loc[example_id, "title"]), by_id.loc[example_id, "post"], text)
        for example_id, text in candidates.loc[written, ["example_id", "text"]].itertuples(index=False)
    ]
    model = reward_base_model.with_checkpoint(reward_checkpoint)
    table["reward"] = 0.0
    table.loc[written, "reward"] = score_summaries(model, template, rows)
    return Rewards.validate(table)


def choose_best(candidates: DataFrame[Summaries], rewards: DataFrame[Rewards]) -> DataFrame[Summaries]:
    """Keep the candidate with the highest reward of each post; ties go to the earlier one."""
    best = rewards.sort_values("reward", ascending=False, kind="stable").drop_duplicates("example_id").sort_index()
    chosen = best[["example_id", "sample_index"]].merge(candidates, on=["example_id", "sample_index"], how="left")
    chosen["sample_index"] = 0
    return Summaries.validate(chosen[list(Summaries.to_schema().columns)])


def base_log_likelihoods(
    base_model: LocalLanguageModel, examples: DataFrame[Examples], template: PromptTemplate, *, model_name: str
) -> DataFrame[LogLikelihoods]:
    """Return how probable the human test summaries are under the model before any finetuning."""
    return _human_log_likelihoods(base_model, examples, template, model_name)


def log_likelihoods(
    base_model: LocalLanguageModel,
    checkpoint: Checkpoint,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    *,
    model_name: str,
) -> DataFrame[LogLikelihoods]:
    """Return how probable the human test summaries are under a finetuned model."""
    return _human_log_likelihoods(base_model.with_checkpoint(checkpoint), examples, template, model_name)


def _human_log_likelihoods(
    model: LocalLanguageModel, examples: DataFrame[Examples], template: PromptTemplate, model_name: str
) -> DataFrame[LogLikelihoods]:
    """Sum the log-probabilities (nats) of each human summary's tokens, the end token not counted."""
    require_texts(examples, ["human_summary"], user="the log-likelihood of human summaries")
    continuations = [as_completion(text, model.source.format) for text in examples["human_summary"]]
    answers = model.log_likelihood(_prompts(examples, template), continuations, label=f"log-likelihoods, {model_name}")
    table = pd.DataFrame(
        {
            "example_id": examples["example_id"],
            "model": model_name,
            "text_kind": "human_summary",
            "log_likelihood": [sum(answer.log_probabilities) for answer in answers],
            "n_tokens": [len(answer.log_probabilities) for answer in answers],
        }
    )
    return LogLikelihoods.validate(table)


def _sample(
    model: LanguageModel,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    *,
    n: int,
    model_name: str,
) -> DataFrame[Summaries]:
    prompts = _prompts(examples, template)
    drawn = model.generate(prompts, range(n), options.sampling, seed=seed, label=f"summaries, {model_name}")
    rows = [
        {
            "example_id": prompt.example_id,
            "model": model_name,
            "sample_index": sample_index,
            "text": clean_completion(completion.text, ended_by_length=completion.finish_reason == "length"),
            "raw_text": completion.text,
            "finish_reason": completion.finish_reason,
            "n_tokens": completion.n_tokens,
            "seed": completion.seed,
        }
        for prompt, completions in zip(prompts, drawn, strict=True)
        for sample_index, completion in enumerate(completions)
    ]
    return Summaries.validate(pd.DataFrame(rows))


def _prompts(table: pd.DataFrame, template: PromptTemplate) -> list[Prompt]:
    rows = table[["example_id", "title", "post"]].itertuples(index=False)
    return [template.render(example_id, title=text_or_empty(title), post=post) for example_id, title, post in rows]
