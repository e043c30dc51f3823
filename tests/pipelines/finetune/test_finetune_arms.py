"""The arms: what each learns to write, by which prompt, within one budget."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.finetune import create_pipeline
from ilf_kedro.pipelines.finetune.arms import ARMS, RefinementSource
from ilf_kedro.pipelines.finetune.joint import joint_outputs, sample_joint_outputs
from ilf_kedro.pipelines.finetune.nodes import finetune, sample_base_candidates, sample_base_outputs
from ilf_kedro.pipelines.finetune.options import FinetuneOptions, TrainingOverride
from ilf_kedro.pipelines.finetune.pipeline import model_names, sections
from ilf_kedro.pipelines.finetune.targets import (
    target_best_of_n,
    target_joint_outputs,
    target_refinements,
    target_top_refinements,
    target_written_refinements,
    written_refinements,
)
from ilf_kedro.pipelines.finetune.training_plan import plan_training, prompts_of
from ilf_kedro.pipelines.names import CONTROL_ARMS, Arm
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.prompting.joint_outputs import END, MARKER, parse_joint_output
from ilf_kedro.schemas import Outputs, Selections, Targets, UserError
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.support.example_tables import WITH_FEEDBACK, examples, subsets

POLICY = PromptTemplate(text="{{ title }}: {{ post }}\nTL;DR:")
JOINT = PromptTemplate(text="{{ title }}|{{ post }}|{{ initial_output }}|")
RANDOM = SelectionOptions(target_scorer="random")


def chosen(texts: dict[str, list[str]]) -> pd.DataFrame:
    """Rows as in selections.top_k: each example's texts by rank."""
    rows = [
        (i, "refinement_with_feedback", "random", rank, rank - 1, 1 / rank, text)
        for i, listed in texts.items()
        for rank, text in enumerate(listed, start=1)
    ]
    return pd.DataFrame(rows, columns=["example_id", "method", "scorer", "rank", "sample_index", "score", "text"])


def selections(texts: dict[str, str]) -> pd.DataFrame:
    return Selections.validate(chosen({i: [text] for i, text in texts.items()}).drop(columns="rank"))


def targets(texts: dict[str, list[str]]) -> pd.DataFrame:
    rows = [(i, "title", f"post of {i}", text) for i, listed in texts.items() for text in listed]
    return Targets.validate(pd.DataFrame(rows, columns=["example_id", "title", "post", "target"]))


def test_the_top_k_are_the_highest_ranks_each_text_once() -> None:
    table = examples(3)
    top = chosen({"train-0": ["A", "A", "C"], "train-1": ["D", "", "F"], "train-2": ["", "", "G"]})
    found = target_top_refinements(table, subsets(table, 3), top, RANDOM, train_size=3, top_k=2)
    assert list(zip(found["example_id"], found["target"], strict=True)) == [("train-0", "A"), ("train-1", "D")]
    with pytest.raises(UserError, match=r"selection\.top_k to 4 or more"):
        target_top_refinements(table, subsets(table, 3), top, RANDOM, train_size=3, top_k=4)


def test_a_joint_target_is_feedback_marker_refinement_end() -> None:
    table = examples(2, feedback=["Say\nwhen.", "Say who."])
    found = target_joint_outputs(
        table, subsets(table, 2), selections({"train-0": "On Monday.", "train-1": "Ann."}), RANDOM, train_size=2
    )
    assert found["target"][0] == f"Say when.\n{MARKER}\nOn Monday.\n{END}"
    assert parse_joint_output(found["target"][1]).refinement == "Ann."
    assert [prompt.text for prompt in prompts_of(found, JOINT)] == [
        "title 0|post 0|initial 0|",
        "title 1|post 1|initial 1|",
    ]
    bad = examples(1, feedback=[f"Write {MARKER} before it"])
    with pytest.raises(UserError, match=r"example train-0: .*without"):
        target_joint_outputs(bad, subsets(bad, 1), selections({"train-0": "A."}), RANDOM, train_size=1)


