"""The pipeline controls as Kedro runs it: who saw which feedback, who was asked what, and what the page says."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.controls import create_pipeline
from ilf_kedro.pipelines.controls.options import ControlsOptions
from ilf_kedro.pipelines.controls.section import describe_controls
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import Section, render_page
from ilf_kedro.tasks import plain_task
from tests.support.example_tables import WITH_FEEDBACK, WITHOUT_FEEDBACK, YES_NO, examples
from tests.support.report_inputs import FakeRun

N = 6
FEEDBACK = [f"Say number{i}. Tell us why{i} and ask how{i} it went." for i in range(N + 2)]
POINT = PromptTemplate(text="{{ point }}>{{ refinement }}", positive=("Yes",), negative=("No",), truncate=None)
SLOTS = ("title", "post", "initial_output", "feedback", "refinement")


def complete(prompt, i: int) -> str:
    """A refiner that repeats the feedback it is shown, and a critic that says the same of every post."""
    if prompt.text.startswith("critic"):
        return "Make it shorter."
    feedback = prompt.text.split("|")[3] if prompt.text.count("|") == 4 else "nothing"
    return f"Sample {i} heard: {feedback.replace('.', ',')}."


def weigh(prompt, choice) -> float:
    """Yes is the likelier, the more of the asked words stand in the refinement."""
    asked, _, refinement = prompt.text.partition(">")
    words = [word.strip(".,") for word in asked.split()]
    share = sum(word in refinement for word in words) / len(words)
    yes = choice.name in ("positive", "Yes", "True")
    return 0.01 + (share if yes else 1 - share)


def run(points: str = "rules", model: ScriptedLanguageModel | None = None) -> dict[str, Any]:
    model = model or ScriptedLanguageModel("echo", complete=complete, weigh=weigh)
    inputs: dict[str, Any] = {
        "examples.development": examples(N + 2, split="development", feedback=FEEDBACK),
        "refiner": model,
        "instruct_rm": model,
        "base_model": model,
        "params:controls": ControlsOptions(n_examples=N),
        "params:refinement": RefinementOptions(n_refinements=2),
        "params:reporting": ReportingOptions(bootstrap_resamples=200),
        "params:seed": 0,
        "prompt.refinement_with_feedback": WITH_FEEDBACK,
        "prompt.refinement_without_feedback": WITHOUT_FEEDBACK,
        "prompt.feedback": PromptTemplate(text="critic {{ post }}"),
        "prompt.feedback_points": PromptTemplate(text="list {{ feedback }}", truncate=None),
        "prompt.point_incorporated": POINT,
        **{f"prompt.instruct_rm_{number}": _instruct_rm() for number in range(1, 6)},
        "params:task": plain_task(),
        "run_record.so_far": FakeRun(sizes=(8,)).run_record(),
    }
    pipeline = create_pipeline(points)
    kept = {name for name in pipeline.all_outputs() if name.startswith(("controls.", "section.", "page."))}
    store: dict[str, Any] = {}

    class Kept(MemoryDataset):
        def __init__(self, name: str) -> None:
            super().__init__(copy_mode="assign")
            self._name = name

        def save(self, data: Any) -> None:
            store[self._name] = data
            super().save(data)

    catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()})
    for name in kept:
        catalog[name] = Kept(name)
    SequentialRunner().run(pipeline, catalog)
    return store


def _instruct_rm() -> PromptTemplate:
    """The feedback and the refinement, with the other slots that the scorer fills out of the way."""
    return YES_NO.model_copy(
        update={"text": "{{ feedback }}>{{ refinement }}{{ title }}{{ post }}{{ initial_output }}"}
    )


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return run()


def test_all_four_methods_refine_the_first_examples_of_the_split(made: dict[str, Any]) -> None:
    refined = made["controls.refinements.all"]
    assert set(refined["example_id"]) == {f"development-{i}" for i in range(N)}
    assert refined.groupby("method").size().to_dict() == {
        "refinement_with_feedback": 2 * N,
        "refinement_without_feedback": 2 * N,
        "refinement_with_shuffled_feedback": 2 * N,
        "refinement_with_model_feedback": 2 * N,
    }
    text = refined[refined["sample_index"] == 0].set_index(["method", "example_id"])["text"]
    assert "number3" in text["refinement_with_feedback", "development-3"]
    assert "number3" not in text["refinement_with_shuffled_feedback", "development-3"]
    assert "number" in text["refinement_with_shuffled_feedback", "development-3"]
    assert "Make it shorter" in text["refinement_with_model_feedback", "development-3"]
    assert "nothing" in text["refinement_without_feedback", "development-3"]


def test_points_and_scores_are_asked_against_the_real_feedback(made: dict[str, Any]) -> None:
    assert made["controls.points"].groupby("example_id").size().eq(3).all()
    metrics = made["controls.metrics"]
    shares = metrics[(metrics["metric"] == "points_incorporated") & metrics["baseline"].isna()]
    found = shares.set_index("method")["value"]
    assert found["refinement_with_feedback"] == 1.0
    assert found["refinement_without_feedback"] == 0.0
    instruct = metrics[(metrics["metric"] == "instruct_rm_ensemble") & (metrics["n"] == N)]
    means = instruct[instruct["baseline"].isna()].set_index("method")["value"]
    assert means["refinement_with_feedback"] > means["refinement_with_shuffled_feedback"]
    assert means["refinement_with_shuffled_feedback"] > means["refinement_without_feedback"]


def test_the_section_says_what_was_found_and_by_whom(made: dict[str, Any]) -> None:
    section = made["section.controls"]
    assert isinstance(section, Section)
    page = made["page.controls"]
    for words in (
        "6 inputs; refinements by echo, judged by echo, not by people",
        "with shuffled feedback",
        "with model-written feedback",
        "makes 18 points, 3 each (split by rules)",
        "Make it shorter.",
        "Every score is defined",
        "ask how0 it went.",
    ):
        assert words in page
    assert list(section.figures) == ["controls-differences"]


def describe(made: dict[str, Any], **changes: Any) -> str:
    model = ScriptedLanguageModel("echo")
    inputs = {
        "examples": made["controls.examples"],
        "feedback_shuffled": made["controls.feedback.shuffled"],
        "feedback_model": made["controls.feedback.model"],
        "refinements": made["controls.refinements.all"],
        "selections": made["controls.selections"],
        "points": made["controls.points"],
        "point_scores": made["controls.point_scores"],
        "metrics": made["controls.metrics"],
        "undefined": made["controls.undefined_scores"],
        "options": ReportingOptions(),
        "refiner": model,
        "instruct_rm": model,
    }
    return render_page("t", [describe_controls(**{**inputs, **changes})])


def test_words_are_called_helpful_only_where_every_interval_says_so(made: dict[str, Any]) -> None:
    metrics: pd.DataFrame = made["controls.metrics"].copy()
    differences = metrics["baseline"].notna()
    metrics.loc[differences, ["value", "lower", "upper"]] = [0.2, 0.1, 0.3]
    assert "made the refinements better, by both measures" in describe(made, metrics=metrics)
    one = (metrics["metric"] == "points_incorporated") & (metrics["baseline"] == "refinement_with_shuffled_feedback")
    for lower in (-0.01, float("nan")):
        metrics.loc[one, "lower"] = lower
        assert "These data do not show" in describe(made, metrics=metrics)
    metrics.loc[differences, ["value", "lower", "upper"]] = [-0.2, -0.3, -0.1]
    assert "made the refinements worse" in describe(made, metrics=metrics)


def test_undefined_scores_and_missing_feedback_are_told(made: dict[str, Any]) -> None:
    undefined = made["controls.undefined_scores"].assign(n_undefined=3, n_empty=1)
    page = describe(made, undefined=undefined, feedback_model=made["controls.feedback.model"].iloc[1:])
    assert "Undefined scores: they rank last, and are left out of means." in page
    assert "Every score is defined" not in page
    assert "wrote no feedback on 1 of the inputs" in page


def test_a_model_may_list_the_points() -> None:
    def listing(prompt, i: int) -> str:
        return "- one point\n- another point" if prompt.text.startswith("list") else complete(prompt, i)

    points = run("lm", ScriptedLanguageModel("lister", complete=listing, weigh=weigh))["controls.points"]
    assert points.groupby("example_id").size().eq(2).all()
    assert set(points["split_by"]) == {"model:lister"}
