"""The reporting pipeline from fake tables to the report."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pandas as pd
import pytest
from kedro.io import MemoryDataset
from kedro.runner import SequentialRunner

from ilf_kedro.evaluation.win_rates import ConsistentVerdicts
from ilf_kedro.pipelines.reporting import create_pipeline, findings, nodes
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.report.labels import METRICS
from ilf_kedro.schemas import JudgeAgreement
from tests.support.report_inputs import FakeRun
from tests.support.written_reports import NO_VERDICTS, Judge, Page, catalog_of


class Kept(MemoryDataset):
    """Keeps what it holds when the runner needs it no more."""

    def _release(self) -> None:
        """Do nothing."""


KEPT = (
    "report",
    "model_metrics",
    "judge_agreement",
    "win_rates",
    "outcomes",
    "figure.scaling",
    "figure.scorers",
    "training_logs",
)


@pytest.fixture(scope="module")
def made() -> dict:
    """The outputs of one run of the pipeline; rewards are given, for scoring them takes a real model."""
    run = FakeRun(sizes=(8, 16))
    catalog = catalog_of(run)
    for name in KEPT:
        catalog[name] = Kept(copy_mode="assign")
    pipeline = create_pipeline(run.models)
    without_rewards = pipeline - pipeline.only_nodes_with_outputs("rewards")
    SequentialRunner().run(without_rewards, catalog)
    return {name: catalog.load(name) for name in KEPT}


def test_every_output_and_the_human_ones_are_rewarded_and_empty_ones_get_nothing() -> None:
    run = FakeRun(n_test=2)
    outputs = run.outputs("finetune.base")
    outputs.loc[0, "text"] = " "
    checkpoints = []

    class RewardModel(Judge):
        def with_checkpoint(self, checkpoint: str) -> RewardModel:
            checkpoints.append(checkpoint)
            return self

    template = PromptTemplate(text="{{ title }} {{ post }} {{ output }}", positive=("Yes",), negative=("No",))
    trained = SimpleNamespace(record=SimpleNamespace(kind="lora", method="supervised"))
    rewards = nodes.score_rewards(
        RewardModel(), trained, RewardModelOptions(), template, template, run.examples("test", 2), outputs
    )
    assert checkpoints == [trained]
    assert rewards["model"].tolist() == ["reference"] * 2 + ["finetune.base"] * 2
    assert rewards["reward"].tolist() == pytest.approx([0.6, 0.6, 0.0, 0.6])


def test_main_table_shows_the_numbers_of_the_tables(made: dict) -> None:
    page = Page(made["report"])
    metrics = made["model_metrics"]
    shown = metrics[metrics["metric"].isin(METRICS)]
    assert len(page.cells) == len(shown) > 40
    for row in shown.to_dict("records"):
        text = page.cells[row["model"], row["metric"]].replace("−", "-")
        digits = METRICS[row["metric"]].digits
        found = [float(figure) for figure in re.findall(r"-?\d+\.\d+", text)]
        expected = [row[name] for name in ("value", "standard_error", "lower", "upper") if pd.notna(row[name])]
        assert found == pytest.approx(expected, abs=0.5001 * 10**-digits)


def test_metrics_hold_every_model_and_win_rates_agree(made: dict) -> None:
    run = FakeRun(sizes=(8, 16))
    metrics = made["model_metrics"].set_index(["model", "metric"])["value"]
    for row in made["win_rates"].to_dict("records"):
        assert metrics[row["model"], "win_rate"] == row["win_rate"] == 0.5
    assert set(made["win_rates"]["model"]) == set(run.models)
    assert set(made["training_logs"]["model"]) == {"reward_model", *run.models[1:-1]}


def test_first_paragraph_says_that_a_judge_by_position_is_no_judge(made: dict) -> None:
    first = Page(made["report"]).paragraphs[0]
    assert first.startswith("This judge cannot tell the models apart")
    assert "always-first" in first
    assert "say nothing about quality" in first
    assert "12 test posts" in first


def test_report_asks_nothing_of_any_network(made: dict) -> None:
    report = made["report"]
    page = Page(report)
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster", "background"):
            value = attributes.get(name) or ""
            assert not value or (name == "href" and value.startswith("#")), (tag, name, value)
        assert tag not in {"link", "iframe", "object", "embed", "base", "img"}
    styles = "".join(re.findall(r"<style>(.*?)</style>", report, re.S))
    assert styles
    assert not re.search(r"url\(|@import", styles)
    policies = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies[0].startswith("default-src 'none'")
    assert "http" not in policies[0]
    assert report.count("plotly.js v") == 1


def test_whatever_can_be_unfolded_has_a_line_to_unfold_it_by(made: dict) -> None:
    folded = re.findall(r"<details[^>]*>\s*<(\w+)>", made["report"])
    assert len(folded) >= 15
    assert set(folded) == {"summary"}


def test_figures_cannot_end_their_script_element(made: dict) -> None:
    blocks = re.findall(r'<script type="application/json" id="figure-(\w+)">(.*?)</script>', made["report"], re.S)
    assert [name for name, _ in blocks] == ["scaling", "refinement_methods", "scorers", "reward_model", "training_loss"]
    for _, block in blocks:
        assert "<" not in block
        assert json.loads(block)["data"]


def test_reliability_is_drawn_only_with_enough_comparisons() -> None:
    run = FakeRun()
    few = nodes.draw_reward_model(run.accuracy(12), run.reliability(), run.breakdown())
    many = nodes.draw_reward_model(run.accuracy(150), run.reliability(), run.breakdown())
    assert len(few.data) == 2  # accuracy, also by length
    assert list(few.data[1].x) == run.breakdown()["share"].tolist()
    assert list(many.data[2].y) == run.reliability()["observed"].tolist()


def test_scaling_figure_has_every_point_and_its_interval(made: dict) -> None:
    figure = made["figure.scaling"]
    metrics = made["model_metrics"].set_index(["model", "metric"])
    curve = next(trace for trace in figure.data if trace.name == "refinements" and trace.yaxis == "y")
    models = ["finetune.refinements.n8", "finetune.refinements.n16"]
    expected = [metrics.loc[(model, "nll_per_token")] for model in models]
    assert list(curve.y) == pytest.approx([row["value"] for row in expected])
    assert list(curve.error_y.array) == pytest.approx([row["upper"] - row["value"] for row in expected])
    named = [trace.name for trace in figure.data if trace.showlegend]
    arms = ["refinements", "references", "initial outputs"]
    # The references have no likelihood, so that their line comes with the panels below.
    assert named == [
        *arms,
        "base model, not finetuned",
        "best of 8 by refinements, 16\u00a0inputs",
        "references themselves",
    ]


def test_published_figures_are_all_there_with_their_sources(made: dict) -> None:
    published = FakeRun().published()
    assert f"All {len(published)} published figures" in made["report"]
    assert made["report"].count("results notebook, cell") == len(published)
    assert "0.508 ± 0.019" in made["report"]
    assert "judged by a language model" in made["report"]


def test_run_record_is_shown(made: dict) -> None:
    report = made["report"]
    for shown in ("3160b6ec0ffee3160b6ec0ffee3160b6ec0ffee1", "with uncommitted changes", "2.13.0", "2,210", "61.2"):
        assert shown in report
    assert "ab" * 8 in report
    assert "too weak to refine" in report
    assert all(shown in report for shown in ("987,654", "123,456"))
    assert "Spent on APIs" not in report


def test_a_report_written_anew_still_calls_a_weak_judge_so() -> None:
    used_nothing = FakeRun().run_record().model_copy(update={"language_models": ()})
    assert findings.weak_models(used_nothing, ["SmolLM2-135M-Instruct", "strong"]) == ["SmolLM2-135M-Instruct"]


def test_a_reward_model_below_a_coin_is_called_so() -> None:
    row = FakeRun().accuracy(100).assign(accuracy=0.3, lower=0.22, upper=0.4)
    assert "worse than a coin" in findings.reward_model_sentence(row)


def test_best_of_n_says_its_n_and_its_sampler(made: dict) -> None:
    report = made["report"]
    row = report.split('<tr data-model="finetune.best_of_n">')[1].split("</th>")[0]
    assert "best of 8" in row
    assert "sampled from refinements, 16\u00a0posts" in row
    assert "The reward of best of 8" in report
    assert "best-of-N" not in report.split("<script")[0]


def test_pairs_without_a_verdict_and_little_coverage_are_said() -> None:
    row = {
        "judged_by": "j",
        "model": "all",
        "n_pairs": 8,
        "n_examples": 4,
        "agreement": 0.5,
        "lower": 0.2,
        "upper": 0.8,
    }
    some = JudgeAgreement.from_rows([{**row, "n_undefined": 2, "covered": 0.04}])
    sentence = findings.judge_sentence(some, NO_VERDICTS, 0.95)
    assert "2 pairs more have no verdict and are left out." in sentence
    assert "gave the two answers 4.0% of its probability on average" in sentence
    none = JudgeAgreement.from_rows([{**row, "n_undefined": 0, "covered": 0.9}])
    assert "verdict and are left out" not in findings.judge_sentence(none, NO_VERDICTS, 0.95)
    refused = {**row, "n_pairs": 0, "n_undefined": 10, "agreement": None, "lower": None, "upper": None, "covered": 0.0}
    sentence = findings.judge_sentence(JudgeAgreement.from_rows([refused]), NO_VERDICTS, 0.95)
    assert "gave no verdict on any of 10 pairs" in sentence
    assert "There are no win rates." in sentence


def test_where_steady_verdicts_went_is_said() -> None:
    assert findings.consistent_sentence(NO_VERDICTS) == "No verdict was the same in both orders."
    sentence = findings.consistent_sentence(ConsistentVerdicts(n=40, for_human=30, n_unequal=36, for_longer=27))
    assert "Of the 40 verdicts" in sentence
    assert "30 (75%) went to the reference" in sentence
    assert "of the 36 on outputs of unequal length, 27 (75%) to the longer one" in sentence
    assert "no two outputs differed" in findings.consistent_sentence(ConsistentVerdicts(4, 1, 0, 0))


def test_trainings_say_how_many_examples_they_had_and_how_many_posts_were_cut(made: dict) -> None:
    report = made["report"]
    table = report.split('id="trainings"')[1].split("</table>")[0]
    rows = {name: re.findall(r"<td>(.*?)</td>", cells) for name, cells in re.findall(r"<th>(.*?)</th>(<td>.*)", table)}
    assert rows["refinements, 16\u00a0posts"] == ["15 of 16", "2", "5"]
    assert rows["references, 8\u00a0posts"] == ["8", "2", "5"]
    assert rows["reward model"] == ["40", "2", "4"]
    assert "only 15 had a target" in report.split('<tr data-model="finetune.refinements.n16">')[1].split("</th>")[0]
    assert "on 15 refinements (" in Page(report).paragraphs[0]
    assert "one training each, of at most 16 examples" in Page(report).paragraphs[0]


def _luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" as WCAG 2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_numbers_in_the_heat_map_can_be_read_on_every_cell(made: dict) -> None:
    (cells,) = [trace for trace in made["figure.scorers"].data if trace.type == "heatmap"]
    for _, cell in cells.colorscale:
        lighter, darker = sorted((_luminance(cell), _luminance(cells.textfont.color)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5
