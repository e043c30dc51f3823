"""What the report says of a run in words: what it found, and what it cannot tell."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from ilf_kedro import schemas
from ilf_kedro.pipelines.reporting import findings, nodes
from ilf_kedro.schemas import ModelMetrics
from ilf_kedro.schemas.run_record import RunRecord
from tests.support.report_inputs import FakeRun
from tests.support.written_reports import Page, small_report


def test_texts_of_posts_and_parameters_are_escaped() -> None:
    run = FakeRun(sizes=(8,), n_test=3)
    evil = '<script>alert("x")</script></script><img src=x onerror=alert(1)>'
    report = small_report(run, post=evil, drawn=True)
    page = Page(report)
    # Five figures and two scripts of the report's own, and no element from a text.
    assert [tag for tag, _ in page.tags].count("script") == 7
    assert "img" not in [tag for tag, _ in page.tags]
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in report


def test_one_test_post_and_one_size_make_a_report_without_intervals() -> None:
    report = small_report(FakeRun(sizes=(8,), n_test=1, n_train=1), drawn=True)
    assert "rests on one test post:" in Page(report).paragraphs[0]
    assert "one example" in report


def test_a_steady_judge_and_enough_comparisons_read_otherwise() -> None:
    report = small_report(FakeRun(sizes=(8,), n_test=110), n_comparisons=150, steadiness=1.0, drawn=True)
    first = Page(report).paragraphs[0]
    assert "cannot tell" not in first
    assert "do not merely follow the position" in first
    assert "not known" in first
    assert "too few" not in first
    assert "expected calibration error" in report


@pytest.mark.parametrize(("usd", "shown"), [(1.2345, "1.2345"), (None, "price unknown")])
def test_what_was_spent_on_apis_is_shown(usd: float | None, shown: str) -> None:
    class Paying(FakeRun):
        def run_record(self) -> RunRecord:
            return super().run_record().model_copy(update={"language_models": (self.api_model(usd),)})

    report = small_report(Paying(sizes=(8,), n_test=2, n_train=2))
    table = report.split("Spent on APIs")[1].split("</table>")[0]
    assert all(f">{each}<" in table for each in ("api-model", "1,234", "45,678", "9,012", "0.2500", "77", shown))
    assert "status 429: 3" in table


def test_model_written_data_are_called_so() -> None:
    run = FakeRun(sizes=(8,), n_test=2, n_train=2)
    assert "not by people, as the data card says" not in small_report(run)
    assert "not by people, as the data card says" in small_report(run, prefix="sample-")


def test_the_accuracys_interval_is_labelled_with_its_own_confidence() -> None:
    row = FakeRun().accuracy(12, confidence=0.8)
    assert "80% interval" in findings.reward_model_sentence(row)
    report = small_report(FakeRun(sizes=(8,), n_test=2, n_train=2))
    assert "90% Wilson interval" in report
    assert "95% Wilson" not in report
    assert (
        "80% interval"
        in nodes.draw_reward_model(row, FakeRun().reliability(), FakeRun().breakdown()).data[0].hovertemplate
    )


def test_judging_fewer_posts_is_said_with_both_numbers_and_shown_in_the_table() -> None:
    report = small_report(FakeRun(sizes=(8,), n_test=6), n_judged=2)
    page = Page(report)
    assert "12 test posts" not in page.paragraphs[0]
    assert "rests on 6 test posts (only 2 of the 6 test posts were judged" in page.paragraphs[0]
    many = Page(small_report(FakeRun(sizes=(8,), n_test=110), n_judged=5)).paragraphs[0]
    assert "Only 5 of the 110 test posts were judged" in many
    heads = re.findall(r"<small>(n = \d+ posts)</small>", report)
    assert heads == ["n = 6 posts"] * 5 + ["n = 2 posts"]


def test_rows_are_counted_once_however_many_faults_they_have() -> None:
    faults = [("a.jsonl", 3, "post"), ("a.jsonl", 3, "id"), ("a.jsonl", 7, "id"), ("b.jsonl", 2, "id")]
    faults.append(("c.jsonl", 0, None))
    columns = ["file", "row", "column"]
    table = pd.DataFrame(faults, columns=columns).assign(split="train", found="x", expected="y", raw=None)
    rejected = schemas.RejectedRows.validate(table)
    report = small_report(FakeRun(sizes=(8,), n_test=2, n_train=2), rejected=rejected)
    assert "Set aside as faulty: 2 rows of a.jsonl, 1 row of b.jsonl, c.jsonl as a whole." in report


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        (-0.02, 0.01, "(−0.020 to +0.010, no clear change)"),
        (-0.0001, 0.0004, "(less than 0.001 in either direction)"),
        (-0.02, -0.01, "(−0.020 to −0.010)"),
        (float("nan"), float("nan"), "(no interval)"),
    ],
)
def test_a_change_is_called_clear_only_where_its_shown_interval_leaves_0_out(
    lower: float, upper: float, said: str
) -> None:
    row = {"model": "finetune.refinements.n8", "metric": "nll_minus_base", "n": 9, "value": -0.01, "note": None}
    table = ModelMetrics.from_rows([row | {"standard_error": 0.1, "lower": lower, "upper": upper}])
    assert f"by −0.010 on 8 refinements {said}. Below 0" in findings.likelihood_sentence(table, (), 0.95)
