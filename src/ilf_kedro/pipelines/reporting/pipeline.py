"""The pipeline reporting: summaries → rewards, verdicts → metrics → figures → one HTML report."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.reporting import nodes

BEST_OF_N = "finetune.best_of_n"
BASE = "finetune.base"


def create_pipeline(models: Sequence[str]) -> Pipeline:
    """Create the nodes that measure, judge and report `models`, named such as finetune.refinements.n100.

    Best-of-N has summaries only: its likelihoods are its sampler's, and it was never trained.
    """
    sampled = list(models)
    measured = [model for model in models if model != BEST_OF_N]
    trained = ["reward_model", *(model for model in measured if model != BASE)]
    return Pipeline(
        [
            Node(nodes.collect_summaries, [f"{model}.summaries" for model in sampled], "summaries"),
            Node(nodes.collect_log_likelihoods, [f"{model}.log_likelihoods" for model in measured], "log_likelihoods"),
            Node(nodes.collect_training_logs, {model: f"{model}.training_log" for model in trained}, "training_logs"),
            *_measuring_nodes(),
            *_figure_nodes(),
            _report_node(),
        ],
        tags="reporting",
    )


def _measuring_nodes() -> list[Node]:
    return [
        Node(
            nodes.score_rewards,
            ["reward_base_model", "reward_model.checkpoint", "prompt.reward_model", "examples.test", "summaries"],
            "rewards",
            tags="language_model",
        ),
        Node(
            nodes.judge_models,
            ["judge", "prompt.judge", "examples.test", "summaries", "params:reporting"],
            "verdicts",
            tags="language_model",
        ),
        Node(
            nodes.count_wins,
            ["verdicts", "params:reporting"],
            ["outcomes", "win_rates", "judge_agreement"],
        ),
        Node(
            nodes.measure_models,
            [
                "examples.test",
                "summaries",
                "log_likelihoods",
                "rewards",
                "outcomes",
                "base_model",
                "params:reporting",
                "params:seed",
            ],
            "model_metrics",
        ),
        Node(
            nodes.compare_refinements,
            ["scores", "selections", "params:reporting", "params:seed"],
            ["refinement_metrics", "scorer_agreement"],
        ),
    ]


def _figure_nodes() -> list[Node]:
    return [
        Node(nodes.draw_scaling, ["model_metrics", "params:reporting"], "figure.scaling", tags="figure"),
        Node(
            nodes.draw_refinement_methods,
            ["refinement_metrics", "params:reporting"],
            "figure.refinement_methods",
            tags="figure",
        ),
        Node(
            nodes.draw_scorers,
            ["refinement_metrics", "scorer_agreement", "params:reporting"],
            "figure.scorers",
            tags="figure",
        ),
        Node(
            nodes.draw_reward_model,
            ["reward_model.accuracy", "reward_model.reliability", "params:reward_model"],
            "figure.reward_model",
            tags="figure",
        ),
        Node(nodes.draw_training_loss, "training_logs", "figure.training_loss", tags="figure"),
    ]


def _report_node() -> Node:
    figures = ("scaling", "refinement_methods", "scorers", "reward_model", "training_loss")
    tables = ("text_statistics", "rejected_rows", "scores", "selections", "summaries", "rewards", "outcomes")
    return Node(
        nodes.write_report,
        {
            **{table: table for table in tables},
            **{figure: f"figure.{figure}" for figure in figures},
            "train": "examples.train",
            "test": "examples.test",
            "with_feedback": "refinements.refinement_with_feedback",
            "without_feedback": "refinements.refinement_without_feedback",
            "agreement": "judge_agreement",
            "metrics": "model_metrics",
            "compared": "refinement_metrics",
            "accuracy": "reward_model.accuracy",
            "published": "published_results",
            "run_record": "run_record.so_far",
            "options": "params:reporting",
            "selection": "params:selection",
        },
        "report",
    )
