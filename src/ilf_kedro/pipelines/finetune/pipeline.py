"""The pipeline finetune: one namespace per arm and train size, such as finetune.refinements.n100."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.finetune import nodes
from ilf_kedro.pipelines.finetune.targets import target_refinements, target_texts

ARM_COLUMNS = {"human_summaries": "human_summary", "initial_summaries": "initial_summary"}
_SHARED = {"base_model", "examples.train", "examples.test", "subsets", "selections", "prompt.summary"}
_SHARED |= {"prompt.reward_model", "training_workspace"}
_PARAMETERS = {"params:finetune", "params:selection", "params:seed"}


def create_pipeline(arms: Sequence[str], train_sizes: Sequence[int]) -> Pipeline:
    """Create the base model's measurements, one namespace per arm and size, and best-of-N."""
    pipelines = [_measure_base()]
    pipelines += [_finetune(arm, size) for arm in arms for size in train_sizes]
    if "refinements" in arms:
        pipelines.append(_best_of_n(f"finetune.refinements.n{max(train_sizes)}"))
    return sum(pipelines, Pipeline([]))


def model_names(arms: Sequence[str], train_sizes: Sequence[int]) -> tuple[str, ...]:
    """Return the names of all models that the pipeline samples from, the base model first."""
    names = ["finetune.base", *(f"finetune.{arm}.n{size}" for arm in arms for size in train_sizes)]
    return (*names, "finetune.best_of_n") if "refinements" in arms else tuple(names)


def _finetune(arm: str, train_size: int) -> Pipeline:
    """Create targets → checkpoint → summaries and log-likelihoods of one arm at one size."""
    name = f"finetune.{arm}.n{train_size}"
    asked = ["base_model", "checkpoint", "examples.test", "prompt.summary"]
    return _namespaced(
        name,
        [
            _target_node(arm, train_size),
            Node(
                _bind(nodes.finetune, train_size=train_size, label=name),
                ["base_model", "targets", "prompt.summary", "params:finetune", "params:seed", "training_workspace"],
                ["checkpoint", "training_log"],
                name="train",
                tags="training",
            ),
            Node(
                _bind(nodes.sample_summaries, model_name=name),
                [*asked, "params:finetune", "params:seed"],
                "summaries",
                name="sample_summaries",
                tags="language_model",
            ),
            Node(
                _bind(nodes.log_likelihoods, model_name=name),
                asked,
                "log_likelihoods",
                name="measure_log_likelihoods",
                tags="language_model",
            ),
        ],
    )


def _target_node(arm: str, train_size: int) -> Node:
    if arm == "refinements":
        inputs = ["examples.train", "subsets", "selections", "params:selection"]
        return Node(_bind(target_refinements, train_size=train_size), inputs, "targets", name="choose_targets")
    bound = _bind(target_texts, column=ARM_COLUMNS[arm], train_size=train_size)
    return Node(bound, ["examples.train", "subsets"], "targets", name="choose_targets")


def _measure_base() -> Pipeline:
    name = "finetune.base"
    return _namespaced(
        name,
        [
            Node(
                _bind(nodes.sample_base_summaries, model_name=name),
                ["base_model", "examples.test", "prompt.summary", "params:finetune", "params:seed"],
                "summaries",
                name="sample_summaries",
                tags="language_model",
            ),
            Node(
                _bind(nodes.base_log_likelihoods, model_name=name),
                ["base_model", "examples.test", "prompt.summary"],
                "log_likelihoods",
                name="measure_log_likelihoods",
                tags="language_model",
            ),
        ],
    )


def _best_of_n(sampler: str) -> Pipeline:
    """Create best-of-N: sample from `sampler`, score by the reward model, keep the best."""
    name = "finetune.best_of_n"
    checkpoint = f"{sampler}.checkpoint"
    inputs = ["base_model", checkpoint, "examples.test", "prompt.summary", "params:finetune", "params:seed"]
    return _namespaced(
        name,
        [
            Node(
                _bind(nodes.sample_summaries, model_name=name, candidates=True),
                inputs,
                "candidates",
                name="sample_candidates",
                tags="language_model",
            ),
            Node(
                nodes.reward_candidates,
                ["reward_base_model", "reward_model.checkpoint", "candidates", "examples.test", "prompt.reward_model"],
                "rewards",
                name="reward_candidates",
                tags="language_model",
            ),
            Node(nodes.choose_best, ["candidates", "rewards"], "summaries", name="choose_best"),
        ],
        shared={checkpoint, "reward_base_model", "reward_model.checkpoint"},
    )


def _namespaced(name: str, members: list[Node], shared: set[str] | None = None) -> Pipeline:
    """Put the nodes into the namespace, all but the shared data sets with them."""
    pipeline = Pipeline(members)
    free = pipeline.inputs()
    return Pipeline(
        pipeline,
        namespace=name,
        inputs=free & (_SHARED | (shared or set())),
        parameters=free & _PARAMETERS,
        tags="finetune",
    )


def _bind(function: Callable[..., Any], **constants: object) -> Callable[..., Any]:
    """Bind what distinguishes one namespace's node from another's, keeping the function's name."""
    return update_wrapper(partial(function, **constants), function)
