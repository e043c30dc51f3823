"""One run at a time in a process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from kedro.pipeline import Node, Pipeline

from ilf_kedro.wiring.hooks.one_run import BusyError
from tests.support.mini_project import MiniProject, project, text_entry

__all__ = ["project"]


def test_a_run_that_begins_while_another_is_in_progress_is_refused(project: MiniProject) -> None:
    began, may_end = threading.Event(), threading.Event()

    def wait(text: str) -> str:
        began.set()
        assert may_end.wait(60)
        return text

    project.write("base/catalog_texts.yml", {"raw": text_entry("raw")})
    (project.path / "data" / "raw.txt").write_text("hello")
    project.register(slow=Pipeline([Node(wait, "raw", "out", name="wait")]))
    with ThreadPoolExecutor(1) as other:
        first = other.submit(project.run)
        assert began.wait(60)
        with pytest.raises(BusyError, match="in progress"):
            project.run()
        may_end.set()
        assert first.result()["out"].load() == "hello"
    assert project.run()["out"].load() == "hello"


def test_a_run_that_failed_or_was_interrupted_does_not_stand_in_the_way(project: MiniProject) -> None:
    faults: list[BaseException] = [ValueError("a defect"), KeyboardInterrupt()]

    def fail(text: str) -> str:
        if faults:
            raise faults.pop(0)
        return text

    project.write("base/catalog_texts.yml", {"raw": text_entry("raw")})
    (project.path / "data" / "raw.txt").write_text("hello")
    project.register(faulty=Pipeline([Node(fail, "raw", "out", name="fail")]))
    for kind in (ValueError, KeyboardInterrupt):
        with pytest.raises(kind):
            project.run()
    assert project.run()["out"].load() == "hello"
