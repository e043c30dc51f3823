"""The probe asks each model named in the parameters, and counts what is right letter by letter."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from ilf_kedro.language_models.protocol import Capability, MissingCapabilityError
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.word_removal.options import WordRemovalProbeOptions
from ilf_kedro.pipelines.word_removal_probe import create_pipeline, nodes
from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.report.sections import render_page
from ilf_kedro.schemas import PublishedResults
from ilf_kedro.tasks.word_removal.probe import draw_probe

PROMPTS = Path(__file__).parents[3] / "conf" / "base" / "prompts" / "word_removal"
OPTIONS = WordRemovalProbeOptions(n_per_combination=2)
ITEMS = {item.example_id: item for item in draw_probe(2, seed=0)}


def template(name: str) -> PromptTemplate:
    return PromptTemplate.model_validate(yaml.safe_load((PROMPTS / f"{name}.yml").read_text("utf-8")))


def answers_only_one_word(prompt: Prompt, _: int) -> str:
    """Answer rightly where one word is to go, and repeat the sentence elsewhere; a model says more than it is asked."""
    item = ITEMS[prompt.example_id]
    assert item.sentence in prompt.text
    assert item.feedback in prompt.text
    return f" {item.answer if item.n_to_remove == 1 else item.sentence}\n\nIs there anything else?"


def test_right_answers_are_counted_by_number_to_remove() -> None:
    items = nodes.draw_items(OPTIONS, 0)
    model = ScriptedLanguageModel(complete=answers_only_one_word)
    answers = nodes.answer_items(items, model, template("probe"), OPTIONS, 0, model_name="scripted")
    exact = nodes.count_exact_matches(items, OPTIONS, answers).set_index("n_to_remove")
    assert exact["n"].to_dict() == {0: 54, 1: 20, 2: 18, 3: 16}
    assert exact["exact_match"].to_dict() == pytest.approx({0: 20 / 54, 1: 1, 2: 0, 3: 0})


def test_the_page_has_the_published_figures_beside() -> None:
    items = nodes.draw_items(OPTIONS, 0)
    model = ScriptedLanguageModel(complete=answers_only_one_word)
    answers = nodes.answer_items(items, model, template("probe"), OPTIONS, 0, model_name="scripted")
    published = pd.read_csv(Path(__file__).parents[3] / "data" / "01_raw" / "published_results.csv")
    exact = nodes.count_exact_matches(items, OPTIONS, answers)
    page = render_page("x", [nodes.describe_probe(exact, items, PublishedResults.validate(published), OPTIONS)])
    assert "scripted gets 37.0% of 54 sentences exactly right" in page
    assert page.count(">published<") == 8
    assert "text-davinci-001" in page


def test_a_model_that_cannot_write_is_refused_before_it_is_asked() -> None:
    model = ScriptedLanguageModel(capabilities={Capability.EMBED})
    with pytest.raises(MissingCapabilityError, match="word_removal_probe needs the capability 'generate'"):
        nodes.answer_items(nodes.draw_items(OPTIONS, 0), model, template("probe"), OPTIONS, 0, model_name="m")
    assert model.n_questions == 0


def test_any_models_of_the_catalog_are_asked() -> None:
    pipeline = create_pipeline(["base_model", "judge"])
    assert {"base_model", "judge"} <= pipeline.inputs()
    assert {"word_removal_probe.base_model.answers", "word_removal_probe.judge.answers"} <= pipeline.all_outputs()
    with pytest.raises(ValueError, match="judge more often"):
        WordRemovalProbeOptions(models=("judge", "judge"))


def test_the_policy_is_asked_without_feedback_and_the_control_sees_none() -> None:
    assert template("pass_on").slots == ("note",)
    assert template("without_feedback").slots == ("initial_output",)
    assert template("with_feedback").slots == ("initial_output", "feedback")
    shown = template("with_feedback").render("x", initial_output="A note.", feedback="Fine.").text
    assert shown == "Note: A note.\nReader: Fine.\nBetter:"
    assert template("without_feedback").render("x", initial_output="A note.").text == "Note: A note.\nBetter:"
    assert template("pass_on").render("x", note="A note.").text == "Note: A note.\nPass it on:"
