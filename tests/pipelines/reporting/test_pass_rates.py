"""The section on pass rates: real verdicts of a real verifier, and rates counted by hand."""

from __future__ import annotations

import pytest

from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.reporting.pass_rates import describe_pass_rates, measure_pass_rates, verify_outputs
from ilf_kedro.pipelines.selection.nodes import score_verifier, select_refinements
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import render_page
from ilf_kedro.schemas import Outputs, UserError
from ilf_kedro.scoring.verifier import VerifierOptions
from ilf_kedro.tasks import Task, Words, plain_task
from tests.support.example_tables import examples, refinements
from tests.support.report_inputs import FakeRun
from tests.support.written_reports import Page, small_report

TASK: Task = plain_task().model_copy(update={"words": Words(output="program")})
OPTIONS = ReportingOptions(bootstrap_resamples=100)
RIGHT, WRONG = "def one(): return 1", "def one(): return 2"


def selection(**verifier: object) -> SelectionOptions:
    chosen = {
        "callable": "ilf_kedro.verifiers:matches",
        "arguments": {"pattern": "return 1"},
        "seconds": 20,
        **verifier,
    }
    return SelectionOptions(
        scorers=("verifier",), target_scorer="verifier", verifier=VerifierOptions.model_validate(chosen)
    )


def outputs(**texts: list[str]):
    rows = [
        {"example_id": f"train-{i}", "model": f"finetune.{model}", "sample_index": 0, "text": text, "raw_text": text}
        for model, own in texts.items()
        for i, text in enumerate(own)
    ]
    return Outputs.from_rows([{**row, "finish_reason": "stop", "n_tokens": 4, "seed": 0} for row in rows])


def test_refinements_choices_and_models_have_the_rates_that_a_hand_counts() -> None:
    rows = examples(2).assign(input="x", reference=RIGHT)
    made = refinements({"train-0": [WRONG, RIGHT], "train-1": [WRONG, WRONG]})
    scores = score_verifier(made, rows, selection(), TASK)
    chosen = select_refinements(scores, made, selection())
    verified = verify_outputs(rows, outputs(base=[WRONG, WRONG], arm=[RIGHT, WRONG]), selection(), TASK)
    rates = measure_pass_rates(selection(), OPTIONS, 0, scores, chosen, verified)
    value = rates.set_index(["writer", "chosen_by", "metric"])["value"]
    method = made["method"].iloc[0]
    assert value[method, "any", "pass@1"] == 0.25
    assert value[method, "any", "pass@2"] == value[method, "verifier", "pass@1"] == 0.5
    assert value["finetune.base", "any", "pass@1"] == 0
    assert value["finetune.arm", "any", "pass@1"] == 0.5
    assert value["reference", "any", "pass@1"] == 1
    page = render_page("x", [describe_pass_rates(rates, OPTIONS, FinetuneOptions())], words=TASK.words)
    assert "programs of the test inputs it passes 0%" in page


def test_scores_that_are_no_shares_have_no_pass_rate() -> None:
    count = selection(callable="tests/support/verifiers_of_rows.py:place", arguments={"names": ["example_id"]})
    made = refinements({"train-0": ["train-0", "initial 0"]})
    scores = score_verifier(made, examples(1), count, TASK).assign(score=[3.0, 0.0])
    with pytest.raises(UserError, match=r"found a score of 3; a pass rate needs scores from 0 to 1"):
        measure_pass_rates(count, OPTIONS, 0, scores, select_refinements(scores, made, count))


def test_a_target_scorer_without_any_score_ends_the_run_with_the_reasons() -> None:
    broken = selection(callable="tests/support/misbehaving_verifiers.py:obey", arguments={})
    made = refinements({"train-0": ["raise", "raise"]})
    with pytest.raises(UserError, match=r"gave none of 2 texts a score: 2 raised .*selection\.verifier"):
        score_verifier(made, examples(1), broken, TASK)
    undefined = score_verifier(made, examples(1), selection(), TASK).assign(score=float("nan"))
    with pytest.raises(UserError, match=r"selection\.target_scorer: verifier gave none of 2 refinements a score"):
        select_refinements(undefined, made, selection())


def test_every_figure_of_a_report_with_pass_rates_has_its_data() -> None:
    rows = examples(2).assign(input="x", reference=RIGHT)
    verified = verify_outputs(rows, outputs(base=[WRONG, RIGHT]), selection(), TASK)
    rates = measure_pass_rates(selection(), OPTIONS, 0, verified=verified)
    report = small_report(FakeRun(sizes=(8,)), pass_rates=describe_pass_rates(rates, OPTIONS, FinetuneOptions()))
    tags = Page(report).tags
    places = {attributes["data-figure"] for _, attributes in tags if "data-figure" in attributes}
    assert "pass_rates-rates" in places
    assert {f"figure-{name}" for name in places} <= {attributes.get("id") for _, attributes in tags}
