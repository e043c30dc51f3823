"""The pipeline tournament: rankings → the scorers' scores of what was ranked → which scorer to trust."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.selection.nodes import collect_scores
from ilf_kedro.pipelines.selection.scorers import scorer_nodes
from ilf_kedro.pipelines.tournament import nodes
from ilf_kedro.pipelines.tournament.options import TournamentOptions

_RANKED = ["tournament.rankings", "tournament.refinements"]


def create_pipeline(options: TournamentOptions) -> Pipeline:
    """Create the nodes from a file's or a judge's rankings to section.tournament and page.tournament."""
    scorers = options.competitors
    tables = {scorer: f"tournament.scores.{scorer}" for scorer in scorers}
    return Pipeline(
        [
            *(_judge_nodes() if options.rankings == "judge" else _file_nodes()),
            *scorer_nodes(
                scorers,
                refinements="tournament.refinements",
                examples="examples.development",
                scores="tournament.scores",
            ),
            Node(collect_scores, list(tables.values()), "tournament.scores", name="collect_scores"),
            Node(
                nodes.measure_scorers,
                ["tournament.rankings", "tournament.scores", "params:reporting", "params:seed"],
                ["tournament.metrics", "tournament.contests"],
                name="measure_scorers",
            ),
            Node(
                nodes.measure_costs,
                {"run": "run_record.so_far", **tables},
                "tournament.costs",
                name="measure_costs",
            ),
            *_page_nodes(),
        ],
        namespace=nodes.NAMESPACE,
        prefix_datasets_with_namespace=False,
        tags="tournament",
    )


def _file_nodes() -> list[Node]:
    inputs = ["raw.development_rankings", "examples.development", "base_model", "params:tournament"]
    return [Node(nodes.read_ranked, inputs, _RANKED, name="read_ranked")]


def _judge_nodes() -> list[Node]:
    sampling = ["examples.development", "refiner", "prompt.refinement_with_feedback"]
    return [
        Node(
            nodes.sample_candidates,
            [*sampling, "params:refinement", "params:tournament", "params:seed"],
            "tournament.samples",
            name="sample_candidates",
            tags="language_model",
        ),
        Node(
            nodes.rank_by_judge,
            ["tournament.samples", "examples.development", "judge", "prompt.judge", "base_model"],
            _RANKED,
            name="rank_by_judge",
            tags="language_model",
        ),
    ]


def _page_nodes() -> list[Node]:
    found = [f"tournament.{table}" for table in ("rankings", "metrics", "contests", "costs")]
    return [
        Node(
            nodes.describe_tournament,
            [*found, "published_results", "params:reporting"],
            "section.tournament",
            name="describe_tournament",
        ),
        page_node("tournament", "Tournament of scorers"),
    ]
