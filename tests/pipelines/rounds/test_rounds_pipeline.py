"""Rounds: whose outputs, whose feedback, which targets each model learns from, and how the models compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ilf_kedro.datasets.feedback_folder import FeedbackFolder, FeedbackNeededError
from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.refine_and_select import needed_scorers
from ilf_kedro.pipelines.rounds import create_pipeline
from ilf_kedro.pipelines.rounds.examples import collect_feedback, first_examples, round_targets
from ilf_kedro.pipelines.rounds.measures import measure_rounds
from ilf_kedro.pipelines.rounds.options import RoundsOptions
from ilf_kedro.pipelines.rounds.section import describe_rounds
from ilf_kedro.pipelines.rounds.training import train_from_base, train_further
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import render_page
from ilf_kedro.schemas import (
    LogLikelihoods,
    Outputs,
    PublishedResults,
    RoundModels,
    RoundTargets,
    Selections,
    UserError,
    Verified,
)
from ilf_kedro.tasks import plain_task
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.support.example_tables import examples

POLICY = PromptTemplate(text="{{ title }}: {{ post }}\nTL;DR:")
TASK = plain_task()
FEEDBACK = PromptTemplate(text="{{ title }}{{ post }}{{ initial_output }}?")
PUBLISHED = Path(__file__).parents[3] / "data" / "01_raw" / "published_results.csv"


def outputs_of(texts: dict[str, str], model: str = "m") -> pd.DataFrame:
    rows = [(i, model, 0, text, text, "stop", 1, 0) for i, text in texts.items()]
    return Outputs.from_rows(rows)


def test_rounds_take_the_examples_in_order_with_the_datas_own_feedback() -> None:
    table = first_examples(examples(6).iloc[::-1], RoundsOptions(sizes=(2, 1, 2)))
    assert table["example_id"].tolist() == [f"train-{i}" for i in range(5)]
    assert table["round"].tolist() == [0, 0, 1, 2, 2]
    assert set(table["feedback_source"]) == {"data"}
    with pytest.raises(UserError, match="7 examples together, but the train split has 6"):
        first_examples(examples(6), RoundsOptions(sizes=(4, 3)))


def test_own_outputs_are_spoken_about_once_in_round_1_and_by_mode_later() -> None:
    pipeline = create_pipeline(RoundsOptions(sizes=(2, 2, 2)))
    made = {name for name in pipeline.all_outputs() if name.endswith(".initial_outputs")}
    assert made == {f"rounds.{author}.initial_outputs" for author in ("r1.own", "r2.continue", "r2.from_scratch")}
    by_output = {output: node for node in pipeline.nodes for output in node.outputs}
    assert "rounds.one_round.n2.checkpoint" in by_output["rounds.r1.own.initial_outputs"].inputs
    assert "rounds.r1.continue.checkpoint" in by_output["rounds.r2.continue.initial_outputs"].inputs
    further = by_output["rounds.r2.continue.checkpoint"].inputs
    assert "rounds.r1.continue.checkpoint" in further
    assert [name for name in further if name.endswith("targets")] == ["rounds.r2.continue.targets"]
    scratch = [name for name in by_output["rounds.r2.from_scratch.checkpoint"].inputs if name.endswith("targets")]
    assert scratch == ["rounds.one_round.targets", "rounds.r1.own.targets", "rounds.r2.from_scratch.targets"]
    models = {name for name in pipeline.all_outputs() if name.endswith(".checkpoint")}
    assert {f"rounds.one_round.n{n}.checkpoint" for n in (2, 4, 6)} < models
    assert pipeline.filter(node_namespaces=["rounds.r1"]).nodes


def test_the_base_models_outputs_are_the_same_for_both_modes() -> None:
    pipeline = create_pipeline(RoundsOptions(sizes=(2, 2, 2), outputs_of="base"))
    made = {name for name in pipeline.all_outputs() if name.endswith(".initial_outputs")}
    assert made == {"rounds.r1.base.initial_outputs", "rounds.r2.base.initial_outputs"}
    node = next(node for node in pipeline.nodes if "rounds.r2.base.initial_outputs" in node.outputs)
    assert not any(name.endswith("checkpoint") for name in node.inputs)


def test_feedback_is_a_models_and_says_so_or_waits_for_people(tmp_path: Path) -> None:
    table = first_examples(examples(4), RoundsOptions(sizes=(2, 2)))
    written = outputs_of({"train-2": "Own two.", "train-3": ""})
    model = ScriptedLanguageModel("critic", complete=lambda prompt, i: f"On {prompt.text}.")
    folder = FeedbackFolder(tmp_path)
    by_model = RoundsOptions(sizes=(2, 2))
    (got,) = collect_feedback(table, folder, by_model, TASK, 0, model, FEEDBACK, own_round_1=written).values()
    row = got.iloc[0]
    assert len(got) == 1  # nothing to say about an empty output
    assert (row["initial_output"], row["output_by"], row["feedback_source"]) == ("Own two.", "m", "model:critic")
    assert "Own two." in row["feedback"]
    assert not any(tmp_path.iterdir())
    by_people = RoundsOptions(sizes=(2, 2), feedback_by="file")
    asked_before = model.n_questions
    with pytest.raises(FeedbackNeededError, match=r"1 outputs wait for feedback in .*own_round_1\.jsonl"):
        collect_feedback(table, folder, by_people, TASK, 0, own_round_1=written)
    file = tmp_path / "own_round_1.jsonl"
    file.write_text(file.read_text("utf-8").replace('"feedback": ""', '"feedback": "Say when."'), "utf-8")
    (got,) = collect_feedback(table, folder, by_people, TASK, 0, own_round_1=written).values()
    assert got[["feedback", "feedback_source"]].to_numpy().tolist() == [["Say when.", "human"]]
    assert model.n_questions == asked_before
    chosen = Selections.validate(
        pd.DataFrame([("train-2", "m", "random", 0, 0.5, "Two.")], columns=Selections.column_names())
    )
    targets = round_targets(got, chosen, SelectionOptions(target_scorer="random"))
    assert targets[["target", "round", "feedback_source"]].to_numpy().tolist() == [["Two.", 1, "human"]]


def test_feedback_may_be_a_functions_who_sees_the_output_and_not_what_people_said(tmp_path: Path) -> None:
    table = first_examples(examples(4), RoundsOptions(sizes=(2, 2)))
    written, folder = outputs_of({"train-2": "Own two.", "train-3": "Own three."}), FeedbackFolder(tmp_path)

    def options(function: str) -> RoundsOptions:
        annotator = {"callable": f"tests/support/annotators.py:{function}", "arguments": {"manner": "Shorten"}}
        return RoundsOptions(sizes=(2, 2), feedback_by="function", annotator=annotator)

    (got,) = collect_feedback(table, folder, options("annotate"), TASK, 0, own_round_1=written).values()
    assert got["feedback"].tolist() == ["Shorten: Own two. (None, None)", "Shorten: Own three. (None, None)"]
    assert set(got["feedback_source"]) == {"function:tests/support/annotators.py:annotate"}
    assert not any(tmp_path.iterdir())
    for function, fault in (
        ("numbered", r"returned a int for the example 'train-2', expected text"),
        ("broken", r"raised KeyError .*for the example 'train-2'"),
        ("absent", r"rounds\.annotator\.callable: .* cannot be used"),
    ):
        with pytest.raises(UserError, match=fault):
            collect_feedback(table, folder, options(function), TASK, 0, own_round_1=written)
    with pytest.raises(ValidationError, match="annotator is null; say which function"):
        RoundsOptions(feedback_by="function")


def test_only_a_model_that_is_asked_for_feedback_is_an_input() -> None:
    by_people = create_pipeline(RoundsOptions(sizes=(2, 2), feedback_by="file"))
    by_model = create_pipeline(RoundsOptions(sizes=(2, 2)))
    assert by_model.inputs() - by_people.inputs() == {"prompt.feedback"}


def round_rows(ids: str, number: int, source: str) -> pd.DataFrame:
    rows = [(i, "t", f"the post of {i}", f"target {i}", number, source) for i in ids]
    columns = ["example_id", "title", "post", "target", "round", "feedback_source"]
    return RoundTargets.validate(pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize("method", ["lora", pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_training_further_ends_with_both_rounds_in_the_model(
    method: str, tiny_model_directory: Path, tmp_path: Path
) -> None:
    """The likelihood of each round's targets rises with its own training, read through the base model's checkpoint."""
    model = LocalLanguageModel(ModelSource("tiny", tiny_model_directory, "tiny-revision", "plain", "float32"))
    rate = 1e-1 if method == "lora" else 6e-3
    training = {"batch_size": 2, "epochs": 6, "learning_rate": rate, "method": method}
    shared: Any = (model, POLICY, FinetuneOptions(training=training), 0, TrainingWorkspace(tmp_path))
    data, later = round_rows("ab", 0, "data"), round_rows("cd", 1, "model:critic")
    both = pd.concat([data, round_rows("cd", 1, "data")])
    first = train_from_base(*shared, both, model="first", mode="one_round", round=0, train_size=2)
    second = train_further(*shared, first[0], first[2], later, model="second", round=1, size=2, train_size=4)
    scratch = train_from_base(*shared, both, later, model="scratch", mode="from_scratch", round=1, train_size=4)

    def nats(checkpoint: Any, rows: pd.DataFrame) -> float:
        asked = model if checkpoint is None else model.with_checkpoint(checkpoint)
        prompts = [POLICY.render(row.example_id, title=row.title, post=row.post) for row in rows.itertuples()]
        answers = asked.log_likelihood(prompts, [f" {text}" for text in rows["target"]])
        return -sum(sum(answer.log_probabilities) for answer in answers)

    assert first[2].iloc[0][["n_targets", "n_steps", "feedback_source"]].tolist() == [2, 6, "data"]
    assert second[2].iloc[0][["n_targets", "n_steps", "feedback_source"]].tolist() == [4, 12, "data, model:critic"]
    assert scratch[2].iloc[0][["n_targets", "n_steps", "feedback_source"]].tolist() == [4, 12, "data, model:critic"]
    assert nats(first[0], data) < nats(None, data) - 0.2
    assert nats(second[0], later) < nats(first[0], later) - 0.1
    assert nats(second[0], data) < nats(None, data) - 0.2  # the first round is still in it
    again = train_further(*shared, first[0], first[2], later, model="second", round=1, size=2, train_size=4)
    assert again[0] == second[0]
    assert second[0].record.kind == method
    assert not list(tmp_path.glob("merged-*"))


def model_row(model: str, mode: str, number: int, source: str = "data") -> dict[str, Any]:
    return {
        "model": model,
        "mode": mode,
        "round": number,
        "train_size": 2 * (number + 1),
        "n_targets": 2,
        "n_steps": 1,
        "feedback_source": source,
    }


def test_each_model_is_compared_with_one_round_of_its_size() -> None:
    models = RoundModels.validate(
        pd.DataFrame(
            [
                model_row("one.2", "one_round", 0),
                model_row("one.4", "one_round", 1),
                model_row("c", "continue", 1, "data, model:critic"),
            ]
        )
    )
    table = examples(5, "test")
    nats = {"one.2": [9, 9, 9, 9, 9], "one.4": [4, 8, 2, 6, 10], "c": [2, 5.4, 0.5, 3, 7.2]}
    likelihoods = LogLikelihoods.validate(
        pd.DataFrame(
            [
                (table["example_id"][i], model, "reference", -value, 2)
                for model, values in nats.items()
                for i, value in enumerate(values)
            ],
            columns=LogLikelihoods.column_names(),
        )
    )
    texts = {"one.2": "human x y", "one.4": "human x", "c": "human"}
    outputs = pd.concat([outputs_of(dict.fromkeys(table["example_id"], texts[m]), m) for m in texts], ignore_index=True)
    metrics = measure_rounds(
        table, models, outputs, likelihoods, ScriptedLanguageModel(), ReportingOptions(bootstrap_resamples=200), 0
    )
    by_key = metrics.set_index(["model", "metric"])
    difference = by_key.loc[("c", "nll_per_token_minus_one_round")]
    expected = (np.sum(nats["c"]) - np.sum(nats["one.4"])) / 10
    assert difference["value"] == pytest.approx(expected)
    assert difference["lower"] < expected < difference["upper"] < 0
    assert by_key.loc[("c", "length_tokens_minus_one_round"), "value"] == -1
    assert ("one.4", "nll_per_token_minus_one_round") not in by_key.index
    assert set(metrics.loc[metrics["model"] == "c", "feedback_source"]) == {"data, model:critic"}
    published = PublishedResults.validate(pd.read_csv(PUBLISHED))
    section = describe_rounds(models, metrics, published, RoundsOptions(sizes=(2, 2)), ReportingOptions())
    page = render_page("x", [section])
    assert "by the likelihood of 5 test references" in page
    assert "is better than one round of the same size" in page
    assert "the language model critic wrote it, not people" in page
    assert "model critic" in page
    assert "round 2 finetuned from scratch" in page


def test_where_a_verifier_says_what_passes_rounds_are_compared_by_that() -> None:
    rows = [
        ("one.2", "one_round", 0, 2, 2, 2, "data"),
        ("one.4", "one_round", 1, 4, 4, 4, "data"),
        ("c", "continue", 1, 4, 4, 4, "data, function:f:g"),
    ]
    models = RoundModels.validate(pd.DataFrame(rows, columns=RoundModels.column_names()))
    table = examples(20, "test")
    ids = table["example_id"].tolist()
    passing = {"one.2": 2, "one.4": 8, "c": 17}
    outputs = pd.concat([outputs_of(dict.fromkeys(ids, "text"), model) for model in passing], ignore_index=True)
    nats = [(i, model, "reference", -2.0, 2) for model in passing for i in ids]
    likelihoods = LogLikelihoods.validate(pd.DataFrame(nats, columns=LogLikelihoods.column_names()))
    scores = [(i, model, 0, float(place < n)) for model, n in passing.items() for place, i in enumerate(ids)]
    verified = Verified.validate(pd.DataFrame(scores, columns=Verified.column_names()))
    reporting = ReportingOptions(bootstrap_resamples=200)
    metrics = measure_rounds(table, models, outputs, likelihoods, ScriptedLanguageModel(), reporting, 0, verified)
    value = metrics.set_index(["model", "metric"])["value"]
    assert [value[model, "pass_rate"] for model in passing] == [0.1, 0.4, 0.85]
    assert value["c", "pass_rate_minus_one_round"] == pytest.approx(9 / 20)
    assert value["c", "pass_rate_minus_round_before"] == pytest.approx(15 / 20)
    assert ("one.4", "pass_rate_minus_round_before") not in value
    published = PublishedResults.validate(pd.read_csv(PUBLISHED))
    annotator = {"callable": "f:g"}
    options = RoundsOptions(sizes=(2, 2), feedback_by="function", annotator=annotator)
    page = render_page("x", [describe_rounds(models, metrics, published, options, ReportingOptions())])
    assert "by the share of 20 test outputs that the verifier passes" in page
    assert "better than one round of the same size (+0.450" in page
    assert "+0.750" in page
    assert "the function f:g gave it, not people" in page


def test_only_the_scorers_that_the_target_needs_run() -> None:
    assert needed_scorers("instruct_rm_3", ["random", "instruct_rm"]) == ("instruct_rm",)
    assert needed_scorers("longest") == ("longest",)
    assert needed_scorers("ensemble_of_mine", ["longest", "ensemble"]) == ("longest", "ensemble")
