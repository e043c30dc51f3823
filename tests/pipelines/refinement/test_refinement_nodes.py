"""The refinement node: what is asked, cleaned, sampled again and kept."""

from __future__ import annotations

import pytest

from ilf_kedro.language_models.protocol import Capability, MissingCapabilityError
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.refinement.nodes import refine, refine_all
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.requirements import MissingColumnError
from ilf_kedro.prompting import PromptTemplate
from tests.support.example_tables import WITH_FEEDBACK, WITHOUT_FEEDBACK, examples, subsets

OPTIONS = RefinementOptions(n_refinements=2, max_tries=4, forbidden=("spam",))


def run(complete, table=None, options=OPTIONS, template=WITH_FEEDBACK):
    table = examples(3) if table is None else table
    model = ScriptedLanguageModel(complete=complete)
    return refine(table, subsets(table, 1, 2), model, template, options, 0, method="refinement_with_feedback"), model


def test_refines_the_largest_subset_and_keeps_what_the_model_returned() -> None:
    table, _ = run(lambda prompt, i: f"- Text {i} for {prompt.example_id}. And then")
    assert list(table["example_id"]) == ["train-0", "train-0", "train-1", "train-1"]
    assert list(table["text"][:2]) == ["Text 0 for train-0.", "Text 1 for train-0."]
    assert table["raw_text"][0] == "- Text 0 for train-0. And then"
    assert not table["resampled"].any()


def test_a_degenerate_example_is_sampled_again_and_unique_good_texts_come_first() -> None:
    texts = {0: "Same.", 1: "Same.", 2: "Spam!", 3: "Other."}
    table, model = run(lambda prompt, i: texts[i] if prompt.example_id == "train-0" else f"Fine {i}.")
    first = table[table["example_id"] == "train-0"]
    assert list(first["text"]) == ["Same.", "Other."]
    assert list(first["draw_index"]) == [0, 3]
    assert list(first["resampled"]) == [False, True]
    assert model.n_questions == 3  # two prompts, and one of them again


def test_always_exactly_n_even_where_all_draws_are_bad() -> None:
    table, _ = run(lambda prompt, i: "..." if i % 2 else "spam")
    assert list(table["status"]) == ["forbidden", "empty"] * 2
    assert list(table["text"][:2]) == ["spam", ""]


def test_the_prompt_holds_the_feedback_only_where_the_template_asks_for_it() -> None:
    seen = []
    run(lambda prompt, i: seen.append(prompt.text) or f"{prompt.example_id} {i}", template=WITHOUT_FEEDBACK)
    assert seen
    assert not any("feedback" in text for text in seen)


@pytest.mark.parametrize("template", [WITH_FEEDBACK, WITHOUT_FEEDBACK])
def test_examples_without_feedback_are_left_out_of_every_method(template: PromptTemplate) -> None:
    """So that methods are compared on the same examples."""
    table = examples(3, feedback=[None, "good", "good"])
    refined, _ = run(lambda prompt, i: f"Text {i}.", table, template=template)
    assert set(refined["example_id"]) == {"train-1"}


def test_of_any_examples_those_are_refined_that_have_what_the_prompt_shows() -> None:
    table, model = (
        examples(3, feedback=["good", None, "good"]),
        ScriptedLanguageModel(complete=lambda _, i: f"Text {i}."),
    )
    by = {
        template: set(refine_all(table, model, template, OPTIONS, 0, method="m")["example_id"])
        for template in (WITH_FEEDBACK, WITHOUT_FEEDBACK)
    }
    assert by == {WITH_FEEDBACK: {"train-0", "train-2"}, WITHOUT_FEEDBACK: {"train-0", "train-1", "train-2"}}


def test_where_no_example_has_feedback_the_split_is_named() -> None:
    with pytest.raises(MissingColumnError, match=r"'train'(.|\n)*feedback: missing in 2 of 2 examples \(train-0, "):
        run(lambda prompt, i: "x", examples(3, feedback=[None, None, "good"]))


def test_a_model_that_cannot_generate_is_refused_before_it_is_asked() -> None:
    table = examples(2)
    model = ScriptedLanguageModel(capabilities=[Capability.EMBED])
    with pytest.raises(MissingCapabilityError, match="pipeline refinement"):
        refine(table, subsets(table, 1), model, WITH_FEEDBACK, OPTIONS, 0, method="refinement_with_feedback")
    assert model.n_questions == 0


def test_a_prompt_that_asks_for_code_keeps_all_lines_of_it() -> None:
    program = "def f(x):\n    y = x\n\n    return y"
    table, _ = run(
        lambda _, i: f"Sure:\n\n```python\n{program} + {i}\n```\nDone.",
        template=WITH_FEEDBACK.model_copy(update={"clean": "code"}),
    )
    assert list(table["text"][:2]) == [f"{program} + 0", f"{program} + 1"]
    assert table["raw_text"][0].startswith("Sure:")
