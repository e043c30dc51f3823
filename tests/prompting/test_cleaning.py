"""Completions become outputs: sentences, the text as it is, code, or what the user's function returns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.prompting import clean_completion
from ilf_kedro.prompting.cleaning import cleaner, extract_code, strip_blank_lines
from ilf_kedro.schemas import UserError

FEEDBACK = Path(__file__).parents[3] / "shared" / "reference" / "code_feedback_60.jsonl"
ADD = "def add(a, b):\n    c = a\n\n    return c + b"


@given(st.text(max_size=80), st.booleans())
def test_sentences_are_the_papers_post_processing(text: str, by_length: bool) -> None:
    assert cleaner("sentences")(text, by_length) == clean_completion(text, ended_by_length=by_length)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\n \n  Dear all,\n\n- one\n  two  \n\n", "  Dear all,\n\n- one\n  two"),
        ("one\ttwo", "one\ttwo"),
        (" \n\t\n", ""),
        ("", ""),
    ],
)
def test_verbatim_changes_nothing_but_surrounding_blank_lines(text: str, cleaned: str) -> None:
    assert cleaner("verbatim")(text, True) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        ADD,
        f"\n\n{ADD}\n\n",
        f"```python\n{ADD}\n```",
        f"Here is it:\n\n```py\n{ADD}\n```\nIt adds.\n```\nadd(1, 2)\n```",
        f"~~~\n{ADD}\n~~~",
        f"````python\n{ADD}\n````",
        f"```python\n{ADD}\n",  # ended by length
        f"{ADD}\n```\nIt adds two numbers.",  # the prompt opened the fence
        f"{ADD}\n```\n\nFor example:\n\n```python\nadd(1, 2)\n```",
        f"{ADD}\n\nThis function adds two numbers.",
        f"{ADD}\n\nExplanation:\n- it adds\n  two numbers",
        f"Here is the corrected function:\n\n{ADD}\n\nIt's right now.",
        f"```\n```\n```python\n{ADD}\n```",
    ],
)
def test_the_code_in_a_completion_is_found(text: str) -> None:
    assert extract_code(text) == ADD


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = [\n    1,\n]\nprint(x)\nand that is it", "x = [\n    1,\n]\nprint(x)"),
        ("import math\n\ndef f():\n    return math.pi\n\ndef g(:\n", "import math\n\ndef f():\n    return math.pi"),
        ("    return a + b\n\n\nThis is it", "    return a + b\n\n\nThis is it"),
        ("def f(:\n    return\n```\n\nUse it:\n```\nf()\n```", "def f(:\n    return"),
        ("I cannot do that.", "I cannot do that."),
        ("", ""),
        ("```python\n    return a\n```", "    return a"),
    ],
)
def test_code_ends_where_it_parses_no_longer_and_what_never_parses_stays(text: str, code: str) -> None:
    assert extract_code(text) == code


@given(st.text(max_size=120))
def test_every_text_has_a_result_that_does_not_change_again(text: str) -> None:
    assert strip_blank_lines(strip_blank_lines(text)) == strip_blank_lines(text)
    code = extract_code(text)
    assert code == "" or code in text
    assert extract_code(code) == code or "```" in text or "~~~" in text


@pytest.mark.skipif(not FEEDBACK.exists(), reason=f"{FEEDBACK.name} is not beside the project")
def test_sixty_corrected_functions_survive_alone_in_a_fence_and_before_prose() -> None:
    rows = [json.loads(line) for line in FEEDBACK.read_text("utf-8").splitlines()]
    for program in (row["unedited_annotator_completion"].replace("\r\n", "\n").strip() for row in rows):
        assert extract_code(program) == program
        assert extract_code(f"Sure!\n\n```python\n{program}\n```\n\nThis works.") == program
        assert extract_code(f"{program}\n\nThe function now works.") == program


def test_a_function_of_the_users_own_cleans(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def upper(text):\n    return text.upper()\n\ndef broken(text):\n    return None\n\nNUMBER = 3\n")
    assert cleaner(f"{file}:upper")("a", False) == "A"
    assert cleaner("textwrap:dedent")("  a", False) == "a"
    with pytest.raises(UserError, match="broken returned a NoneType, expected text"):
        cleaner(f"{file}:broken")("a", False)
    with pytest.raises(UserError, match="is a int, not a function"):
        cleaner(f"{file}:NUMBER")


@pytest.mark.parametrize("name", ["no.such.module:f", "textwrap:no_such", "/no/such/file.py:f"])
def test_a_function_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UserError, match=r"task\.output\.clean: .* cannot be used"):
        cleaner(name)
