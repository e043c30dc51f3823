"""Reports of fake runs, what the pipeline needs to write them, and how a test reads them."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

import pandas as pd
from kedro.io import DataCatalog, MemoryDataset
from plotly.graph_objects import Figure

from ilf_kedro import schemas
from ilf_kedro.evaluation.win_rates import ConsistentVerdicts
from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceProbabilities
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.reporting import nodes
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import Section
from tests.support.raw_rows import TASK
from tests.support.report_inputs import FakeRun

OPTIONS = ReportingOptions(bootstrap_resamples=200)
FINETUNE = FinetuneOptions(best_of_n=8)
NO_VERDICTS = ConsistentVerdicts(0, 0, 0, 0)


class Judge:
    """A judge and token counter: it takes the first output with probability 0.6, whatever it says."""

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
    text="{{ title }} {{ post }} {{ output_a }} {{ output_b }}",
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
        "offer": run.offer(),
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
        "params:task": TASK,
    }
    data["refinements.all"] = run.all_refinements()
    data |= {f"{model}.outputs": run.outputs(model) for model in run.models}
    data |= {f"{model}.log_likelihoods": run.log_likelihoods(model) for model in run.models[:-1]}
    sizes = {model: int(model.rpartition(".n")[2]) for model in run.models[1:-1]}
    sizes["finetune.refinements.n16"] = 15
    data |= {f"{model}.training_log": run.training_log(5, size) for model, size in sizes.items()}
    return DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in data.items()})


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
    **sections: Section,
) -> str:
    """The report of a run, its nodes called by hand; its figures are empty where they are not to be `drawn`."""
    test, train = run.examples("test", run.n_test), run.examples("train", run.n_train)
    if prefix:
        test.loc[len(test) - 1, "example_id"] = f"{prefix}test-1"
    if post is not None:
        train = schemas.Examples.validate(train.assign(post=post, title=post, feedback=post))
    outputs = nodes.collect_outputs(*(run.outputs(model) for model in run.models))
    likelihoods = nodes.collect_log_likelihoods(*(run.log_likelihoods(model) for model in run.models[:-1]))
    verdicts = run.verdicts(steadiness)
    if n_judged is not None:
        verdicts = verdicts[verdicts["example_id"].isin(test["example_id"].head(n_judged))]
    outcomes, _, agreement = nodes.count_wins(verdicts, OPTIONS)
    metrics = nodes.measure_models(test, outputs, Judge(), OPTIONS, 0, TASK, likelihoods, outcomes, run.rewards())
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
        offered=run.offer(),
        task=TASK,
        refinements=run.all_refinements(),
        scores=run.scores(),
        selections=run.selections(),
        outputs=outputs,
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
        **sections,
    )
