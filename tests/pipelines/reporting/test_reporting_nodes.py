"""The reporting pipeline from fake tables to the report, and what the report says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from types import SimpleNamespace

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from plotly.graph_objects import Figure
from report_inputs import FakeRun

from ilf_kedro import schemas
from ilf_kedro.evaluation.win_rates import SteadyVerdicts
from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceProbabilities
from ilf_kedro.options import FinetuneOptions, ReportingOptions, RewardModelOptions, SelectionOptions
from ilf_kedro.pipelines.reporting import create_pipeline, findings, nodes
from ilf_kedro.pipelines.reporting.labels import METRICS, in_order, model_label, number, signed
from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.run_record import RunRecord

OPTIONS = ReportingOptions(bootstrap_resamples=200)
FINETUNE = FinetuneOptions(best_of_n=8)
NO_VERDICTS = SteadyVerdicts(0, 0, 0, 0)


class Judge:
    """A judge and token counter: it takes the first summary with probability 0.6, whatever it says."""

    name = "always-first"
    revision = "1"
    capabilities = frozenset({Capability.CHOICE_PROBABILITIES})

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """Answer 0.6 for the first."""
        return [ChoiceProbabilities((-0.5108256, -0.9162907)) for _ in prompts]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count words."""
        return [len(text.split()) for text in texts]


JUDGE_PROMPT = PromptTemplate(
    text="{title} {post} {summary_a} {summary_b}",
    slots=("title", "post", "summary_a", "summary_b"),
    positive=("A",),
    negative=("B",),
)


def catalog_of(run: FakeRun) -> DataCatalog:
    """Everything that the pipeline takes, but for the reward model."""
    data = {
        "judge": Judge(),
        "base_model": Judge(),
        "prompt.judge": JUDGE_PROMPT,
        "examples.train": run.examples("train", run.n_train),
        "examples.test": run.examples("test", run.n_test),
        "text_statistics": run.text_statistics(),
        "rejected_rows": run.rejected_rows(),
        "published_results": run.published(),
        "scores": run.scores(),
        "selections": run.selections(),
        "rewards": run.rewards(),
        "reward_model.accuracy": run.accuracy(),
        "reward_model.reliability": run.reliability(),
        "reward_model.breakdown": run.breakdown(),
        "reward_model.training_log": run.training_log(4),
        "finetune.best_of_n.candidates": run.candidates(),
        "finetune.best_of_n.rewards": run.candidate_rewards(),
        "run_record.so_far": run.run_record(),
        "params:reporting": OPTIONS,
        "params:finetune": FINETUNE,
        "params:selection": SelectionOptions(),
        "params:seed": 0,
    }
    data["refinements.all"] = run.all_refinements()
    data |= {f"{model}.summaries": run.summaries(model) for model in run.models}
    data |= {f"{model}.log_likelihoods": run.log_likelihoods(model) for model in run.models[:-1]}
    sizes = {model: int(model.rpartition(".n")[2]) for model in run.models[1:-1]}
    sizes["finetune.refinements.n16"] = 15
    data |= {f"{model}.training_log": run.training_log(5, size) for model, size in sizes.items()}
    return DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in data.items()})


class Kept(MemoryDataset):
    """Keeps what it holds when the runner needs it no more."""

    def _release(self) -> None:
        """Do nothing."""


KEPT = ("report", "model_metrics", "judge_agreement", "win_rates", "outcomes", "figure.scaling", "training_logs")


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


