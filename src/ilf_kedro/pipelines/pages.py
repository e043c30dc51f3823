"""The node that makes a page of a section: every analysis beside the main job has one."""

from __future__ import annotations

from kedro.pipeline import Node

from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.report.sections import Section, render_page

__all__ = ["page_node"]


def page_node(name: str, title: str) -> Node:
    """Create the node that writes section.{name} as page.{name}, an HTML file of its own under the title."""
    return Node(bind(write_page, title=title), f"section.{name}", f"page.{name}", name="write_page")


def write_page(section: Section, *, title: str) -> str:
    """Return the section as an HTML file of its own."""
    return render_page(title, [section])
