"""The node that makes a page of a section: every analysis beside the main job has one."""

from __future__ import annotations

from kedro.pipeline import Node

from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.report.sections import Section, render_page
from ilf_kedro.schemas.run_record import RunRecord
from ilf_kedro.tasks import Task

__all__ = ["page_node"]


def page_node(name: str, title: str) -> Node:
    """Create the node that writes section.{name} as page.{name}, an HTML file of its own under the title."""
    inputs = [f"section.{name}", "run_record.so_far", "params:task"]
    return Node(bind(write_page, title=title), inputs, f"page.{name}", name="write_page")


def write_page(section: Section, run: RunRecord, task: Task, *, title: str) -> str:
    """Return the section as an HTML file in the task's words, which says which versions of the data it shows."""
    return render_page(title, [section], run, task.words)
