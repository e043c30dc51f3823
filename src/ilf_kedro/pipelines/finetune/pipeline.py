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
    BestOfNSource,
    RefinementSource,
    target_nodes,
    writing_outputs,
)
from ilf_kedro.pipelines.names import Arm, Chooser
from ilf_kedro.pipelines.namespaces import bind, namespaced
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.refine_and_select import refine_with_checkpoint
from ilf_kedro.pipelines.refinement.nodes import refine_all
from ilf_kedro.pipelines.reward_model.inputs import REWARD_MODEL_INPUTS
from ilf_kedro.pipelines.selection.scorers import scorer_nodes
from ilf_kedro.schemas.names import BASE_MODEL
from ilf_kedro.tasks import Task, plain_task


def create_pipeline(
    arms: Sequence[Arm],
    train_sizes: Sequence[int],
    source: RefinementSource | None = None,
    task: Task | None = None,
    best: BestOfNSource | None = None,
) -> Pipeline:
    """Create the base model's measurements, one namespace per arm and size, and best-of-N.

    What the task's data lack is left out: without a test split models are trained and not sampled, without
    references there are no likelihoods of them. `source` says how many refinements of each example are learned from,
    `best` which model best-of-N samples from, and what chooses.
    """
    source, task, best = source or RefinementSource(), task or plain_task(), best or BestOfNSource()
    pipelines = [_measure_base(task)] if task.has_test else []
    if BEST_OF_N_OUTPUTS in arms and best.chooser:
        pipelines.append(_best_of_n_outputs(best.chooser))
    pipelines += [_finetune(arm, size, source, task) for arm in arms for size in train_sizes]
    if REFINEMENT_MODEL in arms:
        pipelines.append(_compare_refiners(train_sizes))
    if sections(arms, task):
        pipelines.append(_describe_arms(arms, train_sizes))
    if best.chooser and (sampler := _sampler(arms, train_sizes, task, best)):
        pipelines.append(_best_of_n(sampler, best.chooser))
    return sum(pipelines, Pipeline([]))


def model_names(
    arms: Sequence[Arm], train_sizes: Sequence[int], task: Task | None = None, best: BestOfNSource | None = None
) -> tuple[str, ...]:
    """Return the names of all models that the pipeline trains or samples outputs from, the base model first."""
    names = [BASE_MODEL, *(f"finetune.{arm}.n{size}" for arm in writing_outputs(arms) for size in train_sizes)]
    sampler = _sampler(arms, train_sizes, task or plain_task(), best or BestOfNSource())
    return (*names, "finetune.best_of_n") if sampler else tuple(names)


def _sampler(arms: Sequence[Arm], train_sizes: Sequence[int], task: Task, best: BestOfNSource) -> str | None:
    """Return the model that best-of-N samples from; None where nothing is sampled, or nothing chooses."""
    if best.chooser is None or not task.has_test:
        return None
    return best.sampler or (f"finetune.refinements.n{max(train_sizes)}" if "refinements" in arms else None)


def sections(arms: Sequence[Arm], task: Task | None = None) -> tuple[str, ...]:
    """Return the names of the sections that the pipeline adds to the report of `full`."""
    if not (task or plain_task()).has_test:
        return ()
    return ("arms",) if {JOINT, REFINEMENT_MODEL} & set(arms) else ()


def _finetune(arm: Arm, train_size: int, source: RefinementSource, task: Task) -> Pipeline:
    """Create targets → checkpoint → outputs and log-likelihoods of one arm at one size."""
    name = f"finetune.{arm}.n{train_size}"
    train = Node(
        bind(nodes.finetune, train_size=train_size, label=name, arm=arm),
        ["base_model", "targets", ARMS[arm].prompt, "params:finetune", "params:seed", "training_workspace"],
        ["checkpoint", "training_log"],
        name="train",
        tags="training",
    )
    return _namespaced(name, [*target_nodes(arm, train_size, source), train, *_answering_nodes(arm, name, task)])