def test_the_refinement_model_learns_from_examples_that_it_does_not_refine() -> None:
    table = examples(6).sample(frac=1, random_state=0)
    written = target_written_refinements(table, subsets(examples(6), 3), train_size=3)
    assert written["example_id"].tolist() == ["train-3", "train-4", "train-5"]
    assert prompts_of(written, WITH_FEEDBACK)[0].text == "title 3|post 3|initial 3|feedback 3|"
    assert written["target"][0] == "human 3"
    assert written_refinements(table, n_written=3, n_refined=3).equals(written)
    with pytest.raises(UserError, match=r"the last 3 .*refines the first 4 .*there are only 6"):
        written_refinements(table, n_written=3, n_refined=4)


def test_best_of_n_targets_are_of_the_base_models_candidates() -> None:
    table = examples(4)
    model = ScriptedLanguageModel(complete=lambda prompt, i: f"{prompt.example_id} {i}.")
    drawn = sample_base_candidates(
        model, table, subsets(table, 1, 2), POLICY, FinetuneOptions(best_of_n=3), 0, model_name="finetune.base"
    )
    assert drawn.groupby("example_id").size().to_dict() == {"train-0": 3, "train-1": 3}
    best = Outputs.validate(drawn[drawn["sample_index"] == 2].assign(sample_index=0))
    found = target_best_of_n(table, subsets(table, 2), best, train_size=2)
    assert found["target"].tolist() == ["train-0 2.", "train-1 2."]
    with pytest.raises(UserError, match="best-of-N outputs for 1 of the 3"):
        target_best_of_n(table, subsets(table, 3), best, train_size=3)


