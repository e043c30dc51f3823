"""The pipeline finetune: one namespace per arm and train size, such as finetune.refinements.n100."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.finetune import best_of_n, joint, nodes, refiners, section
from ilf_kedro.pipelines.finetune.arms import (
    ARMS,
    BEST_OF_N_OUTPUTS,
    JOINT,
    REFINEMENT_MODEL,
    RefinementSource,
    summarising,
    target_nodes,
)
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.pipelines.namespaces import bind, namespaced
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.refine_and_select import refine_with_checkpoint
from ilf_kedro.pipelines.refinement.nodes import refine_all
from ilf_kedro.pipelines.reward_model.inputs import REWARD_MODEL_INPUTS
from ilf_kedro.pipelines.selection.scorers import scorer_nodes


def create_pipeline(
    arms: Sequence[Arm],
    train_sizes: Sequence[int],
    source: RefinementSource | None = None,
    best_of_n_from: str | None = None,
    *,
    rewarded: bool = True,
) -> Pipeline:
    """Create the base model's measurements, one namespace per arm and size, and best-of-N if it is `rewarded`.

    `source` says where the refinements arm gets its refinements, `best_of_n_from` which model best-of-N samples
    from; null means that of the most refinements.
    """
    source = source or RefinementSource()
    pipelines = [_measure_base()]
    if BEST_OF_N_OUTPUTS in arms:
        pipelines.append(_best_of_n_outputs())
    needed = [*arms]
    if source.by_refinement_model and "refinements" in arms and REFINEMENT_MODEL not in arms:
        needed.append(REFINEMENT_MODEL)
    pipelines += [_finetune(arm, size, source) for arm in needed for size in train_sizes]
    if REFINEMENT_MODEL in needed:
        pipelines.append(_compare_refiners(train_sizes))
    if sections(arms, source):
        pipelines.append(_describe_arms(arms, train_sizes, REFINEMENT_MODEL in needed))
    if rewarded and (sampler := best_of_n_from or _default_sampler(arms, train_sizes)):
        pipelines.append(_best_of_n(sampler))
    return sum(pipelines, Pipeline([]))


def model_names(
    arms: Sequence[Arm], train_sizes: Sequence[int], best_of_n_from: str | None = None, *, rewarded: bool = True
) -> tuple[str, ...]:
    """Return the names of all models that the pipeline samples outputs from, the base model first."""
    names = ["finetune.base", *(f"finetune.{arm}.n{size}" for arm in summarising(arms) for size in train_sizes)]
    has_best_of_n = rewarded and (best_of_n_from or _default_sampler(arms, train_sizes))
    return (*names, "finetune.best_of_n") if has_best_of_n else tuple(names)


def _default_sampler(arms: Sequence[Arm], train_sizes: Sequence[int]) -> str | None:
    return f"finetune.refinements.n{max(train_sizes)}" if "refinements" in arms else None


def sections(arms: Sequence[Arm], source: RefinementSource | None = None) -> tuple[str, ...]:
    """Return the names of the sections that the pipeline adds to the report of `full`."""
    by_model = source is not None and source.by_refinement_model and "refinements" in arms
    return ("arms",) if by_model or {JOINT, REFINEMENT_MODEL} & set(arms) else ()


def _finetune(arm: Arm, train_size: int, source: RefinementSource) -> Pipeline:
    """Create targets → checkpoint → outputs and log-likelihoods of one arm at one size."""
    name = f"finetune.{arm}.n{train_size}"
    train = Node(
        bind(nodes.finetune, train_size=train_size, label=name, arm=arm),
        ["base_model", "targets", ARMS[arm].prompt, "params:finetune", "params:seed", "training_workspace"],
        ["checkpoint", "training_log"],
        name="train",
        tags="training",
    )
    return _namespaced(name, [*target_nodes(arm, train_size, source), train, *_answering_nodes(arm, name)])


def _answering_nodes(arm: Arm, name: str) -> list[Node]:
    """Create the nodes that ask a finetuned model about test inputs; of a refinement model, to refine."""
    asked = ["base_model", "checkpoint", "examples.test", "prompt.policy"]
    if arm == REFINEMENT_MODEL:
        inputs = ["examples.development", "base_model", "checkpoint", ARMS[arm].prompt]
        return [_sampling(refine_with_checkpoint, [*inputs, "params:refinement"], "refinements", method=name)]
    likelihoods = Node(
        bind(nodes.log_likelihoods, model_name=name),
        asked,
        "log_likelihoods",
        name="measure_log_likelihoods",
        tags="language_model",
    )
    if arm != JOINT:
        return [
            _sampling(nodes.sample_outputs, [*asked, "params:finetune"], "outputs", model_name=name),
            likelihoods,
        ]
    inputs = [*asked[:3], "finetune.base.outputs", ARMS[arm].prompt, "params:finetune"]
    return [
        _sampling(joint.sample_joint_outputs, inputs, "joint_outputs", model_name=name),
        Node(joint.joint_outputs, "joint_outputs", "outputs", name="joint_outputs"),
        likelihoods,
    ]


def _measure_base() -> Pipeline:
    name = "finetune.base"
    asked = ["base_model", "examples.test", "prompt.policy"]
    return _namespaced(
        name,
        [
            _sampling(nodes.sample_base_outputs, [*asked, "params:finetune"], "outputs", model_name=name),
            Node(
                bind(nodes.base_log_likelihoods, model_name=name),
                asked,
                "log_likelihoods",
                name="measure_log_likelihoods",
                tags="language_model",
            ),
        ],
    )


def _best_of_n(sampler: str) -> Pipeline:
    """Create best-of-N: sample from `sampler`, score by the reward model, keep the best."""
    name = "finetune.best_of_n"
    by_base = sampler == "finetune.base"
    checkpoint = [] if by_base else [f"{sampler}.checkpoint"]
    inputs = ["base_model", *checkpoint, "examples.test", "prompt.policy", "params:finetune"]
    function = nodes.sample_base_outputs if by_base else nodes.sample_outputs
    sample = _sampling(function, inputs, "candidates", model_name=name, candidates=True)
    return _namespaced(name, [sample, *_best_by_reward("examples.test")])


def _best_of_n_outputs() -> Pipeline:
    """Create the base model's best-of-N outputs of training inputs, which an arm learns from."""
    inputs = ["base_model", "examples.train", "subsets", "prompt.policy", "params:finetune"]
    sample = _sampling(nodes.sample_base_candidates, inputs, "candidates", model_name="finetune.base")
    return _namespaced("finetune.best_of_n_outputs", [sample, *_best_by_reward("examples.train")])


