"""The rules that docs/people.md promises are each shown by a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_rule_of_the_document_has_its_test() -> None:
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", (ROOT / "docs" / "people.md").read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 36))
    source = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    promised = {name for _, tests in rows for name in re.findall(r"`(test_\w+)`", tests)}
    assert len(promised) > 25
    assert [name for name in promised if f"def {name}(" not in source] == []
