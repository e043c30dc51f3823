"""Prompts of rows are the same whether they are filled at once or as they are read."""

from __future__ import annotations

import pytest

from ilf_kedro.prompting import FilledPrompts, PromptTemplate, TemplateError, fill

TEMPLATES = (PromptTemplate(text="One: {{ question }}"), PromptTemplate(text="Two: {{ question }}"))
ROWS = [{"example_id": f"e{n}", "question": f"Why {n}?"} for n in range(3)]


def test_prompts_filled_as_they_are_read_are_those_of_each_row_in_turn() -> None:
    prompts = FilledPrompts(ROWS, *TEMPLATES)
    expected = [fill(template, row) for row in ROWS for template in TEMPLATES]
    assert list(prompts) == expected
    assert len(prompts) == len(expected)
    assert (prompts[-1], prompts[1:3]) == (expected[-1], expected[1:3])
    with pytest.raises(IndexError):
        prompts[len(expected)]


def test_a_slot_that_the_rows_lack_is_named() -> None:
    with pytest.raises(TemplateError, match="shows answer"):
        FilledPrompts(ROWS, PromptTemplate(text="{{ answer }}"))[0]
