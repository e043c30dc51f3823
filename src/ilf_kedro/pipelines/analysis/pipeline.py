"""The pipeline analysis: one namespace per finetuned model, such as analysis.refinements.n100."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.analysis import nodes, targets
from ilf_kedro.pipelines.analysis.estimates import estimate_divergences, estimate_likelihoods
from ilf_kedro.pipelines.analysis.section import describe_analysis, write_page

_TEMPLATES = tuple(f"prompt.instruct_rm_{number}" for number in range(1, 6))


def create_pipeline(arms: Sequence[str], train_sizes: Sequence[int], split: str) -> Pipeline:
    """Create held-out targets, each model's measurements, their estimates, and the section that shows them.

    `arms` are those whose models answer the prompt of the base model's summaries; `split` is where their
    held-out targets come from.
    """
    models = [(arm, size) for arm in arms for size in train_sizes]
    return sum(
        [
            _held_out_targets(arms, split),
            _measure_base(arms, models, split),
            *(_measure(arm, size, split) for arm, size in models),
            _estimates([f"{arm}.n{size}" for arm, size in models]),
        ],
        Pipeline([]),
    )


def _held_out_targets(arms: Sequence[str], split: str) -> Pipeline:
    """Create the targets of every arm; refinements are made and chosen as they were for training."""
    examples = f"examples.{split}"
    collect = _bind(targets.collect_targets, arms=tuple(arms), split=split)
    inputs = {"examples": examples}
    members = []
    if "refinements" in arms:
        inputs["selections"] = "analysis.selections"
        members = [
            Node(
                targets.refine_held_out,
                [examples, "refiner", f"prompt.{targets.METHOD}", "params:refinement", "params:seed"],
                "analysis.refinements",
                name="refine_held_out",
                tags="language_model",
            ),
            Node(
                targets.select_held_out,
                [
                    "analysis.refinements",
                    examples,
                    "base_model",
                    "instruct_rm",
                    "params:selection",
                    "params:seed",
                    *_TEMPLATES,
                ],
                "analysis.selections",
                name="select_held_out",
                tags="language_model",
            ),
        ]
    outputs = ["analysis.targets", "analysis.missing_targets"]
    return _in_namespace("analysis", [*members, Node(collect, inputs, outputs, name="collect_targets")])


def _measure_base(arms: Sequence[str], models: Sequence[tuple[str, int]], split: str) -> Pipeline:
    train_targets = {f"{arm}.n{size}": f"finetune.{arm}.n{size}.targets" for arm, size in models}
    node = Node(
        _bind(nodes.measure_base_targets, arms=tuple(arms), split=split),
        {
            "base_model": "base_model",
            "targets": "analysis.targets",
            "template": "prompt.summary",
            **train_targets,
        },
        "analysis.base.target_log_likelihoods",
        name="measure_targets",
        tags="language_model",
    )
    return _in_namespace("analysis.base", [node])


def _measure(arm: str, train_size: int, split: str) -> Pipeline:
    """Create the measurements of one finetuned model."""
    name, model = f"analysis.{arm}.n{train_size}", f"finetune.{arm}.n{train_size}"
    asked = ["base_model", f"{model}.checkpoint"]
    return _in_namespace(
        name,
        [
            Node(
                _bind(nodes.measure_targets, model_name=model, arm=arm, split=split),
                [*asked, "analysis.targets", "prompt.summary"],
                f"{name}.target_log_likelihoods",
                name="measure_targets",
                tags="language_model",
            ),
            Node(
                _bind(nodes.measure_divergences, model_name=model),
                [*asked, "examples.test", "prompt.summary", "params:analysis", "params:seed"],
                f"{name}.divergence_samples",
                name="measure_divergences",
                tags="language_model",
            ),
        ],
    )


def _estimates(models: Sequence[str]) -> Pipeline:
    likelihoods = ["analysis.base", *(f"analysis.{model}" for model in models)]
    return _in_namespace(
        "analysis",
        [
            Node(
                estimate_likelihoods,
                ["params:reporting", "params:seed", *(f"{name}.target_log_likelihoods" for name in likelihoods)],
                "analysis.target_likelihoods",
                name="estimate_likelihoods",
            ),
            Node(
                estimate_divergences,
                ["params:reporting", "params:seed", *(f"analysis.{model}.divergence_samples" for model in models)],
                "analysis.divergences",
                name="estimate_divergences",
            ),
            Node(
                describe_analysis,
                [
                    "analysis.target_likelihoods",
                    "analysis.missing_targets",
                    "analysis.divergences",
                    "published_results",
                    "params:analysis",
                    "params:reporting",
                ],
                "section.analysis",
                name="describe_analysis",
            ),
            Node(write_page, "section.analysis", "page.analysis", name="write_page"),
        ],
    )


def _in_namespace(name: str, members: list[Node]) -> Pipeline:
    return Pipeline(members, namespace=name, prefix_datasets_with_namespace=False, tags="analysis")


def _bind(function: Callable[..., Any], **constants: object) -> Callable[..., Any]:
    """Bind what distinguishes one namespace's node from another's, keeping the function's name."""
    return update_wrapper(partial(function, **constants), function)
