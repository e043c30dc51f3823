"""Where a page says that its numbers come from."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from kedro.pipeline.node import Node

from ilf_kedro.pipeline_registry import register_pipelines
from ilf_kedro.pipelines.finetune.section import describe_arms
from ilf_kedro.report import Figure, Section, Table, render_page
from ilf_kedro.report.sources import origins
from ilf_kedro.schemas.run_record import DatasetVersion, RunRecord
from tests.support.report_inputs import FakeRun

VERSION = "2026-11-30T10.00.00.000Z"


def record() -> RunRecord:
    loaded = (
        DatasetVersion(name="scores", version="2026-11-01T00.00.00.000Z", made_by="selection.collect_scores"),
        DatasetVersion(name="metrics", version="2026-11-01T00.00.00.000Z", made_by="an.older_node"),
    )
    made = (DatasetVersion(name="metrics", version=VERSION, made_by="probe.measure"),)
    return FakeRun(sizes=(8,)).run_record().model_copy(update={"loaded": loaded, "saved": made})


def test_what_the_run_made_counts_before_what_it_read() -> None:
    found = origins(record())(["scores", "metrics", "unknown"])
    assert [each.version for each in found] == ["2026-11-01T00.00.00.000Z", VERSION, None]
    assert [each.made_by for each in found] == ["selection.collect_scores", "probe.measure", None]


def test_each_table_and_figure_says_its_data_sets_their_versions_and_their_nodes() -> None:
    table = Table(pd.DataFrame({"a": [1]}), "A table.", sources=("metrics",))
    figure = Figure("drawn", go.Figure(), "A figure.", sources=("scores", "metrics"))
    page = render_page("x", [Section("s", "S", (table, figure))], record())
    of_table, of_figure = re.findall(r'<details class="origin" translate="no">(.*?)</details>', page, re.DOTALL)
    assert "<summary>From metrics</summary>" in of_table
    assert f"<code>metrics</code>, version {VERSION}, made by the node <code>probe.measure</code>" in of_table
    assert "<summary>From scores, metrics</summary>" in of_figure
    assert "made by the node <code>selection.collect_scores</code>" in of_figure


def describing_nodes() -> list[Node]:
    nodes = {node.name: node for each in register_pipelines().values() for node in each.nodes}
    return [node for node in nodes.values() if any(name.startswith("section.") for name in node.outputs)]


def test_the_sources_that_a_section_names_are_what_its_node_reads() -> None:
    checked = 0
    for node in describing_nodes():
        function = inspect.unwrap(node.func)
        package = Path(str(inspect.getsourcefile(function))).parent
        own = Path(str(inspect.getsourcefile(function))).read_text("utf-8")
        code = own if "sources=" in own else "\n".join(file.read_text("utf-8") for file in package.glob("*.py"))
        groups = re.findall(r"sources(?:: [^=]+ )?= ?\(([^)]*)\)", code)
        named = {name for group in groups for name in re.findall(r'"([^"]+)"', group)}
        if function is not describe_arms:  # the arms that it describes are not in the parameters of this environment
            assert named, node.name
            assert named <= set(node.inputs), node.name
            checked += 1
    assert checked >= 8
