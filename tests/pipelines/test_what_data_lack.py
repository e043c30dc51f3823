"""A part that the data do not offer is left out; what asks for it by name is refused with the column."""

from __future__ import annotations

import html
import json
from itertools import combinations, product, zip_longest
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.pipeline import Pipeline

from ilf_kedro import pipeline_registry
from ilf_kedro.wiring.parameter_check import find_faults
from ilf_kedro.wiring.parameters import Parameters
from tests.support.whole_project import WholeProject
from tests.wiring.test_parameter_check import RIGHT

PROMPTS = Path(__file__).parents[2] / "conf" / "base" / "prompts"
TASK: dict[str, Any] = {
    "name": "Python functions",
    "words": {"input": "problem", "output": "function"},
    "inputs": {"problem": {"column": "prompt", "truncate": True}, "hint": {"column": "note", "optional": True}},
    "columns": {"initial_output": "code", "feedback": "said", "reference": "better"},
}


def rows(split: str, n: int) -> str:
    written = [
        {
            "prompt": f"Write function {split} number {i}.",
            "note": None if i % 2 else "Short, please.",
            "code": f"def f{i}(): pass",
            "said": f"It should return {i}.",
            "better": f"def f{i}(): return {i}",
        }
        for i in range(n)
    ]
    return "".join(json.dumps(row) + "\n" for row in written)


def of_functions(text: str) -> str:
    """A prompt of the project with this task's inputs."""
    for old, new in (("title", "hint"), ("post", "problem")):
        text = text.replace(f"{{{{ {old} }}}}", f"{{{{ {new} }}}}")
    return text.replace("truncate: post", "truncate: problem")


def parameters(task: dict[str, Any], **asked: Any) -> dict[str, Any]:
    return Parameters.model_validate(RIGHT).model_dump(mode="json") | {"task": TASK | task, **asked}


@pytest.mark.parametrize(
    ("arm", "column"),
    [
        ("refinements", "feedback"),
        ("references", "reference"),
        ("initial_outputs", "initial_output"),
        ("best_of_n_outputs", "comparison"),
        ("refinement_model", "feedback"),
        ("feedback_and_refinement", "initial_output"),
    ],
)
def test_an_arm_that_needs_what_the_data_lack_is_refused_with_the_column(arm: str, column: str) -> None:
    asked = parameters({"columns": {}}, finetune={"arms": [arm]})
    (fault,) = find_faults(asked)
    assert f"finetune.arms: {arm} needs task.columns.{column}, which is null; name the column" in fault.message


def test_a_scorer_that_needs_what_the_data_lack_is_refused_with_the_column() -> None:
    (fault,) = find_faults(parameters({}, selection={"scorers": ["random", "longest", "instruct_rm", "reward_model"]}))
    assert "selection.scorers: reward_model needs task.columns.comparison, which is null" in fault.message


def test_rankings_that_a_task_does_not_have_are_refused_and_else_made_by_the_judge() -> None:
    (fault,) = find_faults(parameters({}, tournament={"rankings": "file"}))
    assert "tournament.rankings: file needs task.rankings, which is false" in fault.message
    for has in (True, False):
        free = Parameters.model_validate(parameters({"rankings": has}, tournament={}))
        assert free.tournament.that_can_run(free.task).rankings == ("file" if has else "judge")


@pytest.mark.parametrize(
    ("columns", "arms"),
    [
        ({"feedback": "said", "reference": "better"}, ("refinements", "references")),
        ({"feedback": "said", "initial_output": "code"}, ("refinements", "initial_outputs")),
        ({"reference": "better"}, ("references",)),
        ({}, ()),
    ],
)
def test_arms_that_nobody_named_are_those_that_the_data_have(columns: dict[str, str], arms: tuple[str, ...]) -> None:
    free = Parameters.model_validate(parameters({"columns": columns}, finetune={"arms": None}))
    assert free.arms == arms