@given(st.data())
@settings(max_examples=30)
def test_every_plan_takes_the_same_number_of_steps(data: st.DataObject) -> None:
    """Whatever is missing or doubled, a train size and options give one number of optimiser steps."""
    size, batch = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 9))
    epochs, per_example = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    counts = data.draw(st.lists(st.integers(0, per_example), min_size=size, max_size=size).filter(any))
    table = targets({str(i): [f"text {j}" for j in range(count)] for i, count in enumerate(counts) if count})
    options = TrainingOptions(batch_size=batch, epochs=epochs)
    plan = plan_training(table, POLICY, options, "plain", train_size=size)
    assert plan.n_steps == epochs * -(-size // batch)
    texts = [example.completion for example in plan.examples]
    assert len(texts) >= len(table)
    assert {(example.prompt.example_id, example.completion) for example in plan.examples} == {
        (row.example_id, f" {row.target}") for row in table.itertuples()
    }
    if max(counts) == 1 and len(table) == size:
        assert len(texts) == size
        assert plan.options == options


@pytest.mark.slow
def test_trainings_of_all_arms_run_the_same_steps(tiny_model_directory: Path, tmp_path: Path) -> None:
    """One target each, two each, and one too few for the second step: the trainer counts its steps."""
    source = ModelSource("tiny", tiny_model_directory, "tiny-revision", "plain", "float32")
    model = LocalLanguageModel(source)
    options = FinetuneOptions(training={"batch_size": 2, "epochs": 2})
    for kinds in ({"a": ["x"], "b": ["y"], "c": ["z"]}, {i: [i, i * 2] for i in "abc"}, {"a": ["x"], "b": ["y"]}):
        checkpoint, log = finetune(
            model, targets(kinds), POLICY, options, 0, TrainingWorkspace(tmp_path), train_size=3, label="arm"
        )
        assert checkpoint.record.n_steps == len(log) == 4
        assert set(log["n_examples"]) == {len(kinds)}


def test_joint_outputs_are_about_the_splits_output_or_else_the_base_models(
    tiny_model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = examples(3, "test", initial_output=["Own.", None, " "])
    shown = {}

    def complete(prompt: object, index: int) -> str:
        shown[prompt.example_id] = prompt.text  # type: ignore[attr-defined]
        return {"test-0": f"Bad. {MARKER} - Good. {END}"}.get(prompt.example_id, "Bad.")  # type: ignore[attr-defined]

    scripted = ScriptedLanguageModel(complete=complete)
    base = sample_base_outputs(
        ScriptedLanguageModel(complete=lambda prompt, i: "Base's."),
        table,
        POLICY,
        FinetuneOptions(),
        0,
        model_name="base",
    )
    monkeypatch.setattr(LocalLanguageModel, "with_checkpoint", lambda self, checkpoint: scripted)
    model = LocalLanguageModel(ModelSource("tiny", tiny_model_directory, "r"))
    outputs = sample_joint_outputs(model, None, table, base, JOINT, FinetuneOptions(), 0, model_name="m")  # type: ignore[arg-type]
    assert outputs["output_by"].tolist() == ["split", "base", "base"]
    assert [text.split("|")[2] for text in shown.values()] == ["Own.", "Base's.", "Base's."]
    assert outputs["status"].tolist() == ["parsed", "no_marker", "no_marker"]
    assert joint_outputs(outputs)["text"].tolist() == ["Good.", "", ""]


def test_overrides_of_an_arm_come_after_those_of_its_size() -> None:
    options = FinetuneOptions(
        per_size=(
            TrainingOverride(train_size=6, arm="refinements", epochs=3),
            TrainingOverride(train_size=6, epochs=2, prompt_loss_weight=0.1),
        )
    )
    assert options.training_for(6, "refinements").epochs == 3
    assert options.training_for(6, "refinements").prompt_loss_weight == 0.1
    assert options.training_for(6, "references").epochs == 2
    assert options.training_for(6).epochs == 2
    assert options.training_for(7, "refinements").epochs == 1
    with pytest.raises(ValueError, match="found several for 6 of refinements"):
        FinetuneOptions(per_size=(TrainingOverride(train_size=6, arm="refinements"),) * 2)


def test_every_declared_arm_has_a_plan_and_its_nodes() -> None:
    arms = get_args(Arm)
    assert set(ARMS) == set(arms)
    pipeline = create_pipeline(arms, [2, 4])
    for arm in arms:
        made = pipeline.filter(node_namespaces=[f"finetune.{arm}.n4"]).all_outputs()
        assert f"finetune.{arm}.n4.checkpoint" in made
        assert (f"finetune.{arm}.n4.outputs" in made) == (arm != "refinement_model")
    assert not any("refinement_model" in name for name in model_names(arms, [2, 4]))
    assert sections(arms) == ("arms",)
    assert sections(["refinements", "best_of_n_outputs"]) == ()
    assert {"section.arms", "page.arms", "finetune.refinement_model.metrics"} <= pipeline.all_outputs()


def test_a_control_arm_learns_the_choice_among_its_own_methods_refinements(caplog: pytest.LogCaptureFixture) -> None:
    table, real = examples(3), selections({f"train-{i}": f"real {i}" for i in range(3)})
    for arm, method in CONTROL_ARMS.items():
        control = selections({f"train-{i}": f"{method} {i}" for i in range(3)}).assign(method=method)
        both = Selections.validate(pd.concat([real, control], ignore_index=True))
        made = target_refinements(table, subsets(table, 2), both, RANDOM, train_size=2, arm=arm)
        assert list(made["target"]) == [f"{method} 0", f"{method} 1"]
        silent = Selections.validate(both[both["text"] != f"{method} 1"].reset_index(drop=True))
        if arm == "refinements_model_feedback":
            left = target_refinements(table, subsets(table, 2), silent, RANDOM, train_size=2, arm=arm)
            assert list(left["target"]) == [f"{method} 0"]
            assert "1 of 2 examples have no feedback of the model" in caplog.text
        else:
            with pytest.raises(UserError, match="for 1 of the 2 training examples"):
                target_refinements(table, subsets(table, 2), silent, RANDOM, train_size=2, arm=arm)


def test_control_arms_learn_from_as_many_refinements_as_the_refinements_arm() -> None:
    top = create_pipeline(["refinements_no_feedback"], [2], RefinementSource(top_k=3))
    assert "selections.top_k" in top.inputs()
