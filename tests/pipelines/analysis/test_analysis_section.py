"""What the analysis' page says, and that it says no more than the figures bear."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.pipelines.analysis.options import AnalysisOptions
from ilf_kedro.pipelines.analysis.section import describe_analysis
from ilf_kedro.report.sections import Paragraph, Section, Table, render_page
from ilf_kedro.schemas import MissingTargets, PublishedResults
from tests.support.analysis_tables import REPORTING, divergences, likelihoods

NOTHING_MISSING = MissingTargets.from_rows([])


@pytest.fixture(scope="module")
def published(project_root) -> pd.DataFrame:
    return PublishedResults.validate(pd.read_csv(project_root / "data" / "01_raw" / "published_results.csv"))


def described(published: pd.DataFrame, missing=NOTHING_MISSING, likely=None, diverging=None) -> Section:
    tables = likelihoods() if likely is None else likely, missing, divergences() if diverging is None else diverging
    return describe_analysis(*tables, published, AnalysisOptions(), REPORTING)


def texts(section: Section) -> str:
    return "\n".join(part.text for part in section.parts if isinstance(part, Paragraph))


def test_the_lead_calls_a_difference_only_what_its_interval_bears(published) -> None:
    lead = described(published).parts[0].text
    assert "After 12 inputs" in lead
    assert re.search(r"references −0\.\d{3} nats per token", lead)
    section = described(published, likely=likelihoods().assign(lower=-1.0, upper=1.0))
    assert "references no difference beyond its interval" in section.parts[0].text


def test_what_is_missing_is_said(published) -> None:
    row = {"arm": "refinements", "split": "validation", "n": 12, "n_missing": 12, "reason": "no feedback"}
    likely = likelihoods().query("arm != 'refinements' or split == 'train'")
    section = described(published, MissingTargets.validate(pd.DataFrame([row])), likely)
    assert "refinements: 12 of 12 without a target (no feedback)" in texts(section)
    assert "without a target" not in texts(described(published))


def test_the_published_figures_stand_beside_ours(published) -> None:
    tables = [part.frame for part in described(published).parts if isinstance(part, Table)]
    beside = next(table for table in tables if "figure" in table)
    nll = beside[beside["figure"].str.startswith("NLL")].set_index("arm")
    assert nll.loc["refinements", "paper"] == "1,000: 1.373 ± 0.012"
    assert all(f"{size}: " in nll.loc["refinements", "ours"] for size in (6, 12))
    assert beside["paper"].iloc[-1] == "100: 6.49; 1,000: 6.64; 5,000: 6.27"
    divergence = next(table for table in tables if "ours, per token" in table).set_index(["arm", "direction"])
    assert divergence.loc[("references", "backward"), "paper"] == "0.551 ± 0.011"
    ours = divergences().query(
        "model == 'finetune.references.n12' and condition == 'unconditional' and direction == 'backward' "
        "and estimator == 'log_ratio' and unit == 'nats_per_sequence'"
    )["value"]
    assert divergence.loc[("references", "backward"), "ours, per sequence"].startswith(f"{ours.iloc[0]:.4f} ±")


def test_the_page_holds_every_figure_and_one_sample_per_input_leaves_its_error_open(published) -> None:
    section = described(published, diverging=divergences().assign(monte_carlo_error=np.nan))
    assert list(section.figures) == [
        "analysis-likelihoods",
        "analysis-train-targets",
        "analysis-test-inputs",
        "analysis-unconditional",
    ]
    conditional = next(p for p in section.parts if isinstance(p, Table) and "given test inputs" in p.caption)
    assert conditional.frame["of sampling"].isna().all()
    page = render_page("x", [section])
    assert "KL(base‖finetuned)" in page
    assert "nan" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_figures_draw_every_model_in_both_directions(published) -> None:
    figure = described(published).figures["analysis-test-inputs"]
    filled = [trace for trace in figure.data if trace.marker.symbol == "circle"]
    drawn = sorted(value for trace in filled for value in trace.x)
    table = divergences().query(
        "condition == 'test_inputs' and estimator == 'log_ratio' and unit == 'nats_per_sequence'"
    )
    assert drawn == pytest.approx(sorted(table["value"]))
    assert {label for trace in filled for label in trace.y} >= {
        "refinements, 6\u00a0inputs",
        "refinements, 12\u00a0inputs",
    }
