"""YAML that people write, checked before it is expanded: a few lines of it can stand for billions."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from ilf_kedro.schemas.base import UserError

__all__ = ["MAX_DEPTH", "MAX_VALUES", "YamlError", "read_yaml_text"]

MAX_VALUES = 100_000  # with every alias written out
MAX_DEPTH = 50

# The parser in C is some ten times as fast; PyYAML is built without it on some machines.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(UserError):
    """A file is no YAML that can be used; the message says where and why, without the file's name."""


def read_yaml_text(content: bytes) -> str:
    """Return the text of a YAML file that is safe to load: one mapping, or nothing.

    Raises:
        YamlError: it is not UTF-8 or not YAML, holds no mapping, has a key twice, is nested deeper than `MAX_DEPTH`, or
            stands for more than `MAX_VALUES` values.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise YamlError(f"line {line}: found bytes that are not UTF-8; save the file as UTF-8") from None
    checked = _Reading()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if fault := checked.take(event):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise YamlError(f"line {line}: {fault}")
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise YamlError(f"{place}found no YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"found no YAML: {' '.join(str(error).split())}") from None
    return text


@dataclass(slots=True)
class _Collection:
    """A mapping or list that is being read: its keys so far, and how many values it stands for."""

    anchor: str | None
    is_mapping: bool
    keys: set[str]
    n_members: int = 0
    n_values: int = 1


class _Reading:
    """Follows the events of a parser, which expand nothing."""

    def __init__(self) -> None:
        self._n_values: dict[str, int] = {}  # by anchor
        self._open: list[_Collection] = []
        self._n_documents = 0

    def take(self, event: yaml.Event) -> str | None:
        """Return what is wrong with an event, if anything is."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._n_documents += 1
            return "found a second document; expected one mapping" if self._n_documents > 1 else None
        if isinstance(event, yaml.CollectionEndEvent):
            closed = self._open.pop()
            return self._count(closed.anchor, closed.n_values)
        if not isinstance(event, yaml.NodeEvent):
            return None
        if fault := self._check_place(event):
            return fault
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append(_Collection(event.anchor, isinstance(event, yaml.MappingStartEvent), set()))
            return f"it is nested deeper than {MAX_DEPTH} levels" if len(self._open) > MAX_DEPTH else None
        if not isinstance(event, yaml.AliasEvent):
            return self._count(event.anchor, 1)
        if event.anchor not in self._n_values:
            return f"the alias *{event.anchor} stands for nothing, or for what it stands in"
        return self._count(None, self._n_values[event.anchor])

    def _check_place(self, event: yaml.NodeEvent) -> str | None:
        """Refuse a whole that is no mapping, and a key that its mapping has already."""
        text = event.value if isinstance(event, yaml.ScalarEvent) else None
        if not self._open:
            if text == "" or isinstance(event, yaml.MappingStartEvent):
                return None
            return f"found {'a list' if text is None else 'a text'}; expected keys with values, such as seed: 0"
        around = self._open[-1]
        around.n_members += 1
        if around.is_mapping and around.n_members % 2 and text is not None:
            if text in around.keys:
                return f"the key {text!r} stands there twice; keep one of them"
            around.keys.add(text)
        return None

    def _count(self, anchor: str | None, n_values: int) -> str | None:
        """Remember how much an anchor stands for, and add it to what is around it."""
        if anchor is not None:
            self._n_values[anchor] = n_values
        if self._open:
            self._open[-1].n_values += n_values
            n_values = self._open[-1].n_values
        return f"its aliases stand for more than {MAX_VALUES:,} values" if n_values > MAX_VALUES else None
