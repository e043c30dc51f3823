"""The pipeline reporting: outputs → rewards, verdicts → metrics → figures → one HTML report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.names import Chooser
from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.pipelines.reporting import best_of_n, nodes, pass_rates
from ilf_kedro.pipelines.reward_model.inputs import REWARD_MODEL_INPUTS
from ilf_kedro.report.labels import BEST_OF_N
from ilf_kedro.schemas.names import BASE_MODEL
from ilf_kedro.tasks import Task, plain_task

VerifiedTexts = Literal["refinements", "outputs"]
Inputs = str | list[str] | dict[str, str]


def create_pipeline(
    models: Sequence[str],
    sections: Sequence[str] = (),
    task: Task | None = None,
    *,
    verified: Collection[VerifiedTexts] = (),
    judged: bool = True,
    chooser: Chooser | None = "reward_model",
) -> Pipeline:
    """Create the nodes that measure, judge and report `models`, named such as finetune.refinements.n100.

    `sections` are the further analyses whose section.{name} the report holds as well.
    `verified` says of which texts there are pass rates, `judged` whether a judge compares outputs with references,
    `chooser` what chose the best of N.
    Best-of-N has outputs only: its likelihoods are its sampler's, and it was never trained. Nothing is measured that
    the task's data lack.
    """
    task = task or plain_task()
    has_references = task.has_test and task.has_references
    judged = judged and has_references
    measured = [model for model in models if model != BEST_OF_N]
    trained = [
        *(["reward_model"] if task.has_comparisons else []),
        *(model for model in measured if model != BASE_MODEL),
    ]
    logs = {model: f"{model}.training_log" for model in trained}
    outputs = [f"{model}.outputs" for model in models]
    likelihoods = [f"{model}.log_likelihoods" for model in measured]
    collecting = [
        *([_node(nodes.collect_outputs, outputs, "outputs")] if task.has_test else []),
        *([_node(nodes.collect_log_likelihoods, likelihoods, "log_likelihoods")] if has_references else []),
        *([_node(nodes.collect_training_logs, logs, "training_logs")] if trained else []),
        *(_best_of_n_nodes(chooser) if BEST_OF_N in models and chooser else []),
    ]
    reporting = [
        *(_measuring_nodes(task, judged) if task.has_test else []),
        *(_refinement_nodes() if task.has_feedback else []),
        *([_node(nodes.draw_training_loss, "training_logs", "figure.training_loss", tags="figure")] if trained else []),
        *(_pass_rate_nodes(verified, BEST_OF_N in models and chooser == "verifier") if verified else []),
        _report_node(
            ["best_of_n", *sections] if BEST_OF_N in models else sections,
            task,
            judged=judged,
            has_trainings=bool(trained),
            has_pass_rates=bool(verified),
        ),
    ]
    # What reads a table per model, or a table that nothing else reads, stands beside what makes it: one table comes
    # out, and kedro-viz folds the others away.
    return (
        _in_namespace("finetune", collecting)
        + _in_namespace("reward_model", [_reward_model_figure_node()] if task.has_comparisons else [])
        + _in_namespace("reporting", reporting)
    )


def _in_namespace(name: str, members: Sequence[Node]) -> Pipeline:
    return Pipeline(members, namespace=name, prefix_datasets_with_namespace=False, tags="reporting")


def _node(function: Callable[..., Any], inputs: Inputs, outputs: str | list[str], tags: str | None = None) -> Node:
    """Create a node under its function's name."""
    return Node(function, inputs, outputs, name=function.__name__, tags=tags)


def _measuring_nodes(task: Task, judged: bool) -> list[Node]:
    """Create the nodes from the outputs of test inputs to the metrics of models, and their figure."""
    inputs = [*REWARD_MODEL_INPUTS, "examples.test", "outputs"]
    rewarding = [_node(nodes.score_rewards, inputs, "rewards", tags="language_model")]
    asked = ["judge", "prompt.judge", "examples.test", "outputs", "params:reporting"]
    judging = [
        _node(nodes.judge_models, asked, "verdicts", tags="language_model"),
        _node(nodes.count_wins, ["verdicts", "params:reporting"], ["outcomes", "win_rates", "judge_agreement"]),
    ]
    measured = {
        "examples": "examples.test",
        "outputs": "outputs",
        "base_model": "base_model",
        "options": "params:reporting",
        "seed": "params:seed",
        "task": "params:task",
        **({"log_likelihoods": "log_likelihoods"} if task.has_references else {}),
        **({"outcomes": "outcomes"} if judged else {}),
        **({"rewards": "rewards"} if task.has_comparisons else {}),
    }
    drawn = ["model_metrics", "params:reporting", "params:finetune"]
    return [
        *(rewarding if task.has_comparisons else []),
        *(judging if judged else []),
        _node(nodes.measure_models, measured, "model_metrics"),
        _node(nodes.draw_scaling, drawn, "figure.scaling", tags="figure"),
    ]