def _answering_nodes(arm: Arm, name: str, task: Task) -> list[Node]:
    """Create the nodes that ask a finetuned model about test inputs, if any; of a refinement model, to refine."""
    asked = ["base_model", "checkpoint", "examples.test", "prompt.policy"]
    if arm == REFINEMENT_MODEL:
        inputs = ["examples.development", "base_model", "checkpoint", ARMS[arm].prompt]
        return [_sampling(refine_with_checkpoint, [*inputs, "params:refinement"], "refinements", method=name)]
    if not task.has_test:
        return []
    likelihoods = _likelihoods(nodes.log_likelihoods, asked, name) if task.has_references else []
    if arm != JOINT:
        sample = _sampling(nodes.sample_outputs, [*asked, "params:finetune"], "outputs", model_name=name)
        return [sample, *likelihoods]
    inputs = [*asked[:3], f"{BASE_MODEL}.outputs", ARMS[arm].prompt, "params:finetune"]
    return [
        _sampling(joint.sample_joint_outputs, inputs, "joint_outputs", model_name=name),
        Node(joint.joint_outputs, "joint_outputs", "outputs", name="joint_outputs"),
        *likelihoods,
    ]


def _measure_base(task: Task) -> Pipeline:
    name = BASE_MODEL
    asked = ["base_model", "examples.test", "prompt.policy"]
    sample = _sampling(nodes.sample_base_outputs, [*asked, "params:finetune"], "outputs", model_name=name)
    likelihoods = _likelihoods(nodes.base_log_likelihoods, asked, name) if task.has_references else []
    return _namespaced(name, [sample, *likelihoods])


def _likelihoods(function: Callable[..., Any], asked: Sequence[str], model: str) -> list[Node]:
    named = bind(function, model_name=model)
    return [Node(named, list(asked), "log_likelihoods", name="measure_log_likelihoods", tags="language_model")]


def _best_of_n(sampler: str, chooser: Chooser) -> Pipeline:
    """Create best-of-N: sample from `sampler`, let `chooser` score, keep the best."""
    name = "finetune.best_of_n"
    by_base = sampler == BASE_MODEL
    checkpoint = [] if by_base else [f"{sampler}.checkpoint"]
    inputs = ["base_model", *checkpoint, "examples.test", "prompt.policy", "params:finetune"]
    function = nodes.sample_base_outputs if by_base else nodes.sample_outputs
    sample = _sampling(function, inputs, "candidates", model_name=name, candidates=True)
    return _namespaced(name, [sample, *_choosing_nodes(chooser, "examples.test")])


def _best_of_n_outputs(chooser: Chooser) -> Pipeline:
    """Create the base model's best-of-N outputs of training inputs, which an arm learns from."""
    inputs = ["base_model", "examples.train", "subsets", "prompt.policy", "params:finetune"]
    sample = _sampling(nodes.sample_base_candidates, inputs, "candidates", model_name=BASE_MODEL)
    return _namespaced("finetune.best_of_n_outputs", [sample, *_choosing_nodes(chooser, "examples.train")])


def _choosing_nodes(chooser: Chooser, examples: str) -> list[Node]:
    functions: dict[Chooser, tuple[Callable[..., Any], tuple[str, ...]]] = {
        "reward_model": (best_of_n.reward_candidates, REWARD_MODEL_INPUTS),
        "verifier": (best_of_n.verify_candidates, ("params:selection", "params:task")),
        "judge": (best_of_n.judge_candidates, ("judge", "prompt.judge")),
    }
    function, asked = functions[chooser]
    inputs = [*asked, "candidates", examples]
    tags = None if chooser == "verifier" else "language_model"
    return [
        Node(function, inputs, "rewards", name=function.__name__, tags=tags),
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


def _describe_arms(arms: Sequence[Arm], train_sizes: Sequence[int]) -> Pipeline:
    """Create the section, and the page, of what the joint arm and the refinement model wrote."""
    inputs: dict[str, str] = {}
    if JOINT in arms:
        names = [f"finetune.{JOINT}.n{size}" for size in train_sizes]
        inputs |= {name: f"{name}.joint_outputs" for name in names}
    if REFINEMENT_MODEL in arms:
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
