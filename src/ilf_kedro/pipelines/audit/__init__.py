"""What to look at in the data before money is spent: feedback that says little, and test texts in the training data."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.audit.nodes import find_flags, find_overlaps
from ilf_kedro.pipelines.audit.section import describe_audit
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.schemas import SPLITS

_EXAMPLES = [f"examples.{split}" for split in SPLITS]


@analysis(place=70, options="")
def from_parameters(_options: None, _job: MainJob) -> Pipeline:
    """Create the nodes from the tables of data_prep, which ask no model, to section.audit and page.audit."""
    return Pipeline(
        [
            Node(find_flags, _EXAMPLES, "audit.flags", name="find_flags"),
            Node(find_overlaps, ["examples.train", "examples.test"], "audit.overlaps", name="find_overlaps"),
            Node(
                describe_audit,
                ["audit.flags", "audit.overlaps", "near_duplicates", "offer"],
                "section.audit",
                name="describe_audit",
            ),
            page_node("audit", "What to look at in the data"),
        ],
        namespace="audit",
        prefix_datasets_with_namespace=False,
        tags="audit",
    )