def _pass_rate_nodes(verified: Collection[VerifiedTexts], of_candidates: bool) -> list[Node]:
    """Create the nodes from what the verifier says, also `of_candidates` of best-of-N, to the section on pass rates."""
    inputs = {"selection": "params:selection", "options": "params:reporting", "seed": "params:seed"}
    verifying = []
    if "refinements" in verified:
        inputs |= {"scores": "scores", "selections": "selections"}
    if "outputs" in verified:
        inputs |= {"verified": "verified"}
        asked = ["examples.test", "outputs", "params:selection", "params:task"]
        verifying.append(_node(pass_rates.verify_outputs, asked, "verified"))
    if of_candidates:
        inputs |= {"candidates": f"{BEST_OF_N}.rewards"}
    return [
        *verifying,
        _node(pass_rates.measure_pass_rates, inputs, "pass_rates"),
        _node(
            pass_rates.describe_pass_rates,
            ["pass_rates", "params:reporting", "params:finetune"],
            "section.pass_rates",
        ),
    ]


def _best_of_n_nodes(chooser: Chooser) -> list[Node]:
    made = [f"{BEST_OF_N}.candidates", f"{BEST_OF_N}.rewards"]
    return [
        _node(
            best_of_n.measure_best_of_n,
            [*made, "examples.test", "params:reporting", "params:seed"],
            "best_of_n",
        ),
        Node(
            bind(best_of_n.describe_best_of_n, chooser=chooser),
            ["best_of_n", "params:reporting"],
            "section.best_of_n",
            name="describe_best_of_n",
        ),
    ]


def _refinement_nodes() -> list[Node]:
    """Create the nodes that compare refinement methods and scorers, and their figures."""
    return [
        _node(
            nodes.compare_refinements,
            ["scores", "selections", "params:reporting", "params:seed"],
            ["refinement_metrics", "scorer_agreement"],
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
    ]


def _reward_model_figure_node() -> Node:
    return _node(
        nodes.draw_reward_model,
        ["reward_model.accuracy", "reward_model.reliability", "reward_model.breakdown"],
        "figure.reward_model",
        tags="figure",
    )


def _report_node(
    sections: Sequence[str], task: Task, *, judged: bool, has_trainings: bool, has_pass_rates: bool
) -> Node:
    inputs = {
        "text_statistics": "text_statistics",
        "rejected_rows": "rejected_rows",
        "offered": "offer",
        "train": "examples.train",
        "test": "examples.test",
        "published": "published_results",
        "run_record": "run_record.so_far",
        "task": "params:task",
        "options": "params:reporting",
        "selection": "params:selection",
        "finetune": "params:finetune",
    }
    if task.has_test:
        inputs |= {"outputs": "outputs", "metrics": "model_metrics", "scaling": "figure.scaling"}
    if judged:
        inputs |= {"outcomes": "outcomes", "agreement": "judge_agreement"}
    if task.has_test and task.has_comparisons:
        inputs |= {"rewards": "rewards"}
    if task.has_comparisons:
        inputs |= {"accuracy": "reward_model.accuracy", "reward_model": "figure.reward_model"}
    if task.has_feedback:
        inputs |= {name: name for name in ("scores", "selections")}
        inputs |= {"refinements": "refinements.all", "compared": "refinement_metrics"}
        inputs |= {name: f"figure.{name}" for name in ("refinement_methods", "scorers")}
    if has_pass_rates:
        inputs |= {"pass_rates": "section.pass_rates"}
    if has_trainings:
        inputs |= {"training_logs": "training_logs", "training_loss": "figure.training_loss"}
    return _node(nodes.write_report, inputs | {f"section_{name}": f"section.{name}" for name in sections}, "report")
