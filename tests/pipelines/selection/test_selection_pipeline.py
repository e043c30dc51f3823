"""The selection pipeline as Kedro runs it, on scripted scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.names import RefinementMethod
from ilf_kedro.pipelines.requirements import MissingColumnError, questions
from ilf_kedro.pipelines.selection import create_pipeline
from ilf_kedro.pipelines.selection.nodes import score_verifier
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.pipelines.selection.scorers import scorer_nodes
from ilf_kedro.schemas import FeedbackTexts, Refinements
from ilf_kedro.scoring import scorers, scores_of, verifier
from ilf_kedro.scoring.verifier import VerifierOptions
from ilf_kedro.scoring.verifier_process import Outcome
from ilf_kedro.tasks import plain_task
from ilf_kedro.verifiers import Row
from tests.support.example_tables import YES_NO, examples, refinements
from tests.support.raw_rows import TASK

METHODS = ("refinement_with_feedback", "refinement_without_feedback")
DEFAULT = SelectionOptions()
TEXTS = {"train-0": ["a", "b b"], "train-1": ["c c c", "d"]}


def run(pipeline: Pipeline, options: SelectionOptions = DEFAULT, **inputs: Any) -> dict[str, pd.DataFrame]:
    model = ScriptedLanguageModel(weigh=lambda prompt, choice: 2.0 if prompt.text[-1] in "ad" else 1.0)
    inputs = {
        **{f"refinements.{method}": refinements(TEXTS, method) for method in METHODS},
        "examples.train": examples(2),
        "instruct_rm": model,
        "base_model": model,
        "params:seed": 0,
        "params:selection": options,
        "params:task": TASK,
        **{f"prompt.instruct_rm_{number}": YES_NO for number in range(1, 6)},
        **inputs,
    }
    catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()})
    for name in pipeline.outputs():
        catalog[name] = MemoryDataset()
    SequentialRunner().run(pipeline, catalog)
    return {name: catalog[name].load() for name in pipeline.outputs()}


@pytest.fixture(scope="module")
def made() -> dict[str, pd.DataFrame]:
    return run(create_pipeline(DEFAULT.scorers, METHODS))


def test_every_scorer_chooses_once_per_example_and_method(made: dict[str, pd.DataFrame]) -> None:
    selections = made["selections"]
    assert len(selections) == 2 * 2 * 8
    assert set(selections["scorer"]) == set(scores_of(DEFAULT.scorers))
    longest = selections[selections["scorer"] == "longest"].set_index(["method", "example_id"])["text"]
    assert longest["refinement_with_feedback", "train-0"] == "b b"
    assert longest["refinement_without_feedback", "train-1"] == "c c c"
    # the weight of both answers is equal, so every InstructRM score ties: the earlier sample is chosen
    ensemble = selections[selections["scorer"] == "instruct_rm_ensemble"]
    assert (ensemble["sample_index"] == 0).all()
    assert (ensemble["score"] == 0.5).all()


def test_all_refinements_are_ranked_counted_and_their_disagreement_measured(made: dict[str, pd.DataFrame]) -> None:
    top = made["selections.top_k"]
    assert len(top) == 2 * len(made["selections"])  # two refinements of each example
    first = top[top["rank"] == 1].drop(columns="rank").reset_index(drop=True)
    columns = ["method", "example_id", "scorer"]
    pd.testing.assert_frame_equal(
        first.sort_values(columns, ignore_index=True), made["selections"].sort_values(columns, ignore_index=True)
    )
    assert (made["undefined_scores"]["n_undefined"] == 0).all()
    assert (made["instruct_rm_disagreement"]["disagreement"] == 0).all()


def test_a_verifier_and_an_ensemble_take_part_and_may_be_the_target() -> None:
    options = SelectionOptions.model_validate(
        {
            "scorers": ["longest", "verifier", "ensemble"],
            "target_scorer": "ensemble_short_and_right",
            "top_k": 1,
            "verifier": {"callable": "ilf_kedro.verifiers:matches", "arguments": {"pattern": "^[abd]"}},
            "ensembles": [{"name": "short_and_right", "weights": {"longest": -1.0, "verifier": 2.0}}],
        }
    )
    made = run(create_pipeline(options.scorers, METHODS), options)
    chosen = made["selections"].set_index(["scorer", "method", "example_id"])["text"]
    assert chosen["verifier", METHODS[0], "train-1"] == "d"
    assert chosen["ensemble_short_and_right", METHODS[0], "train-0"] == "a"
    assert chosen["ensemble_short_and_right", METHODS[1], "train-1"] == "d"
    assert set(made["selections.top_k"]["rank"]) == {1}
    assert "instruct_rm_disagreement" not in made


def test_every_scorer_has_a_node_and_its_scores_have_names() -> None:
    nodes = scorer_nodes(list(scorers()), refinements="r", examples="e", scores="s")
    assert [node.outputs for node in nodes] == [[f"s.{name}"] for name in scorers()]
    for node in nodes:
        assert node.inputs[0] == "r"
        assert scorers()[node.name.removeprefix("score_")].on_examples == ("e" in node.inputs)
    names = scores_of(scorers())
    assert len(set(names)) == len(names)


def test_every_scorer_that_asks_a_model_declares_what_it_asks() -> None:
    declared = {node.name: questions(node) for node in scorer_nodes(list(scorers()))}
    asking = {f"score_{name}" for name, scorer in scorers().items() if scorer.asks is not None}
    assert {name for name, found in declared.items() if found} == asking


def test_a_scorer_that_reads_feedback_names_examples_without() -> None:
    with pytest.raises(MissingColumnError, match=r"the scorer instruct_rm(.|\n)*feedback: missing in 1 of 2"):
        run(create_pipeline(("instruct_rm",), METHODS), **{"examples.train": examples(2, feedback=["x", None])})


def test_a_controls_verifier_sees_the_feedback_that_its_refiner_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the choice among N would tell a control what the person said."""
    seen: list[Row] = []

    def verify(_options: VerifierOptions, rows: Sequence[Row]) -> list[Outcome]:
        seen.extend(rows)
        return [Outcome(1.0) for _ in rows]

    monkeypatch.setattr(verifier, "verify", verify)
    table = examples(2)
    methods = get_args(RefinementMethod)
    made = pd.concat([refinements({"train-0": ["a"], "train-1": ["b"]}, method) for method in methods])
    given = {"example_id": ["train-0", "train-1"], "from_example_id": None}
    shuffled = FeedbackTexts.validate(pd.DataFrame({**given, "feedback": ["s0", "s1"], "source": "shuffled"}))
    by_model = FeedbackTexts.validate(pd.DataFrame({**given, "feedback": ["m0", "m1"], "source": "model:critic"}))
    options = SelectionOptions(scorers=("verifier",), target_scorer="verifier")
    score_verifier(Refinements.validate(made.reset_index(drop=True)), table, options, plain_task(), by_model, shuffled)
    told = {"refinement_with_shuffled_feedback": ["s0", "s1"], "refinement_with_model_feedback": ["m0", "m1"]}
    told |= {"refinement_with_feedback": table["feedback"].tolist(), "refinement_without_feedback": [None, None]}
    assert [row["feedback"] for row in seen] == [told[m][i] for m in methods for i in range(2)]
    pipeline = create_pipeline(("verifier",), methods)
    assert {"feedback.shuffled", "feedback.model"} < set(pipeline.only_nodes("selection.score_verifier").inputs())
