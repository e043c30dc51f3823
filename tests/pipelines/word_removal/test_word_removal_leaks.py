"""The controls do not leak: neither refiner nor verifier can read what the hidden annotator objects to."""

from __future__ import annotations

import inspect

import pandas as pd
import pytest
from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.word_removal import create_pipeline, nodes, world
from ilf_kedro.pipelines.word_removal.options import AnnotatorOptions, NotesOptions, RefinerOptions
from ilf_kedro.schemas import Answers
from ilf_kedro.tasks.word_removal.sentences import find_words

HIDDEN = {"word_removal.objections", "word_removal.note_answers", "params:word_removal.annotator"}
# Whoever comments on outputs, judges answers, or draws notes and upper bound. None of them makes what a model reads
# but the comments, the notes, and the upper bound's targets.
KNOWING = {
    "draw_annotator",
    "draw_task",
    "comment_on_first_round",
    "comment_on_second_round",
    "targets_from_answers",
    "measure_exact_match",
    "compare_arms",
    "measure_joints",
    "describe",
}
NOTES = NotesOptions(n_demonstrations=3, n_train=20, n_test=5)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return create_pipeline()


def feedback(seed: int) -> tuple[pd.DataFrame, frozenset[str]]:
    """Return comments of an annotator on outputs that are the notes themselves, and what the annotator minds."""
    objections = world.draw_annotator(AnnotatorOptions(seed=seed))
    notes, _ = world.draw_task(objections, NOTES, 0)
    outputs = notes[notes["part"] == "first_round"].assign(model="m")[["example_id", "model", "text"]]
    minded = frozenset(objections.loc[objections["objected"], "word"])
    return world.comment_on_outputs(Answers.validate(outputs), notes, objections, 0), minded


def test_only_annotator_and_judge_read_the_hidden_list(pipeline: Pipeline) -> None:
    # The whole of the parameters, annotator's seed included, goes to the measuring nodes alone.
    knowing = [node for node in pipeline.nodes if set(node.inputs) & (HIDDEN | {"params:word_removal"})]
    assert {node.name.rpartition(".")[2] for node in knowing} == KNOWING


def test_the_refinement_model_knows_no_more_than_other_annotators(pipeline: Pipeline) -> None:
    makers = pipeline.to_outputs("word_removal.refiner.checkpoint")
    assert not set(makers.datasets()) & HIDDEN
    assert makers.inputs() == {
        "refiner",
        "training_workspace",
        "word_removal.prompt.with_feedback",
        "word_removal.prompt.without_feedback",
        "params:word_removal.refiner",
        "params:seed",
    }


@pytest.mark.parametrize(("arm", "examples"), [("refinements", "feedback"), ("shuffled_feedback", "other_feedback")])
def test_each_arms_refiner_and_verifier_read_the_same_feedback(pipeline: Pipeline, arm: str, examples: str) -> None:
    by_name = {node.name: node for node in pipeline.nodes}
    refine, verify = by_name[f"word_removal.{arm}.refine"], by_name[f"word_removal.{arm}.verify"]
    assert set(verify.inputs) == {f"word_removal.{examples}", f"word_removal.{arm}.refined"}
    assert set(refine.inputs) & HIDDEN == set()
    assert f"word_removal.{examples}" in refine.inputs
    assert "word_removal.prompt.with_feedback" in refine.inputs


def test_without_feedback_nothing_is_shown_and_nothing_verified(pipeline: Pipeline) -> None:
    by_name = {node.name: node for node in pipeline.nodes}
    assert "word_removal.prompt.without_feedback" in by_name["word_removal.no_feedback.refine"].inputs
    assert by_name["word_removal.no_feedback.score_at_random"].inputs == [
        "word_removal.no_feedback.refined",
        "params:seed",
    ]
    assert "word_removal.no_feedback.verify" not in by_name


def test_every_arm_is_trained_and_tested_alike(pipeline: Pipeline) -> None:
    trained = [node for node in pipeline.nodes if node.name.endswith(".train_policy") and ".initial." not in node.name]
    assert len(trained) == 6
    assert len({tuple(name for name in node.inputs if not name.endswith(".targets")) for node in trained}) == 1
    tests = [node for node in pipeline.nodes if node.name.endswith(".pass_on_test")]
    assert len({tuple(name for name in node.inputs if not name.endswith(".checkpoint")) for node in tests}) == 1
    assert "word_removal.feedback" not in set().union(*(node.inputs for node in tests))


def test_another_hidden_list_changes_neither_written_examples_nor_questions() -> None:
    assert list(inspect.signature(world.write_refinements).parameters) == ["options", "seed"]
    assert "annotator" not in RefinerOptions.model_fields
    (first, one), (second, other) = feedback(0), feedback(1)
    assert one != other
    assert not first["feedback"].equals(second["feedback"])
    for table, minded in ((first, one), (second, other)):
        for row in table.to_dict("records"):
            assert set(find_words(row["feedback"])) == minded.intersection(find_words(row["initial_output"]))


def test_shuffled_feedback_is_never_an_examples_own() -> None:
    table, _ = feedback(0)
    numbered = table.assign(feedback=[str(i) for i in range(len(table))])
    for seed in range(20):
        shuffled = world.shuffle_feedback(numbered, seed)
        assert sorted(shuffled["feedback"]) == sorted(numbered["feedback"])
        assert (shuffled["feedback"] != numbered["feedback"]).all()
        assert shuffled.drop(columns="feedback").equals(numbered.drop(columns="feedback"))


def test_the_parts_of_the_task_share_no_note() -> None:
    objections = world.draw_annotator(AnnotatorOptions())
    notes, answers = world.draw_task(objections, NOTES, 0)
    assert notes["part"].value_counts().to_dict() == {
        "first_round": 20,
        "second_round": 20,
        "test": 5,
        "demonstration": 3,
    }
    assert notes["text"].is_unique
    assert set(answers["example_id"]) == set(notes.loc[notes["part"] != "demonstration", "example_id"])
    merged = answers.merge(notes, on="example_id")
    assert (merged["answer"] != merged["text"]).all()
    minded = set(objections.loc[objections["objected"], "word"])
    assert not any(minded & set(find_words(answer)) for answer in answers["answer"])


def test_an_empty_output_counts_as_the_note(caplog: pytest.LogCaptureFixture) -> None:
    objections = world.draw_annotator(AnnotatorOptions())
    notes, _ = world.draw_task(objections, NOTES, 0)
    outputs = notes[notes["part"] == "first_round"].assign(model="m")[["example_id", "model", "text"]].copy()
    outputs.iloc[3, 2] = ""
    table = world.comment_on_outputs(Answers.validate(outputs), notes, objections, 0)
    assert table["initial_output"].equals(table["note"])
    assert "1 of 20 outputs are empty" in caplog.text


def test_some_written_examples_hide_their_feedback() -> None:
    table = world.write_refinements(RefinerOptions(n_written=50, share_without_feedback=0.2), 0)
    assert table["feedback"].isna().sum() == 10
    assert (
        nodes.demonstrate(world.draw_task(world.draw_annotator(AnnotatorOptions()), NOTES, 0)[0])
        .eval("text == target")
        .all()
    )
