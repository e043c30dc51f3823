"""The finetune pipeline's structure, targets and choices; training itself is tested in tests/training."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.finetune import create_pipeline
from ilf_kedro.pipelines.finetune.arms import BestOfNSource
from ilf_kedro.pipelines.finetune.best_of_n import choose_best, verify_candidates
from ilf_kedro.pipelines.finetune.nodes import sample_base_outputs
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.finetune.pipeline import model_names
from ilf_kedro.pipelines.finetune.targets import target_refinements, target_texts
from ilf_kedro.pipelines.requirements import MissingColumnError
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import Outputs, Rewards, Selections, UserError
from ilf_kedro.scoring.verifier import VerifierOptions
from ilf_kedro.tasks import plain_task
from tests.support.example_tables import examples, subsets


def selections(texts: dict[str, str], scorer: str = "random") -> pd.DataFrame:
    rows = [(i, "refinement_with_feedback", scorer, 0, 0.5, text) for i, text in texts.items()]
    return Selections.from_rows(rows)


def test_every_arm_at_every_size_is_a_namespace_that_runs_alone() -> None:
    pipeline = create_pipeline(["refinements", "references"], [10, 20])
    spaces = {node.namespace for node in pipeline.nodes}
    assert spaces == {
        "finetune.base",
        "finetune.refinements.n10",
        "finetune.refinements.n20",
        "finetune.references.n10",
        "finetune.references.n20",
        "finetune.best_of_n",
    }
    alone = pipeline.filter(node_namespaces=["finetune.refinements.n10"])
    assert "finetune.refinements.n10.checkpoint" in alone.all_outputs()
    assert alone.inputs() >= {"selections", "examples.train", "base_model", "params:finetune"}
    best = pipeline.filter(node_namespaces=["finetune.best_of_n"])
    assert "finetune.refinements.n20.checkpoint" in best.inputs()  # the largest


def test_without_the_refinements_arm_there_is_no_best_of_n() -> None:
    assert "finetune.best_of_n" not in model_names(["references"], [10])
    assert not any("best_of_n" in node.name for node in create_pipeline(["references"], [10]).nodes)


def test_targets_are_the_chosen_refinements_of_the_subset() -> None:
    table = examples(3)
    chosen = pd.concat(
        [selections({"train-0": "A.", "train-1": "B.", "train-2": "C."}), selections({"train-0": "Z."}, "longest")]
    )
    targets = target_refinements(
        table, subsets(table, 2, 3), chosen, SelectionOptions(target_scorer="random"), train_size=2
    )
    assert dict(zip(targets["example_id"], targets["target"], strict=True)) == {"train-0": "A.", "train-1": "B."}


def test_examples_without_any_refinement_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    table = examples(2)
    targets = target_refinements(
        table,
        subsets(table, 2),
        selections({"train-0": "A.", "train-1": ""}),
        SelectionOptions(target_scorer="random"),
        train_size=2,
    )
    assert list(targets["example_id"]) == ["train-0"]
    assert "1 of 2 examples" in caplog.text


def test_selections_of_another_run_are_refused() -> None:
    table = examples(3)
    with pytest.raises(UserError, match=r"chosen by random for 2 of the 3 training examples \(train-1, train-2\)"):
        target_refinements(
            table,
            subsets(table, 3),
            selections({"train-0": "A."}),
            SelectionOptions(target_scorer="random"),
            train_size=3,
        )


def test_other_arms_take_a_column_and_leave_out_what_it_lacks() -> None:
    table = examples(3, reference=["a", None, "c"])
    assert list(target_texts(table, subsets(table, 1), column="reference", train_size=1)["target"]) == ["a"]
    assert list(target_texts(table, subsets(table, 3), column="reference", train_size=3)["target"]) == ["a", "c"]
    bare = examples(2, reference=[None, None])
    with pytest.raises(MissingColumnError, match="reference: missing in 2 of 2"):
        target_texts(bare, subsets(bare, 2), column="reference", train_size=2)
    with pytest.raises(ValueError, match=r"no subset of 9 examples, only of \[2\]"):
        target_texts(table, subsets(table, 2), column="reference", train_size=9)


def test_the_best_candidate_wins_and_ties_go_to_the_earlier() -> None:
    template = PromptTemplate(text="{{ title }}{{ post }}")
    model = ScriptedLanguageModel(complete=lambda prompt, i: f"{prompt.example_id} {i}.")
    table = examples(2, "test")
    base = sample_base_outputs(model, table, template, FinetuneOptions(), 0, model_name="m")
    candidates = pd.concat([base.assign(sample_index=i, text=f"candidate {i}") for i in range(3)])
    # rows: (test-0, 0), (test-1, 0), (test-0, 1), (test-1, 1), (test-0, 2), (test-1, 2)
    rewards = candidates[["example_id", "model", "sample_index"]].assign(reward=[0.1, 0.2, 0.9, 0.1, 0.9, 0.4])
    best = choose_best(candidates, Rewards.validate(rewards))
    assert list(zip(best["example_id"], best["text"], strict=True)) == [
        ("test-0", "candidate 1"),
        ("test-1", "candidate 2"),
    ]
    assert (best["sample_index"] == 0).all()
    rewards["reward"] = [0.1, 0.2, math.nan, math.nan, math.nan, 0.4]  # the best of those that have one
    best = choose_best(candidates, Rewards.validate(rewards))
    assert list(best["text"]) == ["candidate 0", "candidate 2"]


@pytest.mark.parametrize(
    ("sampler", "inputs"),
    [
        ("finetune.base", set()),
        ("finetune.references.n10", {"finetune.references.n10.checkpoint"}),
        (None, {"finetune.refinements.n20.checkpoint"}),
    ],
)
def test_best_of_n_samples_from_the_model_that_the_parameters_name(sampler: str | None, inputs: set[str]) -> None:
    pipeline = create_pipeline(["refinements", "references"], [10, 20], best=BestOfNSource(sampler))
    alone = pipeline.filter(node_namespaces=["finetune.best_of_n"])
    assert {name for name in alone.inputs() if name.startswith("finetune.")} == inputs


def test_a_sampler_brings_best_of_n_where_the_refinements_arm_is_left_out() -> None:
    assert "finetune.best_of_n" in model_names(["references"], [10], best=BestOfNSource("finetune.base"))


def test_a_verifier_chooses_where_that_is_asked_and_nothing_where_nothing_can() -> None:
    by_verifier = create_pipeline(["references"], [10], best=BestOfNSource("finetune.base", "verifier"))
    alone = by_verifier.filter(node_namespaces=["finetune.best_of_n"])
    assert {"params:selection", "params:task"} <= alone.inputs()
    assert not any("reward_model" in name for name in alone.inputs())
    nothing = create_pipeline(["refinements"], [10], best=BestOfNSource(chooser=None))
    assert not any("best_of_n" in name for name in nothing.all_outputs())
    assert "finetune.best_of_n" not in model_names(["refinements"], [10], best=BestOfNSource(chooser=None))


def test_the_verifier_scores_candidates_and_references_and_empty_texts_get_0() -> None:
    options = SelectionOptions(
        scorers=("verifier",),
        target_scorer="verifier",
        verifier=VerifierOptions(callable="ilf_kedro.verifiers:words_within", arguments={"most": 3}),
        ensembles=(),
    )
    table = examples(2, "test", reference=["two words", None])
    rows = [("test-0", 0, "one"), ("test-0", 1, "far too many words here"), ("test-1", 0, ""), ("test-1", 1, "one two")]
    columns = {"model": "m", "raw_text": "", "n_tokens": 1, "finish_reason": "stop", "seed": 0}
    frame = pd.DataFrame(rows, columns=["example_id", "sample_index", "text"]).assign(**columns)
    candidates = Outputs.validate(frame)
    rewards = verify_candidates(options, plain_task(), candidates, table)
    scores = rewards.set_index(["example_id", "model", "sample_index"])["reward"].to_dict()
    assert scores == {
        ("test-0", "m", 0): 1,
        ("test-0", "m", 1): 0,
        ("test-1", "m", 0): 0,
        ("test-1", "m", 1): 1,
        ("test-0", "reference", 0): 1,
    }
    assert list(choose_best(candidates, rewards)["text"]) == ["one", "one two"]
