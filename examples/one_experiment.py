"""Imitation learning from language feedback, top to bottom, as a plain library: no Kedro, no configuration.

    python examples/one_experiment.py feedback.jsonl data/06_models/smollm2-135m-instruct data/work

Each line of the file has an input, a model's output, what a person said about it (feedback), and an ideal output
(reference). The last quarter of them is for testing. Run it again: what is done already is found in the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

from ilf_kedro.evaluation import judge_outputs, outcomes_from_verdicts
from ilf_kedro.evaluation.win_rates import win_rates
from ilf_kedro.language_models import (
    CompletionCache,
    LanguageModel,
    LocalLanguageModel,
    SamplingOptions,
    completion_rows,
    load_model_source,
)
from ilf_kedro.prompting import PromptTemplate, prompts_of
from ilf_kedro.schemas import Outputs, raw_rows
from ilf_kedro.scoring import instruct_rm_scores, refinement_table, select_best
from ilf_kedro.tasks import Columns, InputField, Task, examples_table, map_rows
from ilf_kedro.training import TrainingExample, TrainingOptions, TrainingWorkspace, as_completion, train_language_model

TASK = Task(
    name="Answers",
    inputs={"input": InputField(column="input", truncate=True)},
    columns=Columns(initial_output="output", feedback="feedback", reference="reference"),
)
POLICY = PromptTemplate(text="{{ input }}\n\nAnswer:", truncate="input")
REFINE = PromptTemplate(
    text="{{ input }}\n\nAnswer: {{ initial_output }}\n\nWhat is wrong with it: {{ feedback }}\n\nBetter answer:",
    truncate="input",
)
FOLLOWED = PromptTemplate(
    text="{{ input }}\n\nFeedback: {{ feedback }}\n\nAnswer: {{ refinement }}\n\nDoes it follow this? Yes or No:",
    truncate="input",
    positive=("Yes", " Yes"),
    negative=("No", " No"),
)
JUDGE = PromptTemplate(
    text="{{ input }}\n\nA: {{ output_a }}\n\nB: {{ output_b }}\n\nWhich answer is better, A or B? Answer:",
    truncate="input",
    positive=("A", " A"),
    negative=("B", " B"),
)


def run(
    data: Path, base: LocalLanguageModel, work: Path, *, sampling: SamplingOptions, training: TrainingOptions
) -> pd.DataFrame:
    """Return how often the model's outputs beat the references, before and after it learned from the feedback."""
    rows = [json.loads(line) for line in data.read_text("utf-8").splitlines() if line.strip()]
    n_train = len(rows) * 3 // 4
    mapped = map_rows(TASK, {"train": raw_rows(rows[:n_train], "train"), "test": raw_rows(rows[n_train:], "test")})
    if mapped.every_fault:
        raise SystemExit("\n".join(str(fault) for fault in mapped.every_fault))
    train, test = (examples_table(TASK, split, mapped.examples[split]) for split in ("train", "test"))

    # Refine each output by its feedback, five times, and keep the refinement that follows the feedback best.
    prompts = prompts_of(train, REFINE)
    refined = base.generate(prompts, range(5), sampling, seed=0, label="refinements")
    refinements = refinement_table(prompts, refined, method="refinement_with_feedback")
    scores = instruct_rm_scores(refinements, train, base, FOLLOWED)
    best = select_best(scores, refinements).query("scorer == 'instruct_rm_ensemble' and text != ''")

    # Finetune on the refinements, as if nobody had ever given feedback.
    target = dict(zip(best["example_id"], best["text"], strict=True))
    learned = [
        TrainingExample(prompt, as_completion(target[prompt.example_id], base.source.format))
        for prompt in prompts_of(train, POLICY)
        if prompt.example_id in target
    ]
    workspace = TrainingWorkspace(work / "trainings")
    checkpoint = train_language_model(base.source, learned, training, seed=0, workspace=workspace, label="finetune")

    # Ask both models on inputs that neither has seen, and a judge, in both orders, which answer is better.
    def answers(name: str, model: LanguageModel) -> pd.DataFrame:
        asked = prompts_of(test, POLICY)
        rows = completion_rows(asked, model.generate(asked, range(1), sampling, seed=0))
        return pd.DataFrame(rows).assign(model=name)

    outputs = pd.concat([answers("base", base), answers("finetuned", base.with_checkpoint(checkpoint))])
    verdicts = judge_outputs(base, JUDGE, test, Outputs.validate(outputs[Outputs.column_names()]))
    return win_rates(outcomes_from_verdicts(verdicts))


if __name__ == "__main__":
    file, directory, folder = map(Path, sys.argv[1:4])
    source = load_model_source("base", directory, format="chat")
    model = LocalLanguageModel(source, cache=CompletionCache(folder / "completions.sqlite"))
    table = run(file, model, folder, sampling=SamplingOptions(), training=TrainingOptions())
    sys.stdout.write(table.to_string(index=False) + "\n")
