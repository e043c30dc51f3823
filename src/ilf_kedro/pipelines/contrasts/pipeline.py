"""The pipeline contrasts: what outputs are worth by every measure → every two arms compared → a section."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.analyses import MainJob
from ilf_kedro.pipelines.contrasts import nodes
from ilf_kedro.pipelines.contrasts.options import ContrastsOptions
from ilf_kedro.pipelines.contrasts.section import describe_contrasts
from ilf_kedro.pipelines.pages import page_node


def create_pipeline(options: ContrastsOptions, job: MainJob) -> Pipeline:
    """Create the nodes from the main job's tables, and people's rankings, to section.contrasts and page.contrasts."""
    task = job.task
    measured = {
        "examples": "examples.test",
        "outputs": "outputs",
        "task": "params:task",
        "options": "params:contrasts",
        **({"rankings": "contrasts.rankings"} if options.rankings else {}),
        **({"rewards": "rewards"} if task.has_comparisons else {}),
        **({"verified": "verified"} if "verifier" in task.output.metrics else {}),
        **({"log_likelihoods": "log_likelihoods", "verdicts": "verdicts"} if task.has_references else {}),
    }
    inputs = ["raw.method_rankings", "examples.test", "params:contrasts"]
    reading = [Node(nodes.read_rankings, inputs, "contrasts.rankings", name="read_rankings")]
    compared = ["contrasts.measurements", "params:contrasts", "params:reporting", "params:seed"]
    options_ = {"options": "params:contrasts", "reporting": "params:reporting", "seed": "params:seed"}
    judged = {"measurements": "contrasts.measurements", **options_}
    judged |= {"verdicts": "verdicts"} if task.has_references else {}
    shown = [f"contrasts.{table}" for table in ("pairs", "standings", "judges", "corrected")]
    shown += ["params:reporting", "params:finetune"]
    members = [
        *(reading if options.rankings else []),
        Node(nodes.measure_outputs, measured, "contrasts.measurements", name="measure_outputs"),
        Node(nodes.compare_arms, compared, ["contrasts.pairs", "contrasts.standings"], name="compare_arms"),
        Node(nodes.compare_judges, judged, ["contrasts.judges", "contrasts.corrected"], name="compare_judges"),
        Node(
            describe_contrasts,
            shown,
            "section.contrasts",
            name="describe_contrasts",
        ),
        page_node("contrasts", "ILF: every two arms compared"),
    ]
    # Within reporting: its nodes stand between what the judge said and the report.
    return Pipeline(members, namespace="reporting.contrasts", prefix_datasets_with_namespace=False, tags="contrasts")