def test_the_registry_follows_what_the_data_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of inputs alone, without a test split, there is data_prep; annotators need no more."""

    def registered(task: dict[str, Any]) -> dict[str, Pipeline]:
        given = Parameters.model_validate(parameters(task, finetune={"arms": None}, sweep={"arms": None}))
        monkeypatch.setattr(pipeline_registry, "declared_parameters", lambda: given)
        return pipeline_registry.register_pipelines()

    bare = registered({"columns": {}, "splits": ["train"]})
    assert {"data_prep", "finetune", "reporting", "export"} <= set(bare)
    assert not {"refinement", "selection", "reward_model", "rounds", "sweep", "analysis", "controls"} & set(bare)
    assert not [name for name in bare["__default__"].datasets() if name.startswith(("finetune.", "outputs", "verdict"))]
    assert not [name for each in bare.values() for name in each.datasets() if name.startswith("answered_")]
    untold = registered({"columns": {"feedback": "said"}})
    assert "examples.train" in untold["refinement"].inputs()
    reads = {name for each in ("selection", "finetune", "reporting", "full") for name in untold[each].inputs()}
    assert {"answered_examples.train"} == {name for name in reads if name.endswith("examples.train")}
    assert not untold["__default__"].inputs() & {"answered_examples.train", "log_likelihoods", "outcomes"}


FROM_THE_CATALOG = ("raw.", "params:", "prompt.", "rounds.feedback")
FREE = {
    "base_model",
    "refiner",
    "judge",
    "instruct_rm",
    "reward_base_model",
    "classifier",
    "likelihood_model",
    "embedder",
}
FREE |= {"training_workspace", "published_results", "run_record.so_far"}
VERIFIED = {"scorers": ["random", "longest", "verifier"], "target_scorer": "verifier", "ensembles": []}


@pytest.mark.parametrize("n_columns", range(5))
def test_whatever_the_data_have_no_node_waits_for_what_none_makes(
    n_columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"feedback": "f", "reference": "r", "initial_output": "i", "comparison": {"a": "x", "b": "y"}}
    for named, has_test in product(combinations(known, n_columns), (True, False)):
        splits = ["train", "development", "validation", *(["test"] if has_test else [])]
        task = {"columns": {name: known[name] for name in named}, "splits": splits}
        asked: dict[str, Any] = {"finetune": {"arms": None}, "sweep": {"arms": None}, "tournament": {}}
        if has_test == ("comparison" in named):
            asked["selection"], task["output"] = VERIFIED, {"metrics": ["verifier", "length"]}
        given = Parameters.model_validate(parameters(task, **asked))
        monkeypatch.setattr(pipeline_registry, "declared_parameters", lambda given=given: given)
        registered = pipeline_registry.register_pipelines()
        free = registered["__default__"].inputs() | registered["full"].inputs()
        waiting = {name for name in free if not name.startswith(FROM_THE_CATALOG)} - FREE
        assert waiting == set(), f"of {named}, {splits}"


def lacking(
    project: WholeProject,
    splits: dict[str, int],
    task: dict[str, Any],
    *changed: dict[str, Any],
    pipelines: str = "__default__",
) -> str:
    """Run the main job of a task whose data lack something, or other pipelines; return the report's text."""
    path = project.path
    (path / "mine").mkdir()
    for split, n in splits.items():
        own = [json.loads(line) for line in rows(split, n).splitlines()]
        own = [row | changes for row, changes in zip_longest(own, changed if split == "train" else (), fillvalue={})]
        (path / "mine" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    local = path / "conf" / "local"
    (local / "parameters_task.yml").write_text(yaml.safe_dump({"task": task, "train_sizes": [splits["train"]]}))
    entry = {"type": "ilf_kedro.datasets.RawRowsDataset", "filepath": "mine/{split}.jsonl"}
    (local / "catalog_raw.yml").write_text(yaml.safe_dump({"raw.{split}": entry}))
    (local / "globals.yml").write_text("prompts: prompts\n")
    (path / "prompts").mkdir()
    for file in PROMPTS.glob("*.yml"):
        (path / "prompts" / file.name).write_text(of_functions(file.read_text("utf-8")))
    project.kedro("run", "--env", "test", "--pipelines", pipelines)
    (report,) = (path / "data" / "test" / "08_reporting" / "report.html").glob("*/report.html")
    return " ".join(report.read_text("utf-8").split())


SPLITS = {"train": 4, "development": 2, "validation": 2, "test": 3}


@pytest.mark.slow
def test_without_references_or_some_feedback_the_report_says_what_is_left_out(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path)
    columns = {"initial_output": "code", "feedback": "said"}
    page = lacking(project, SPLITS, TASK | {"columns": columns}, {"said": None})
    assert "1 of 4 training examples have no feedback (task.columns.feedback: said) and are not refined." in page
    assert "There are no likelihoods, no ROUGE-L and no judge&#39;s win rates" in page
    tables = project.tables()
    assert tables["04_feature/refinements/all.parquet"]["example_id"].nunique() == 3
    assert set(tables["08_reporting/model_metrics.parquet"]["metric"]) == {"length_tokens", "length_words"}
    assert set(tables["08_reporting/model_metrics.parquet"]["model"]) == {
        "finetune.base",
        "finetune.refinements.n4",
        "finetune.initial_outputs.n4",
    }
    assert not [name for name in tables if "likelihood" in name or "verdict" in name]


@pytest.mark.slow
def test_without_initial_outputs_or_a_test_split_the_base_model_writes_them_first(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path)
    task = TASK | {"columns": {"feedback": "said", "reference": "better"}, "splits": ["train", "development"]}
    page = lacking(project, {"train": 4, "development": 2}, task)
    assert "The base model writes the initial functions: the data have none (task.columns.initial_output)" in page
    assert "Models are trained but not measured: there is no test split (task.splits)." in page
    tables = project.tables()
    answered = tables["03_primary/answered_examples/train.parquet"]
    assert answered["initial_output"].notna().all()
    assert tables["03_primary/examples/train.parquet"]["initial_output"].isna().all()
    trained = {name.split("/")[-1] for name in tables if name.endswith("training_log.parquet") or "finetune" in name}
    assert trained
    assert not [name for name in tables if name.endswith("outputs.parquet") and "initial" not in name]


@pytest.mark.slow
def test_every_analysis_runs_without_initial_outputs_rankings_and_some_feedback(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path)
    task = TASK | {"columns": {"feedback": "said", "reference": "better"}}
    page = lacking(project, SPLITS | {"train": 14}, task, {"said": None}, pipelines="full")
    assert "1 of 14 training examples have no feedback" in page
    tables = project.tables()
    assert tables["04_feature/refinements/all.parquet"]["example_id"].nunique() == 13
    initial = tables["03_primary/answered_examples/train.parquet"]["initial_output"]
    assert html.escape(initial[1], quote=False) in page  # of the first example that was refined
    assert set(tables["03_primary/tournament/rankings.parquet"]["ranked_by"]) == {"judge:tiny-random-llama"}


@pytest.mark.slow
def test_data_without_comparisons_run_from_files_to_the_report(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path)
    page = lacking(project, SPLITS, TASK)
    assert "There is no reward model: the data have no comparisons" in page
    assert "Write function train number 0." in page
    assert not list((tmp_path / "data" / "test").rglob("*reward*"))
    listed = project.kedro("registry", "list").stdout
    assert "reward_model" not in listed
