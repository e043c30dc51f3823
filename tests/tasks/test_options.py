"""What a task may say, and what each mistake is called."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ilf_kedro.tasks import Task, Words
from tests.support.tasks import task


def test_an_input_may_be_named_by_its_column_alone() -> None:
    short, long = task(inputs={"source": "text"}), task(inputs={"source": {"column": "text"}})
    assert short == long


def test_the_input_that_may_be_truncated_tells_inputs_apart_else_all_that_are_shown() -> None:
    both = {"source": "text", "language": "to", "tests": {"column": "t", "shown": False}}
    assert task(inputs=both).identifying_inputs == ("source", "language")
    shortened = {**both, "source": {"column": "text", "truncate": True}}
    assert task(inputs=shortened).identifying_inputs == ("source",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": {}}, "at least 1 item"),
        ({"inputs": {"feedback": "x"}}, "inputs.feedback: 'feedback' is one of the project's words"),
        ({"inputs": {"The source": "x"}}, "inputs.The source: a name of small letters"),
        ({"inputs": {"source": " "}}, "expected a column's name or a JMESPath expression"),
        ({"inputs": {"source": {"column": "x", "shown": False}}}, "none is shown to the model"),
        (
            {"inputs": {"a": {"column": "a", "truncate": True}, "b": {"column": "b", "truncate": True}}},
            "a, b have truncate; at most one may",
        ),
        (
            {"inputs": {"a": "a", "b": {"column": "b", "truncate": True, "shown": False}}},
            "inputs.b: what is not shown cannot be truncated",
        ),
        ({"inputs": {"source": {"column": "x", "kind": "image"}}}, "'text' or 'messages'"),
        ({"columns": {"feedbak": "note"}}, "Extra inputs are not permitted"),
        ({"splits": {"train": 0.8, "test": 0.1}}, "the shares sum to 0.9, expected 1"),
        ({"splits": {"train": 0.8, "test": 0.2, "by": "group"}}, "splits.by: group needs columns.group"),
        ({"splits": {"train": 0.8, "tests": 0.2}}, "Extra inputs are not permitted"),
        ({"output": {"clean": "strip"}}, "found 'strip', expected sentences, verbatim, code, or a function"),
        ({"output": {"metrics": ["bleu"]}}, "'verifier', 'rouge' or 'length'"),
        ({"comparisons": {"inputs": {}, "a": "a", "b": "b"}}, "comparisons.inputs.source: missing"),
        ({"comparisons": {"inputs": {"source": "x", "z": "y"}, "a": "a", "b": "b"}}, "comparisons.inputs.z: no input"),
        ({"columns": {"comparison": {"a": "x", "b": "y", "values": {"a": 1}}}}, "expected both a and b"),
        (
            {"columns": {"comparison": {"a": "x", "b": "y", "values": {"a": [1, 2], "b": 2}}}},
            "one of them stands for two sides",
        ),
    ],
)
def test_what_a_task_may_not_say_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        task(**changes)
    assert message in str(caught.value)


def test_comparisons_stand_in_one_place() -> None:
    columns = {"comparison": {"a": "x", "b": "y"}}
    with pytest.raises(ValidationError, match=r"columns.comparison must be null"):
        task(columns=columns, comparisons={"inputs": {"source": "x"}, "a": "a", "b": "b"})


def test_true_and_one_may_stand_for_different_sides() -> None:
    compared = task(columns={"comparison": {"a": "x", "b": "y", "values": {"a": True, "b": 1}}}).columns.comparison
    assert compared is not None
    assert compared.values == {"a": (True,), "b": (1,)}


def test_a_task_is_immutable_and_comes_back_from_json() -> None:
    one = task(splits={"train": 0.9, "test": 0.1})
    with pytest.raises(ValidationError, match="frozen"):
        one.name = "other"
    assert Task.model_validate_json(one.model_dump_json()) == one


@pytest.mark.parametrize(
    ("word", "plural"),
    [("query", "queries"), ("letter", "letters"), ("reply", "replies"), ("essay", "essays"), ("box", "boxes")],
)
def test_plurals_follow_the_rules(word: str, plural: str) -> None:
    assert Words(output=word).plural_outputs == plural


def test_a_plural_can_be_given() -> None:
    assert Words(input="thesis", inputs="theses").plural_inputs == "theses"
