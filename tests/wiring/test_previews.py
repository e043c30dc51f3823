"""What kedro-viz shows beside nodes: rendered prompts, and pictures of the flow."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.pipeline import Node, Pipeline
from kedro.pipeline.preview_contract import MermaidPreview, TextPreview

from ilf_kedro.wiring.previews import flow_chart
from tests.support.kedro_setup import set_up


@pytest.fixture
def registered(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Pipeline]]:
    monkeypatch.chdir(project_root)
    set_up(monkeypatch, users_layer="base")
    monkeypatch.setenv("ILF_KEDRO_LOCAL_ENV", "base")
    with KedroSession.create(project_root, env="test", save_on_close=False) as session:
        session.load_context()
        yield dict(pipelines)


def node_of(pipeline: Pipeline, name: str) -> Node:
    return next(node for node in pipeline.nodes if node.name == name)


def test_every_node_with_a_prompt_previews_it(registered: dict[str, Pipeline]) -> None:
    asking = [
        node
        for node in registered["full"].nodes
        if any(name.startswith("prompt.") or ".prompt." in name for name in node.inputs)
    ]
    assert len(asking) > 20
    of_each_prompt = {name: node for node in asking for name in node.inputs if "prompt." in name}
    assert len(of_each_prompt) > 10
    for node in of_each_prompt.values():
        shown = node.preview()
        assert isinstance(shown, TextPreview)
        assert re.match(r"(\w+\.)?prompt\.\w+, (example|no example)", shown.content), node.name


def test_a_preview_is_the_prompts_text_with_its_slots_filled(
    registered: dict[str, Pipeline], project_root: Path
) -> None:
    shown = node_of(registered["reporting"], "reporting.judge_models").preview()
    assert isinstance(shown, TextPreview)
    assert shown.content.startswith("prompt.judge, ")
    assert shown.content.rstrip().endswith("Answer:")
    assert "‹output_a›" in shown.content
    assert "{{ post }}" not in shown.content


def test_a_page_previews_the_flow_that_ends_in_it(registered: dict[str, Pipeline]) -> None:
    shown = node_of(registered["__default__"], "reporting.write_report").preview()
    assert isinstance(shown, MermaidPreview)
    boxes = dict(re.findall(r'^  (n\d+)\["(\w+)"\]$', shown.content, re.MULTILINE))
    assert sorted(boxes.values()) == sorted(
        ["data_prep", "refinement", "selection", "reward_model", "finetune", "reporting"]
    )
    arrows = {(boxes[a], boxes[b]): names for a, names, b in re.findall(r'(n\d+) -- "(.+)" --> (n\d+)', shown.content)}
    assert arrows["refinement", "selection"] == "refinements.all"
    assert ("reporting", "finetune") not in arrows
    rounds = node_of(registered["rounds"], "rounds.write_page").preview()
    assert isinstance(rounds, MermaidPreview)
    assert '["rounds.r1.continue"]' in rounds.content


def test_the_flow_of_three_nodes_drawn_by_hand() -> None:
    nodes = [
        Node(len, "raw", "x", name="a", namespace="one"),
        Node(len, "x", "y", name="b", namespace="one"),
        Node(lambda x, y: 0, ["x", "y"], "z", name="c", namespace="two.inner"),
    ]
    assert flow_chart(nodes) == 'flowchart TD\n  n0["one"]\n  n1["two"]\n  n0 -- "x, y" --> n1'


def test_nodes_with_previews_can_be_sent_to_another_process(registered: dict[str, Pipeline]) -> None:
    node = node_of(registered["reporting"], "reporting.judge_models")
    copied = pickle.loads(pickle.dumps(node))
    assert json.dumps(copied.preview().to_dict()) == json.dumps(node.preview().to_dict())  # type: ignore[union-attr]
