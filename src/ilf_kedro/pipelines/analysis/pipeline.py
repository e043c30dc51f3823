"""The pipeline analysis: one namespace per finetuned model, such as analysis.refinements.n100."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.analysis import nodes, targets
from ilf_kedro.pipelines.analysis.estimates import estimate_divergences, estimate_likelihoods
from ilf_kedro.pipelines.analysis.section import describe_analysis
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.policy_arms import policy_arms
from ilf_kedro.pipelines.refine_and_select import selection_nodes
from ilf_kedro.schemas.names import WITH_FEEDBACK


def create_pipeline(
    arms: Sequence[Arm], train_sizes: Sequence[int], split: str, scorers: Sequence[str] = ("instruct_rm",)
) -> Pipeline:
    """Create held-out targets, each model's measurements, their estimates, and the section that shows them.

    Arms whose models answer prompts of their own are left out, and the section says so. `split` is where the
    held-out targets come from, `scorers` are those that the target scorer's choice needs.
    """
    left_out = tuple(arm for arm in arms if arm not in policy_arms(arms))
    arms = policy_arms(arms)
    models = [(arm, size) for arm in arms for size in train_sizes]
    return sum(
        [
            _held_out_targets(arms, split, scorers),
            _measure_base(arms, models, split),
            *(_measure(arm, size, split) for arm, size in models),
            _estimates([f"{arm}.n{size}" for arm, size in models], left_out),
        ],
        Pipeline([]),
    )


def _held_out_targets(arms: Sequence[Arm], split: str, scorers: Sequence[str]) -> Pipeline:
    """Create the targets of every arm; refinements are made and chosen as they were for training."""
    examples = f"examples.{split}"
    collect = bind(targets.collect_targets, arms=tuple(arms), split=split)
    inputs = {"examples": examples, "options": "params:selection"}
    members: list[Node] = []
    if "refinements" in arms:
        inputs["selections"] = "analysis.selections"
        members = [
            Node(
                targets.refine_held_out,
                [examples, "refiner", f"prompt.{WITH_FEEDBACK}", "params:refinement", "params:seed"],
                "analysis.refinements",
                name="refine_held_out",
                tags="language_model",
            ),
            *selection_nodes(examples, scorers, prefix="analysis."),
        ]
    outputs = ["analysis.targets", "analysis.missing_targets"]
    return _in_namespace("analysis", [*members, Node(collect, inputs, outputs, name="collect_targets")])


def _measure_base(arms: Sequence[str], models: Sequence[tuple[str, int]], split: str) -> Pipeline:
    train_targets = {f"{arm}.n{size}": f"finetune.{arm}.n{size}.targets" for arm, size in models}
    node = Node(
        bind(nodes.measure_base_targets, arms=tuple(arms), split=split),
        {
            "base_model": "base_model",
            "targets": "analysis.targets",
            "template": "prompt.policy",
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
                bind(nodes.measure_targets, model_name=model, arm=arm, split=split),
                [*asked, "analysis.targets", "prompt.policy"],
                f"{name}.target_log_likelihoods",
                name="measure_targets",
                tags="language_model",
            ),
            Node(
                bind(nodes.measure_divergences, model_name=model),
                [*asked, "examples.test", "prompt.policy", "params:analysis", "params:seed"],
                f"{name}.divergence_samples",
                name="measure_divergences",
                tags="language_model",
            ),
        ],
    )


def _estimates(models: Sequence[str], left_out: Sequence[Arm]) -> Pipeline:
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
                bind(describe_analysis, left_out=left_out),
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
            page_node("analysis", "ILF: likelihoods and divergences"),
        ],
    )


def _in_namespace(name: str, members: list[Node]) -> Pipeline:
    return Pipeline(members, namespace=name, prefix_datasets_with_namespace=False, tags="analysis")
