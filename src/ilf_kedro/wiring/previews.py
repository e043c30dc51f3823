"""What kedro-viz shows beside a node: a prompt as a language model gets it, or a pipeline's flow as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from kedro.framework.project import settings
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline
from kedro.pipeline.preview_contract import MermaidPreview, TextPreview
from kedro.utils import KedroExperimentalWarning

from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import text_or_empty
from ilf_kedro.wiring.config_loader import LayeredConfigLoader

__all__ = ["FlowPreview", "PromptPreview", "with_previews"]

_PROMPT = "prompt."
_PAGES = ("page.", "report")


@dataclass(frozen=True, slots=True)
class PromptPreview:
    """Renders a node's first prompt, with the first example that data_prep made; slots that it lacks keep their names.

    The catalog is read when the preview is asked for, from the configuration of the session that built the pipeline.
    """

    prompt: str
    conf_source: str
    env: str | None

    def __call__(self) -> TextPreview:
        """Return the rendered prompt, and what it was filled with."""
        arguments: dict[str, Any] = settings.CONFIG_LOADER_ARGS
        config = LayeredConfigLoader(self.conf_source, self.env, **arguments)
        catalog = DataCatalog.from_config(config["catalog"])
        template: PromptTemplate = catalog.load(self.prompt)
        try:
            examples: pd.DataFrame = catalog.load("examples.train")
        except DatasetError:
            examples = pd.DataFrame()
        row: Mapping[Hashable, object] = {} if examples.empty else examples.iloc[0].to_dict()
        values = {slot: text_or_empty(row.get(slot)) or f"‹{slot}›" for slot in template.slots}
        filled = f"example {row['example_id']}" if row else "no example yet: run data_prep"
        return TextPreview(f"{self.prompt}, {filled}\n\n{template.render(**values).text}")


@dataclass(frozen=True, slots=True)
class FlowPreview:
    """Shows the flow of a whole pipeline as a Mermaid flowchart."""

    chart: str

    def __call__(self) -> MermaidPreview:
        """Return the chart."""
        return MermaidPreview(self.chart)


def with_previews(pipelines: Mapping[str, Pipeline], conf_source: str, env: str | None) -> dict[str, Pipeline]:
    """Return the pipelines with previews: of a prompt for nodes that have one, of the flow for those that write a page.

    A pipeline under two names stays one.
    """
    each = {id(pipeline): pipeline for pipeline in pipelines.values()}
    made = {key: _with_previews(pipeline, conf_source, env) for key, pipeline in each.items()}
    return {name: made[id(pipeline)] for name, pipeline in pipelines.items()}


def _with_previews(pipeline: Pipeline, conf_source: str, env: str | None) -> Pipeline:
    chart = ""
    nodes = []
    for node in pipeline.nodes:
        prompts = [name for name in node.inputs if name.startswith(_PROMPT) or f".{_PROMPT}" in name]
        preview: Callable[[], TextPreview | MermaidPreview] | None = None
        if prompts:
            preview = PromptPreview(prompts[0], conf_source, env)
        elif any(name.startswith(_PAGES) for name in node.outputs):
            chart = chart or flow_chart(pipeline.nodes)
            preview = FlowPreview(chart)
        nodes.append(node if preview is None else _previewed(node, preview))
    return Pipeline(nodes)


def _previewed(node: Node, preview: Callable[[], TextPreview | MermaidPreview]) -> Node:
    with warnings.catch_warnings():
        # Kedro may yet change previews; that concerns this file, and no user.
        warnings.simplefilter("ignore", KedroExperimentalWarning)
        return node._copy(preview_fn=preview)  # noqa: SLF001  # Kedro has no public way to copy a node


def flow_chart(nodes: Sequence[Node]) -> str:
    """Return a Mermaid flowchart: a box for each namespace, an arrow for the data sets that pass from one to another.

    Where all nodes stand in one outermost namespace, the inner ones are shown.
    """
    namespaces = {node.name: str(node.namespace) for node in nodes}
    outermost = {name: namespace.split(".")[0] for name, namespace in namespaces.items()}
    groups = namespaces if len(set(outermost.values())) == 1 else outermost
    made_in = {output: groups[node.name] for node in nodes for output in node.outputs}
    passing: dict[tuple[str, str], list[str]] = {}
    for node in nodes:
        for name in node.inputs:
            if name in made_in and made_in[name] != groups[node.name]:
                names = passing.setdefault((made_in[name], groups[node.name]), [])
                names.extend([name] if name not in names else [])
    boxes = {group: f"n{number}" for number, group in enumerate(dict.fromkeys(groups.values()))}
    lines = [f'  {box}["{group}"]' for group, box in boxes.items()]
    lines += [
        f'  {boxes[source]} -- "{_some(names)}" --> {boxes[target]}' for (source, target), names in passing.items()
    ]
    return "\n".join(["flowchart TD", *lines])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"