def _best_by_reward(examples: str) -> list[Node]:
    return [
        Node(
            best_of_n.reward_candidates,
            [*REWARD_MODEL_INPUTS, "candidates", examples],
            "rewards",
            name="reward_candidates",
            tags="language_model",
        ),
        Node(best_of_n.choose_best, ["candidates", "rewards"], "outputs", name="choose_best"),
    ]


def _compare_refiners(train_sizes: Sequence[int]) -> Pipeline:
    """Create the comparison of the catalog's refiner with the refinement models, on the development split."""
    inputs = ["examples.development", "refiner", ARMS[REFINEMENT_MODEL].prompt, "params:refinement"]
    models = [f"finetune.{REFINEMENT_MODEL}.n{size}.refinements" for size in train_sizes]
    return _namespaced(
        f"finetune.{REFINEMENT_MODEL}",
        [
            _sampling(refine_all, inputs, "refinements", method=refiners.REFINER),
            Node(refiners.collect_refiners, ["refinements", *models], "all_refinements", name="collect_refiners"),
            *scorer_nodes(
                ["instruct_rm"], refinements="all_refinements", examples="examples.development", scores="scores"
            ),
            Node(
                refiners.compare_refiners,
                [
                    "examples.development",
                    "all_refinements",
                    "scores.instruct_rm",
                    "base_model",
                    "params:reporting",
                    "params:seed",
                ],
                "metrics",
                name="compare_refiners",
            ),
        ],
    )


def _describe_arms(arms: Sequence[Arm], train_sizes: Sequence[int], has_refinement_model: bool) -> Pipeline:
    """Create the section, and the page, of what the joint arm and the refinement model wrote."""
    inputs: dict[str, str] = {}
    if JOINT in arms:
        names = [f"finetune.{JOINT}.n{size}" for size in train_sizes]
        inputs |= {name: f"{name}.joint_outputs" for name in names}
    if has_refinement_model:
        inputs["metrics"] = f"finetune.{REFINEMENT_MODEL}.metrics"
    members = [
        Node(section.describe_arms, inputs, "section.arms", name="describe_arms"),
        page_node("arms", "Arms"),
    ]
    return Pipeline(members, namespace="finetune", prefix_datasets_with_namespace=False, tags="finetune")


def _sampling(function: Callable[..., Any], inputs: Sequence[str], output: str, **constants: object) -> Node:
    """Create a node that draws from a language model, with the seed as its last input."""
    name = "refine" if output == "refinements" else f"sample_{output}"
    return Node(bind(function, **constants), [*inputs, "params:seed"], output, name=name, tags="language_model")


def _namespaced(name: str, members: Sequence[Node]) -> Pipeline:
    return namespaced(name, members, tags="finetune")
