"""YAML is checked before it is expanded: aliases, depth, keys, encoding."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.schemas.yaml_text import MAX_DEPTH, MAX_VALUES, YamlError, read_yaml_text


def doubling(n: int) -> bytes:
    """Return a mapping of `n` lists, each of nine of the one before it: the last stands for more than 9 ** n values."""
    lists = [f"l{i}: &l{i} [{', '.join(['x' if i == 0 else f'*l{i - 1}'] * 9)}]" for i in range(n)]
    return "\n".join(lists).encode()


def test_a_bomb_is_refused_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(YamlError, match=r"line 6: its aliases stand for more than 100,000 values"):
        read_yaml_text(doubling(9))
    assert time.monotonic() - began < 5


def size(value: object) -> int:
    """Count the values of a loaded document: itself, and what is in it, keys too."""
    if isinstance(value, dict):
        return 1 + sum(size(key) + size(each) for key, each in value.items())
    return 1 + sum(map(size, value)) if isinstance(value, list) else 1


def test_the_bound_is_on_the_values_that_are_written_out() -> None:
    text = doubling(5).decode()  # loaded, it is still small enough to be counted
    n_values = size(yaml.safe_load(text))
    filler = MAX_VALUES - n_values - 2  # a key and a list more
    for extra, is_refused in ((0, False), (1, True)):
        content = f"{text}\nrest: [{', '.join(['1'] * (filler + extra))}]".encode()
        if is_refused:
            with pytest.raises(YamlError, match="more than"):
                read_yaml_text(content)
        else:
            assert size(yaml.safe_load(read_yaml_text(content))) == MAX_VALUES


def test_what_is_nested_too_deeply_is_refused() -> None:
    read_yaml_text(("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)).encode())
    for depth in (MAX_DEPTH, 20_000):
        with pytest.raises(YamlError, match="nested deeper than 50 levels"):
            read_yaml_text(("a: " + "[" * depth + "]" * depth).encode())


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n", b"\xef\xbb\xbfa: 1\n", b"a: {x: 1, y: {x: 2}}\nb: [{x: 3}, {x: 4}]\n"]
)
def test_what_is_right_comes_back_as_text(content: bytes) -> None:
    assert read_yaml_text(content) == content.decode("utf-8-sig")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: &a [*a]", r"line 1: the alias \*a stands for nothing, or for what it stands in"),
        (b"a: *b", r"line 1: the alias \*b stands for nothing"),
        (b"a: 1\n---\nb: 2\n", "line 2: found a second document"),
        (b"a:\n  b: 1\n  c: 2\n  b: 3\n", "line 4: the key 'b' stands there twice"),
        (b"hello", "line 1: found a text; expected keys with values"),
        (b"a: 1\nb: \xff", "line 2: found bytes that are not UTF-8; save the file as UTF-8"),
        (b"a: \x00", "found no YAML: unacceptable character"),
        (b"a:\n\t- 1\n", "line 2: found no YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(YamlError, match=message):
        read_yaml_text(content)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), _values, max_size=4))
def test_every_mapping_that_is_written_as_yaml_is_taken(value: dict[str, object]) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert read_yaml_text(text.encode()) == text
