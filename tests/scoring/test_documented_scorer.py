"""The diff in docs/architecture.md that adds a scorer is what the files really hold, and it is short."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_documented_diff_is_real_and_short() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    (diff,) = re.findall(r"```diff\n(.*?)```", text, re.DOTALL)
    parts = re.split(r"^--- .*\n\+\+\+ b/", diff, flags=re.MULTILINE)[1:]
    assert len(parts) == 4
    n_changed = 0
    for part in parts:
        name, *lines = part.splitlines()
        content = (ROOT / name).read_text("utf-8")
        for hunk in re.split(r"^@@.*\n", "\n".join(lines), flags=re.MULTILINE)[1:]:
            after = [line[1:] for line in hunk.splitlines() if not line.startswith("-")]
            assert "\n".join(after) in content, f"{name} has changed: paste its lines into docs/architecture.md again"
        n_changed += sum(line[:1] in "+-" for line in lines if line)
    assert 30 < n_changed < 60
