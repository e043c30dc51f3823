"""The words of one task, summaries of forum posts, stand in that task's own files alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TASKS_WORDS = re.compile(r"\b(?:posts?|summar(?:y|ies)|subreddits?)\b", re.IGNORECASE)
# HTTP's verb, the paper's name for cleaning, HTML's element, and Markdown's and Python's own words.
OTHER = re.compile(
    r"post-process|\bPOST\b|\.post\(|</?summary\b|people\.summary|Summary\b"
    r'|element\("summary"|const post\b|post !==|\bpost \?|= post\b'
)
# Where the released reward models' questions and English feedback are taken apart, and a made-up text.
OF_THE_TASK = {
    "src/ilf_kedro/scoring/feedback_points.py",
    "src/ilf_kedro/language_models/scripted.py",
    "src/ilf_kedro/people/summary.py",  # of a campaign's answers
}


def tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


@pytest.mark.parametrize("pattern", ["src/*.py", "src/*.j2", "src/*.js", "src/*.html"])
def test_no_code_speaks_of_posts_or_summaries(pattern: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in tracked(pattern)
        if name not in OF_THE_TASK
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), start=1)
        if TASKS_WORDS.search(OTHER.sub("", line))
    ]
    assert found == []


def test_no_other_tasks_configuration_speaks_of_posts_or_summaries() -> None:
    found = [
        name
        for name in tracked("conf/*.yml")
        if name.split("/")[1] not in ("base", "slf5k", "more_posts", "test")
        and TASKS_WORDS.search((ROOT / name).read_text("utf-8"))
    ]
    assert found == []


def test_no_tests_name_is_longer_than_80_characters() -> None:
    names = [
        name for file in tracked("tests/*.py") for name in re.findall(r"def (test_\w+)", (ROOT / file).read_text())
    ]
    assert len(names) > 1000
    assert [name for name in names if len(name) > 80] == []
