"""The pipeline reporting: outputs → rewards, verdicts → metrics → figures → one HTML report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.reporting import best_of_n, nodes
from ilf_kedro.pipelines.reward_model.inputs import REWARD_MODEL_INPUTS
from ilf_kedro.report.labels import BEST_OF_N

BASE = "finetune.base"

Inputs = str | list[str] | dict[str, str]


def create_pipeline(models: Sequence[str], sections: Sequence[str] = (), *, rewarded: bool = True) -> Pipeline:
    """Create the nodes that measure, judge and report `models`, named such as finetune.refinements.n100.

    `sections` are the further analyses whose section.{name} the report holds as well.
    Best-of-N has outputs only: its likelihoods are its sampler's, and it was never trained. Without comparisons
    (`rewarded` is false) nothing is about a reward model.
    """
    measured = [model for model in models if model != BEST_OF_N]
    trained = [*(["reward_model"] if rewarded else []), *(model for model in measured if model != BASE)]
    collecting = [
        _node(nodes.collect_outputs, [f"{model}.outputs" for model in models], "outputs"),
        _node(nodes.collect_log_likelihoods, [f"{model}.log_likelihoods" for model in measured], "log_likelihoods"),
        _node(nodes.collect_training_logs, {model: f"{model}.training_log" for model in trained}, "training_logs"),
        *(_best_of_n_nodes() if BEST_OF_N in models else []),
    ]
    reporting = [
        *_measuring_nodes(rewarded=rewarded),
        *_figure_nodes(),
        _report_node(["best_of_n", *sections] if BEST_OF_N in models else sections, rewarded=rewarded),
    ]
    # What reads a table per model, or a table that nothing else reads, stands beside what makes it: one table comes
    # out, and kedro-viz folds the others away.
    return (
        _in_namespace("finetune", collecting)
        + _in_namespace("reward_model", [_reward_model_figure_node()] if rewarded else [])
        + _in_namespace("reporting", reporting)
    )


def _in_namespace(name: str, members: Sequence[Node]) -> Pipeline:
    return Pipeline(members, namespace=name, prefix_datasets_with_namespace=False, tags="reporting")


def _node(function: Callable[..., Any], inputs: Inputs, outputs: str | list[str], tags: str | None = None) -> Node:
    """Create a node under its function's name."""
    return Node(function, inputs, outputs, name=function.__name__, tags=tags)


def _measuring_nodes(*, rewarded: bool) -> list[Node]:
    inputs = [*REWARD_MODEL_INPUTS, "examples.test", "outputs"]
    rewarding = [_node(nodes.score_rewards, inputs, "rewards", tags="language_model")] if rewarded else []
    return [
        *rewarding,
        _node(
            nodes.judge_models,
            ["judge", "prompt.judge", "examples.test", "outputs", "params:reporting"],
            "verdicts",
            tags="language_model",
        ),
        _node(
            nodes.count_wins,
            ["verdicts", "params:reporting"],
            ["outcomes", "win_rates", "judge_agreement"],
        ),
        _node(
            nodes.measure_models,
            {
                "examples": "examples.test",
                "outputs": "outputs",
                "log_likelihoods": "log_likelihoods",
                "outcomes": "outcomes",
                "base_model": "base_model",
                "options": "params:reporting",
                "seed": "params:seed",
                **({"rewards": "rewards"} if rewarded else {}),
            },
            "model_metrics",
        ),
        _node(
            nodes.compare_refinements,
            ["scores", "selections", "params:reporting", "params:seed"],
            ["refinement_metrics", "scorer_agreement"],
        ),
    ]


def _best_of_n_nodes() -> list[Node]:
    made = [f"{BEST_OF_N}.candidates", f"{BEST_OF_N}.rewards"]
    return [
        _node(
            best_of_n.measure_best_of_n,
            [*made, "examples.test", "params:reporting", "params:seed"],
            "best_of_n",
        ),
        _node(best_of_n.describe_best_of_n, ["best_of_n", "params:reporting"], "section.best_of_n"),
    ]


def _figure_nodes() -> list[Node]:
    return [
        _node(
            nodes.draw_scaling,
            ["model_metrics", "params:reporting", "params:finetune"],
            "figure.scaling",
            tags="figure",
        ),
        _node(
            nodes.draw_refinement_methods,
            ["refinement_metrics", "params:reporting"],
            "figure.refinement_methods",
            tags="figure",
        ),
        _node(
            nodes.draw_scorers,
            ["refinement_metrics", "scorer_agreement", "params:reporting"],
            "figure.scorers",
            tags="figure",
        ),
        _node(nodes.draw_training_loss, "training_logs", "figure.training_loss", tags="figure"),
    ]


def _reward_model_figure_node() -> Node:
    return _node(
        nodes.draw_reward_model,
        ["reward_model.accuracy", "reward_model.reliability", "reward_model.breakdown"],
        "figure.reward_model",
        tags="figure",
    )


def _report_node(sections: Sequence[str], *, rewarded: bool) -> Node:
    figures = ("scaling", "refinement_methods", "scorers", "training_loss")
    of_rewards = {"rewards": "rewards", "accuracy": "reward_model.accuracy", "reward_model": "figure.reward_model"}
    tables = (
        "text_statistics",
        "rejected_rows",
        "scores",
        "selections",
        "outputs",
        "outcomes",
        "training_logs",
    )
    return _node(
        nodes.write_report,
        {
            **{table: table for table in tables},
            **{figure: f"figure.{figure}" for figure in figures},
            "train": "examples.train",
            "test": "examples.test",
            "refinements": "refinements.all",
            "agreement": "judge_agreement",
            "metrics": "model_metrics",
            "compared": "refinement_metrics",
            "published": "published_results",
            "run_record": "run_record.so_far",
            "options": "params:reporting",
            "selection": "params:selection",
            "finetune": "params:finetune",
            **(of_rewards if rewarded else {}),
            **{f"section_{name}": f"section.{name}" for name in sections},
        },
        "report",
    )
