"""Every prompt file is valid, and renders to the golden text that is kept beside this test.

Where a new text is meant, renew the golden files: python -m tests.prompting.test_prompt_files
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ilf_kedro.prompting import Prompt, PromptTemplate

PROMPTS = sorted((Path(__file__).parents[2] / "conf" / "base" / "prompts").glob("*.yml"))
GOLDEN = Path(__file__).parent / "golden"
VALUES = {
    "title": "My cat {ran} away",
    "post": "She left on Monday.\n\nWhere do I look?",
    "initial_output": "A cat is gone.",
    "feedback": "Say when she left.",
    "refinement": "The cat left on Monday.",
    "output": "The cat left on Monday; where to look?",
    "output_a": "The cat left on Monday.",
    "output_b": "A cat is gone.",
    "point": "Say when she left.",
}


def rendered(file: Path) -> tuple[PromptTemplate, Prompt]:
    template = PromptTemplate.model_validate(yaml.safe_load(file.read_text("utf-8")))
    return template, template.render("x", **{slot: VALUES[slot] for slot in template.slots})


@pytest.mark.parametrize("file", PROMPTS, ids=lambda file: file.stem)
def test_renders_to_the_golden_text(file: Path) -> None:
    template, prompt = rendered(file)
    golden = (GOLDEN / f"{file.stem}.txt").read_text("utf-8")
    assert prompt.text == golden, "if this is meant: python -m tests.prompting.test_prompt_files"
    if template.truncate is None:
        assert prompt.truncatable is None
        return
    assert prompt.truncatable is not None
    assert prompt.text[slice(*prompt.truncatable)] == VALUES[template.truncate]


def test_every_golden_text_has_its_prompt() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {file.stem for file in PROMPTS}


@pytest.mark.parametrize("file", [file for file in PROMPTS if "instruct_rm" in file.stem], ids=lambda file: file.stem)
def test_instruct_rm_asks_for_the_papers_answers(file: Path) -> None:
    template = PromptTemplate.model_validate(yaml.safe_load(file.read_text("utf-8")))
    expected = ("True", "False") if file.stem[-1] in "35" else ("Yes", "No")
    assert (template.positive[0], template.negative[0]) == expected
    assert f"{expected[0]} or {expected[1]}" in template.text


if __name__ == "__main__":
    for each in PROMPTS:
        (GOLDEN / f"{each.stem}.txt").write_text(rendered(each)[1].text, encoding="utf-8")
