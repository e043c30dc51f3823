"""The pipeline sweep: one namespace per arm, such as sweep.refinements; then the winners, a section and a page."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.finetune.arms import ARMS, RefinementSource, target_nodes
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.pipelines.namespaces import bind, namespaced
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.sweep import nodes, section


def create_pipeline(arms: Sequence[Arm], train_size: int, source: RefinementSource | None = None) -> Pipeline:
    """Create every arm's trials at one train size, and the choice among them."""
    trials = [f"sweep.{arm}.trials" for arm in arms]
    members = [
        Node(nodes.collect_trials, trials, "sweep.trials", name="collect_trials"),
        Node(nodes.choose_winners, ["sweep.trials", "params:sweep"], "sweep.winners", name="choose_winners"),
        Node(
            section.describe_sweep,
            ["sweep.trials", "sweep.winners", "params:sweep", "params:reporting"],
            "section.sweep",
            name="describe_sweep",
        ),
        page_node("sweep", "Sweep"),
    ]
    choosing = Pipeline(members, namespace="sweep", prefix_datasets_with_namespace=False, tags="sweep")
    return sum([_trials(arm, train_size, source or RefinementSource()) for arm in arms], Pipeline([])) + choosing


def _trials(arm: Arm, train_size: int, source: RefinementSource) -> Pipeline:
    prompt = ARMS[arm].prompt
    # The joint arm's model is scored by the outputs that it gives as the other arms' do.
    asked = prompt if arm == "refinement_model" else "prompt.policy"
    run = Node(
        bind(nodes.run_trials, arm=arm, train_size=train_size),
        [
            "base_model",
            "targets",
            prompt,
            asked,
            "examples.development",
            "params:finetune",
            "params:sweep",
            "params:reporting",
            "params:seed",
            "training_workspace",
        ],
        "trials",
        name="run_trials",
        tags=["training", "language_model"],
    )
    return namespaced(f"sweep.{arm}", [*target_nodes(arm, train_size, source), run], tags="sweep")
