"""What `--params` says: whole lists, texts with blanks and commas, and the pair at fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.wiring.command_parameters import parse_parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('x=["summary of nothing"]', ["summary of nothing"]),
        ('x=["007"]', ["007"]),
        ("x=['as an AI' sorry]", ["as an AI", "sorry"]),
        ('x=["x]"]', ["x]"]),
        ("x=['#a, b']", ["#a, b"]),
        ("x=[10 40]", [10, 40]),
        ("x=[10, 40]", [10, 40]),
        ("x=[ 10   40 ]", [10, 40]),
        ("x=[refinements human_summaries]", ["refinements", "human_summaries"]),
        ("x=[[1 2] [3]]", [[1, 2], [3]]),
        ("x=[{a: 1, b: 2} {a: 3}]", [{"a": 1, "b": 2}, {"a": 3}]),
        ("x=[]", []),
        ("x=['[a' \"b]\"]", ["[a", "b]"]),
        ('x="10 40"', "10 40"),
        ('x="a, b"', "a, b"),
        ("x=a b", "a b"),
        ("x=a=b", "a=b"),
        ("x=don't", "don't"),
        ("x=1e-5", 1e-5),
        ("x=", None),
        ("x=${oc.env:KEY}", "${oc.env:KEY}"),
    ],
)
def test_a_value_is_one_value(text: str, value: object) -> None:
    assert parse_parameters(text) == {"x": value}
    assert parse_parameters(f"first=1,{text},last=2") == {"first": 1, "x": value, "last": 2}


def test_dots_in_a_key_lead_down() -> None:
    assert parse_parameters("a.b.c=1, a.d=[2 3],e=4,") == {"a": {"b": {"c": 1}, "d": [2, 3]}, "e": 4}
    assert parse_parameters("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed=1,train_sizes=[4 8", r"train_sizes: found '\[4 8', which is no value in YAML"),
        ("seed={{7*7}}", "seed: found '{{7[*]7}}', which is no value"),
        ("seed=\0", "seed: found"),
        ("seed=" + "[" * 3000 + "]" * 3000, "seed: found"),
        ("seed", "found 'seed'; expected a key and a value, such as"),
        ("=3", "found '=3'; expected a key and a value"),
        ("x=[${oc.env:KEY} 3]", "x: found"),
        ("x=['a'b]", "x: found"),
    ],
)
def test_a_pair_that_cannot_be_read_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_parameters(text)
    assert len(str(caught.value)) < 400


def test_a_secret_is_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"api_token: found '\*\*\*'"):
        parse_parameters("refinement.api_token=[hunter2")


_texts = st.text(alphabet="ab ,=[]{}:#'x1-", max_size=8)


@given(st.lists(_texts, max_size=4), _texts)
def test_texts_in_quotation_marks_come_back_as_they_are(members: list[str], after: str) -> None:
    written = " ".join(f'"{member}"' for member in members)
    expected: dict[str, Any] = {"a": members, "b": after}
    assert parse_parameters(f'a=[{written}],b="{after}"') == expected
