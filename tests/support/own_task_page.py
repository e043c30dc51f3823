"""The blocks of docs/own_task.md: the walk, in order, and the mappings of formats by their headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "own_task.md"
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<file>[\w./-]+\.yml)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block; `file` is where its first line says that it stands."""

    language: str
    code: str
    file: str | None


def walk() -> list[Block]:
    """The blocks under the heading "A walk"."""
    return _blocks(_section("## A walk"))


def formats() -> dict[str, str]:
    """The first block of YAML under each heading below "Formats"."""
    parts = re.split(r"^### ", _section("## Formats"), flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: _blocks(part)[0].code for part in parts}


def _section(heading: str) -> str:
    _, _, rest = PAGE.read_text("utf-8").partition(f"\n{heading}\n")
    assert rest, f"{PAGE} has no {heading!r}"
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def _blocks(text: str) -> list[Block]:
    found = []
    for block in _BLOCK.finditer(text):
        file = _FILE.match(block["code"])
        found.append(Block(block["language"], block["code"], file["file"] if file else None))
    return found