class Page(HTMLParser):
    """The report's elements and texts, the library's script left out."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: dict[tuple[str, str], str] = {}
        self.paragraphs: list[str] = []
        self._row = self._cell = None
        self._in_paragraph = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "p":
            self._in_paragraph = True
            self.paragraphs.append("")
        if tag == "tr":
            self._row = attributes.get("data-model")
        if tag in ("td", "th"):
            self._cell = (self._row, attributes["data-metric"]) if "data-metric" in attributes else None
            if self._cell:
                self.cells[self._cell] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self._in_paragraph = False
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._in_paragraph:
            self.paragraphs[-1] += data
        if self._cell:
            self.cells[self._cell] += data


def test_every_summary_and_the_human_ones_are_rewarded_and_empty_ones_get_nothing() -> None:
    run = FakeRun(n_test=2)
    summaries = run.summaries("finetune.base")
    summaries.loc[0, "text"] = " "
    checkpoints = []

    class RewardModel(Judge):
        def with_checkpoint(self, checkpoint: str) -> RewardModel:
            checkpoints.append(checkpoint)
            return self

    template = PromptTemplate(
        text="{title} {post} {summary}", slots=("title", "post", "summary"), positive=("Yes",), negative=("No",)
    )
    trained = SimpleNamespace(record=SimpleNamespace(kind="lora", method="supervised"))
    rewards = nodes.score_rewards(
        RewardModel(), trained, RewardModelOptions(), template, template, run.examples("test", 2), summaries
    )
    assert checkpoints == [trained]
    assert rewards["model"].tolist() == ["human_summary"] * 2 + ["finetune.base"] * 2
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


def test_texts_of_posts_and_parameters_are_escaped() -> None:
    run = FakeRun(sizes=(8,), n_test=3)
    evil = '<script>alert("x")</script></script><img src=x onerror=alert(1)>'
    report = small_report(run, post=evil, drawn=True)
    page = Page(report)
    # Five figures and two scripts of the report's own, and no element from a text.
    assert [tag for tag, _ in page.tags].count("script") == 7
    assert "img" not in [tag for tag, _ in page.tags]
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in report


def test_figures_cannot_end_their_script_element(made: dict) -> None:
    blocks = re.findall(r'<script type="application/json" id="figure-(\w+)">(.*?)</script>', made["report"], re.S)
    assert [name for name, _ in blocks] == ["scaling", "refinement_methods", "scorers", "reward_model", "training_loss"]
    for _, block in blocks:
        assert "<" not in block
        assert json.loads(block)["data"]


def small_report(
    run: FakeRun,
    *,
    post: str | None = None,
    n_comparisons: int = 12,
    steadiness: float = 0.3,
    prefix: str = "",
    n_judged: int | None = None,
    rejected: pd.DataFrame | None = None,
    drawn: bool = False,
) -> str:
    """The report of a run, its nodes called by hand; its figures are empty where they are not to be `drawn`."""
    test, train = run.examples("test", run.n_test), run.examples("train", run.n_train)
    if prefix:
        test.loc[len(test) - 1, "example_id"] = f"{prefix}test-1"
    if post is not None:
        train = schemas.Examples.validate(train.assign(post=post, title=post, feedback=post))
    summaries = nodes.collect_summaries(*(run.summaries(model) for model in run.models))
    likelihoods = nodes.collect_log_likelihoods(*(run.log_likelihoods(model) for model in run.models[:-1]))
    verdicts = run.verdicts(steadiness)
    if n_judged is not None:
        verdicts = verdicts[verdicts["example_id"].isin(test["example_id"].head(n_judged))]
    outcomes, _, agreement = nodes.count_wins(verdicts, OPTIONS)
    metrics = nodes.measure_models(test, summaries, likelihoods, run.rewards(), outcomes, Judge(), OPTIONS, 0)
    compared, alike = nodes.compare_refinements(run.scores(), run.selections(), OPTIONS, 0)
    accuracy = run.accuracy(n_comparisons)
    logs = nodes.collect_training_logs(reward_model=run.training_log(3))
    figures = dict.fromkeys(("scaling", "refinement_methods", "scorers", "reward_model", "training_loss"), Figure())
    if drawn:
        figures = {
            "scaling": nodes.draw_scaling(metrics, OPTIONS, FINETUNE),
            "refinement_methods": nodes.draw_refinement_methods(compared, OPTIONS),
            "scorers": nodes.draw_scorers(compared, alike, OPTIONS),
            "reward_model": nodes.draw_reward_model(accuracy, run.reliability(), run.breakdown()),
            "training_loss": nodes.draw_training_loss(logs),
        }
    return nodes.write_report(
        train=train,
        test=test,
        text_statistics=run.text_statistics(),
        rejected_rows=run.rejected_rows() if rejected is None else rejected,
        refinements=run.all_refinements(),
        scores=run.scores(),
        selections=run.selections(),
        summaries=summaries,
        rewards=run.rewards(),
        outcomes=outcomes,
        training_logs=logs,
        agreement=agreement,
        metrics=metrics,
        compared=compared,
        accuracy=accuracy,
        published=run.published(),
        **figures,
        run_record=run.run_record(),
        options=OPTIONS,
        selection=SelectionOptions(),
        finetune=FINETUNE,
    )


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
    arms = ["refinements", "human summaries", "initial summaries"]
    # The people's summaries have no likelihood, so that their line comes with the panels below.
    assert named == [
        *arms,
        "base model, not finetuned",
        "best of 8 by refinements, 16\u00a0posts",
        "human summaries themselves",
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


@pytest.mark.parametrize(("usd", "shown"), [(1.2345, "1.2345"), (None, "price unknown")])
def test_what_was_spent_on_apis_is_shown(usd: float | None, shown: str) -> None:
    class Paying(FakeRun):
        def run_record(self) -> RunRecord:
            return super().run_record().model_copy(update={"language_models": (self.api_model(usd),)})

    report = small_report(Paying(sizes=(8,), n_test=2, n_train=2))
    table = report.split("Spent on APIs")[1].split("</table>")[0]
    assert all(f">{each}<" in table for each in ("api-model", "1,234", "45,678", "9,012", "0.2500", "77", shown))
    assert "status 429: 3" in table


def test_a_report_written_anew_still_calls_a_weak_judge_so() -> None:
    used_nothing = FakeRun().run_record().model_copy(update={"language_models": ()})
    assert findings.weak_models(used_nothing, ["SmolLM2-135M-Instruct", "strong"]) == ["SmolLM2-135M-Instruct"]


def test_model_written_data_are_called_so() -> None:
    run = FakeRun(sizes=(8,), n_test=2, n_train=2)
    assert "not by people, as the data card says" not in small_report(run)
    assert "not by people, as the data card says" in small_report(run, prefix="sample-")


def test_a_reward_model_below_a_coin_is_called_so() -> None:
    row = FakeRun().accuracy(100).assign(accuracy=0.3, lower=0.22, upper=0.4)
    assert "worse than a coin" in findings.reward_model_sentence(row)


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


def test_best_of_n_says_its_n_and_its_sampler(made: dict) -> None:
    report = made["report"]
    row = report.split('<tr data-model="finetune.best_of_n">')[1].split("</th>")[0]
    assert "best of 8" in row
    assert "sampled from refinements, 16\u00a0posts" in row
    assert "The reward of best of 8" in report
    assert "best-of-N" not in report.split("<script")[0]


def test_judging_fewer_posts_is_said_with_both_numbers_and_shown_in_the_table() -> None:
    report = small_report(FakeRun(sizes=(8,), n_test=6), n_judged=2)
    page = Page(report)
    assert "12 test posts" not in page.paragraphs[0]
    assert "rests on 6 test posts (only 2 of the 6 test posts were judged" in page.paragraphs[0]
    many = Page(small_report(FakeRun(sizes=(8,), n_test=110), n_judged=5)).paragraphs[0]
    assert "Only 5 of the 110 test posts were judged" in many
    heads = re.findall(r"<small>(n = \d+ posts)</small>", report)
    assert heads == ["n = 6 posts"] * 5 + ["n = 2 posts"]


def test_where_steady_verdicts_went_is_said() -> None:
    assert findings.steady_sentence(NO_VERDICTS) == "No verdict was the same in both orders."
    sentence = findings.steady_sentence(SteadyVerdicts(n=40, for_human=30, n_unequal=36, for_longer=27))
    assert "Of the 40 verdicts" in sentence
    assert "30 (75%) went to the human summary" in sentence
    assert "of the 36 on summaries of unequal length, 27 (75%) to the longer one" in sentence
    assert "no two summaries differed" in findings.steady_sentence(SteadyVerdicts(4, 1, 0, 0))


def test_rows_are_counted_once_however_many_faults_they_have() -> None:
    faults = [("a.jsonl", 3, "post"), ("a.jsonl", 3, "id"), ("a.jsonl", 7, "id"), ("b.jsonl", 2, "id")]
    faults.append(("c.jsonl", 0, None))
    columns = ["file", "row", "column"]
    table = pd.DataFrame(faults, columns=columns).assign(split="train", found="x", expected="y", raw=None)
    rejected = schemas.RejectedRows.validate(table)
    report = small_report(FakeRun(sizes=(8,), n_test=2, n_train=2), rejected=rejected)
    assert "Set aside as faulty: 2 rows of a.jsonl, 1 row of b.jsonl, c.jsonl as a whole." in report


def test_trainings_say_how_many_examples_they_had_and_how_many_posts_were_cut(made: dict) -> None:
    report = made["report"]
    table = report.split('id="trainings"')[1].split("</table>")[0]
    rows = {name: re.findall(r"<td>(.*?)</td>", cells) for name, cells in re.findall(r"<th>(.*?)</th>(<td>.*)", table)}
    assert rows["refinements, 16\u00a0posts"] == ["15 of 16", "2", "5"]
    assert rows["human summaries, 8\u00a0posts"] == ["8", "2", "5"]
    assert rows["reward model"] == ["40", "2", "4"]
    assert "only 15 had a target" in report.split('<tr data-model="finetune.refinements.n16">')[1].split("</th>")[0]
    assert "on 15 refinements (" in Page(report).paragraphs[0]
    assert "one training each, of at most 16 examples" in Page(report).paragraphs[0]


def test_labels_and_numbers() -> None:
    assert model_label("finetune.refinements.n1000", 8) == "refinements, 1,000\u00a0posts"
    assert model_label("finetune.best_of_n", 8) == "best of 8"
    models = ["finetune.best_of_n", "finetune.refinements.n16", "x", "finetune.refinements.n8", "finetune.base"]
    assert in_order(models) == ["finetune.base", *models[3:0:-2], "finetune.best_of_n", "x"]
    assert (number(-0.0001), signed(-0.0001), signed(0.0001), signed(0.002)) == ("0.000", "0.000", "0.000", "+0.002")
    assert (number(-0.1234), number(1234.5, 1), number(float("nan")), number(None)) == ("−0.123", "1,234.5", "–", "–")
