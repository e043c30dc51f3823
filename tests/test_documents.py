"""What is written for people: every relative link leads somewhere, and nothing was left to be filled in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
LINK = re.compile(
    r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)=\"([^\"]+)\"", re.MULTILINE
)
PLACEHOLDER = re.compile("@" + r"[A-Z]+" + "@")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:" + "|".join(("work", "root", "farm")) + r")/")


def documents() -> list[Path]:
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return found + sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "data" / "01_raw").rglob("README.md")])


def links(text: str) -> list[str]:
    """Return the targets of all links and images, code left out."""
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return [next(filter(None, groups)) for groups in LINK.findall(without_code)]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every text file that is in git, or about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout, to know which files belong to the project")
    found = {}
    for name in filter(None, listed.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content:
            found[name] = content.decode("utf-8")
    return found


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_and_image_is_there(document: Path) -> None:
    missing = []
    for link in links(document.read_text("utf-8")):
        path = unquote(link.partition("#")[0])
        if path and not re.match(r"[a-z][a-z+.-]*:", path) and not (document.parent / path).exists():
            missing.append(link)
    assert missing == []


def test_links_are_recognised() -> None:
    text = '[a](b.md) ![c](d/e.png "t") <img src="f.png">\n[g]: h.md\n`[not](this)`\n```\n[nor](that)\n```'
    assert links(text) == ["b.md", "d/e.png", "f.png", "h.md"]
    assert links((ROOT / "README.md").read_text("utf-8"))


def test_nothing_is_left_to_be_filled_in(texts: dict[str, str]) -> None:
    assert "README.md" in texts
    assert {name: found for name, text in texts.items() if (found := PLACEHOLDER.findall(text))} == {}


def test_no_file_names_a_place_on_somebodys_machine(texts: dict[str, str]) -> None:
    lines = {
        f"{name}: {line}" for name, text in texts.items() for line in text.splitlines() if MACHINE_PATH.search(line)
    }
    assert lines == set()
