"""Columns and expressions: which columns they read, and what is wrong with them."""

from __future__ import annotations

import pytest

from ilf_kedro.tasks.expressions import EvaluationError, ExpressionError, compile_expression

COLUMNS = ["a", "b", "Feedback", "a.b", "two words", "x (y)"]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a", {"a"}),
        ("a.b", {"a.b"}),
        ("x (y)", {"x (y)"}),
        ("a.c", {"a"}),
        ("a[0].b", {"a"}),
        ("a[?b == 'x'].c | [0]", {"a"}),
        ("a[].{role: b, content: c}", {"a"}),
        ("sort_by(a, &c)[0].text", {"a"}),
        ("{x: a, y: b}", {"a", "b"}),
        ("[a, b.c]", {"a", "b"}),
        ("a || b", {"a", "b"}),
        ("a.*.c", {"a"}),
        ("a[-1].c && 'yes' || `null`", {"a"}),
        ('"two words"[0]', {"two words"}),
        ("join(' ', [a, b])", {"a", "b"}),
        ("@", set()),
    ],
)
def test_an_expression_reads_only_the_columns_of_the_row_itself(text: str, columns: set[str]) -> None:
    assert compile_expression(text, COLUMNS).columns == columns


def test_a_column_of_that_name_wins_over_the_expression() -> None:
    row = {"a.b": "column", "a": {"b": "nested"}}
    assert compile_expression("a.b", ["a", "a.b"])(row) == "column"
    assert compile_expression("a.b", ["a"])(row) == "nested"


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("feedbak", "no such column in any row", "'Feedback', perhaps"),
        ("zzz", "no such column in any row", "one of a, b, Feedback"),
        ("join('x', feedback)", "an expression over 'feedback', which no row has", "'Feedback', perhaps"),
        ("a[", "an expression that does not parse", "JMESPath"),
        ("nothing(a", "an expression that does not parse", "JMESPath"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_nearest_column(text: str, found: str, expected: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, COLUMNS)
    assert caught.value.found.startswith(found)
    assert caught.value.expected.startswith(expected)
    assert "\n" not in str(caught.value)


def test_a_function_given_null_is_null_and_one_given_something_else_is_an_error() -> None:
    joined = compile_expression("join(' ', a)", ["a"])
    assert joined({"a": ["x", "y"]}) == "x y"
    assert joined({"a": None}) is None
    assert joined({}) is None
    with pytest.raises(EvaluationError, match=r"join\(\).*number"):
        joined({"a": 3})


def test_match_takes_a_part_of_a_text() -> None:
    row = {"a": "TITLE: A b\n\nPOST: One.\n\nTwo.\n\nTL;DR:"}
    assert compile_expression(r"match('TITLE: (.*?)\n\nPOST: ', a)", ["a"])(row) == "A b"
    assert compile_expression(r"match('POST: (.*)\n\nTL;DR:$', a)", ["a"])(row) == "One.\n\nTwo."
    assert compile_expression(r"match('T\w+', a)", ["a"])(row) == "TITLE"
    assert compile_expression("match('x', a)", ["a"])(row) is None
    assert compile_expression("match('x', a)", ["a"])({"a": None}) is None
    with pytest.raises(EvaluationError, match="a regular expression that does not parse"):
        compile_expression("match('(', a)", ["a"])(row)


def test_a_line_break_in_a_quoted_text_is_one() -> None:
    assert compile_expression(r"join('\n', a)", ["a"])({"a": ["x", "y"]}) == "x\ny"
    assert compile_expression(r'join(`"\n"`, a)', ["a"])({"a": ["x", "y"]}) == "x\ny"
