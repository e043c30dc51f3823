"""`kedro ilf-forecast`: what a run would ask of servers, all its parts together, found out without asking anything.

The nodes that lead to questions are run in memory, with models that answer from the cache or make something up.
Finished trainings are found, others left out, and nothing is saved. Texts that are made up are as long as they may
become, so that the price is an upper estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.local.dry_run import DryLocalModel
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.made_up import MadeUpLanguageModel
from ilf_kedro.language_models.openai.cost_tracker import Usage
from ilf_kedro.language_models.openai.dry_run import DryApiModel
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.protocol import Model
from ilf_kedro.training.finished import FinishedTrainings, without_weights
from ilf_kedro.training.workspace import TrainingWorkspace

__all__ = ["RunForecast", "forecast_run"]


@dataclass
class RunForecast:
    """The models that a run would ask, by their names in the catalog, and the nodes that could not be tried."""

    models: dict[str, DryApiModel] = field(default_factory=dict)
    untried: dict[str, str] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield what to print: one line per model, the sum, and what the figures leave out."""
        asked = {name: model for name, model in self.models.items() if model.needs.requests or model.needs.cached}
        for name, model in asked.items():
            own = model.needs
            described = _described(own.requests, own.usage, own.usd, [model])
            yield f"{name} ({model.name}): {described}; {own.cached:,} answers are in the cache"
        if not asked:
            yield "No server is asked anything."
            return
        needs = [model.needs for model in asked.values()]
        usage = sum((each.usage for each in needs), Usage())
        usd = None if any(each.usd is None for each in needs) else sum(each.usd or 0 for each in needs)
        yield f"In all: {_described(sum(each.requests for each in needs), usage, usd, list(asked.values()))}"
        yield from _warnings(asked, usd)
        if self.untried:
            yield "Not counted, because it depends on what is not made up here:"
            yield from (f"  {node}: {reason}" for node, reason in self.untried.items())
        yield "Samples that are drawn once more for degenerate ones, and failed attempts, come on top."


def forecast_run(pipeline: Pipeline, load: Callable[[str], Any]) -> RunForecast:
    """Run what leads to questions with models that ask nobody; `load` gives a data set of the catalog by its name."""
    forecast = RunForecast()
    data: dict[str, Any] = {}
    lacking: dict[str, str] = {}  # data sets that are not there, or that no node could make, and why
    for name in sorted(pipeline.inputs()):
        try:
            data[name] = _stand_in(name, load(name), forecast)
        except Exception as error:  # noqa: BLE001  # whatever keeps a data set from being loaded
            lacking[name] = f"{name}: {_first_line(error)}"
    asking = [node.name for node in pipeline.nodes if forecast.models.keys() & set(node.inputs)]
    for node in pipeline.to_nodes(*asking).nodes if asking else ():
        reason = next((lacking[name] for name in node.inputs if name in lacking), None)
        if reason is None:
            try:
                data |= _made_by(node, data)
                continue
            except Exception as error:  # noqa: BLE001  # whatever a node cannot do with what is made up
                reason = f"{node.name}: {_first_line(error)}"
        lacking |= dict.fromkeys(node.outputs, reason)
        if node.name in asking:
            asked = ", ".join(name for name in node.inputs if name in forecast.models)
            forecast.untried[node.name] = f"asks {asked}, and lacks what it would ask about ({reason[:160]})"
    return forecast


def _made_by(node: Node, data: Mapping[str, Any]) -> dict[str, Any]:
    """Run a node; one that trains a trained model further, which would write its merged weights, gives a stand-in."""
    inputs = {name: data[name] for name in node.inputs}
    returned = get_type_hints(getattr(node.func, "func", node.func)).get("return")
    trains = returned is Checkpoint or Checkpoint in get_args(returned)
    if trains and any(isinstance(value, Checkpoint) for value in inputs.values()):
        stand_in = without_weights(Path(), node.name)
        return {name: stand_in if name.endswith("checkpoint") else None for name in node.outputs}
    made: dict[str, Any] = node.run(inputs)
    return made


def _stand_in(name: str, value: object, forecast: RunForecast) -> object:
    """Return what a node gets in place of what the catalog holds: what asks and computes nothing, else the thing."""
    if isinstance(value, OpenAICompatibleLanguageModel):
        return forecast.models.setdefault(name, DryApiModel(value))
    if isinstance(value, LocalLanguageModel):
        return DryLocalModel(value)
    if isinstance(value, TrainingWorkspace):
        return FinishedTrainings(value.directory)
    return MadeUpLanguageModel(value.name) if isinstance(value, Model) else value


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _described(requests: int, usage: Usage, usd: float | None, models: Sequence[DryApiModel]) -> str:
    return (
        f"{requests:,} requests, about {usage.input_tokens:,} tokens in and at most {usage.output_tokens:,} out, "
        f"{_price(usd)}, {_time(models)}"
    )


def _price(usd: float | None) -> str:
    return "price unknown (`prices`)" if usd is None else f"at most about ${usd:.4f}"


def _time(models: Sequence[DryApiModel]) -> str:
    """Say how long the limits per minute make it at least; models of one server share its limits."""
    if any(model.options.send == "batch" for model in models):
        return "within a day or so (send: batch)"
    minutes: dict[str, float] = {}
    for model in models:
        options, needs = model.options, model.needs
        tokens = needs.usage.input_tokens + needs.usage.output_tokens
        own = max(
            needs.requests / options.requests_per_minute if options.requests_per_minute else 0.0,
            tokens / options.tokens_per_minute if options.tokens_per_minute else 0.0,
        )
        minutes[options.base_url] = minutes.get(options.base_url, 0.0) + own
    longest = max(minutes.values(), default=0.0)
    return f"at least {longest:,.1f} minutes at its limits" if longest else "no limits per minute are set"


def _warnings(asked: Mapping[str, DryApiModel], usd: float | None) -> Iterator[str]:
    budgets = {model.options.budget for model in asked.values()} - {None}
    for budget in sorted(each for each in budgets if each is not None):
        if usd is not None and usd > budget:
            yield f"The budget of ${budget:.2f} may stop the run before its end; what arrived by then is kept."
