"""The node that makes a page of a section."""

from __future__ import annotations

import pickle

from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.report.sections import Paragraph, Section
from ilf_kedro.tasks import Words, plain_task
from tests.support.report_inputs import FakeRun


def test_the_node_writes_its_section_under_its_title() -> None:
    section = Section("probe", "What was found", (Paragraph("Nothing at all of an output."),))
    node = page_node("probe", "Probe & more")
    task = plain_task().model_copy(update={"words": Words(output="program")})
    run = FakeRun(sizes=(8,)).run_record()
    (page,) = node.run({"section.probe": section, "run_record.so_far": run, "params:task": task}).values()
    assert node.outputs == ["page.probe"]
    assert "<title>Probe &amp; more</title>" in page
    body = page.split("<main>")[1]
    assert "<h1>What was found</h1>" in body
    assert body.count("What was found") == 1, "a page of one section has its heading once"
    assert "Nothing at all of a program." in page


def test_the_node_has_a_name_and_can_be_sent_to_another_process() -> None:
    node = page_node("probe", "Probe")
    assert node.name == "write_page"
    assert node.func.__name__ == "write_page"
    assert pickle.loads(pickle.dumps(node.func)).keywords == {"title": "Probe"}
