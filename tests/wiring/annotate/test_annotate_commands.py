"""`kedro annotate`: from tables, folders and files to answers, by commands alone."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata, bootstrap_project

from ilf_kedro.cli import cli
from ilf_kedro.people import Database, FeedbackAnswer, Item, RankingAnswer, Record
from ilf_kedro.people.annotators import get_annotator
from ilf_kedro.people.assignment import claim
from ilf_kedro.people.campaign import get_settings, list_items
from ilf_kedro.people.records import list_records, parse_lines, to_lines
from ilf_kedro.people.submissions import submit
from ilf_kedro.prompting.messages import Message, messages_to_json
from ilf_kedro.schemas import Examples
from ilf_kedro.tasks import Task
from ilf_kedro.wiring.annotate.sources import Question, ask_about_tables
from tests.support.campaigns import add_annotator, compare_answer, gold_item

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectMetadata:
    """The real configuration in a folder of its own."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (tmp_path / "conf" / "local").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src" / "ilf_kedro").mkdir(parents=True)
    (tmp_path / "src" / "ilf_kedro" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    python_path = list(sys.path)
    monkeypatch.setenv("PYTHONPATH", "")  # Kedro puts the folder's own src there
    metadata = bootstrap_project(tmp_path)
    sys.path[:] = python_path
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    return metadata


def annotate(project: ProjectMetadata, *arguments: object, fails: bool = False) -> Result:
    result = CliRunner().invoke(cli, ["annotate", *map(str, arguments)], obj=project)
    assert (result.exit_code != 0) == fails, result.output
    assert "Traceback" not in result.output
    return result


def campaign(project: ProjectMetadata, name: str = "trial") -> Database:
    return Database(project.project_path / "data" / "01_raw" / "annotation" / f"{name}.sqlite")


def write_lines(file: Path, rows: list[dict[str, object]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three methods' outputs for three examples; of the last, two are the same."""
    examples = [{"example_id": f"e{n}", "question": f"Question {n}?", "initial_output": "First."} for n in range(3)]
    write_lines(tmp_path / "outputs" / "examples.jsonl", examples)
    for method in ("base", "tuned"):
        rows = [{"example_id": f"e{n}", "output": f"{method if n < 2 else 'same'} {n}"} for n in range(3)]
        write_lines(tmp_path / "outputs" / f"{method}.jsonl", rows)
    return tmp_path / "outputs"


def save_examples(project: ProjectMetadata) -> None:
    columns = dict.fromkeys(Examples.column_names())
    rows = [
        columns
        | {"example_id": f"e{n}", "input_id": f"e{n}", "split": "train", "position": n, "other": "{}"}
        | {"post": f"Post {n}", "title": f"Title {n}", "tests": "hidden"}
        | {"initial_output": f"Output {n}", "feedback": f"Feedback {n}", "reference": f"Reference {n}"}
        for n in range(4)
    ]
    with KedroSession.create(project_path=project.project_path, save_on_close=False) as session:
        session.load_context().catalog.save("examples.train", Examples.validate(pd.DataFrame(rows)))


def test_a_folder_of_outputs_becomes_collected_ranks(project: ProjectMetadata, folder: Path, tmp_path: Path) -> None:
    result = annotate(project, "create", "trial", "--kind", "compare", "--folder", folder, "--overlap", 2, "--seed", 7)
    assert "2 items, 2 annotator(s) each" in result.output
    assert "1 more have identical outputs" in result.output
    database = campaign(project)
    assert (database.do(get_settings).seed, database.do(get_settings).overlap) == (7, 2)
    for name in ("anna", "ben"):
        annotator = add_annotator(database, name)
        while (task := database.do(claim, annotator)) is not None:
            answer = compare_answer(task.item, 1, 2)
            database.do(submit, annotator, task.assignment_id, answer, base_revision=0)
    status = annotate(project, "status", "trial").output
    assert "2 of 2 items have all their answers (4 answers)" in status
    assert "annotators agree to 100% on 2 pair(s)" in status
    assert "anna: 2 answered, 0 skipped" in status
    annotate(project, "export", "trial", "--format", "rankings", tmp_path / "ranks.jsonl")
    ranks = pd.read_json(tmp_path / "ranks.jsonl", lines=True)
    assert sorted(set(ranks["method"])) == ["base", "tuned"]
    assert len(ranks) == 2 * (4 + 1)
    assert set(ranks.loc[ranks["judged_by"] == "identical outputs", "rank"]) == {1}


def test_tables_of_the_catalog_become_items_with_their_version(project: ProjectMetadata) -> None:
    save_examples(project)
    annotate(project, "create", "trial", "--kind", "feedback", "--limit", 3, "--class", "Coverage")
    items = campaign(project).do(list_items)
    assert [item.candidates[0].output.text for item in items] == ["Output 0", "Output 1", "Output 2"]
    assert [passage.label for passage in items[0].inputs] == ["title", "post"]
    origin = items[0].origin
    assert origin is not None
    versions = project.project_path / "data" / "03_primary" / "examples" / "train.parquet"
    assert [origin.version] == [each.name for each in versions.iterdir()]
    outputs = ["--output", "initial_output", "--output", "reference"]
    annotate(project, "create", "pairs", "--kind", "compare", "--input", "post", *outputs)
    (first, *_) = campaign(project, "pairs").do(list_items)
    assert {each.sources[0]: each.output.text for each in first.candidates} == {
        "initial_output": "Output 0",
        "reference": "Reference 0",
    }
    # To show the initial output beside itself would tell which of the two it is.
    assert first.initial_output is None


def test_a_tasks_conversations_are_shown_as_turns(project: ProjectMetadata) -> None:
    save_examples(project)
    turns = [Message("user", "Hello?"), Message("assistant", "Hello."), Message("user", "Why?")]
    with KedroSession.create(project_path=project.project_path, save_on_close=False) as session:
        catalog = session.load_context().catalog
        catalog.save("examples.train", catalog.load("examples.train").assign(post=messages_to_json(turns)))
    inputs = {
        "title": "title",
        "post": {"column": "post", "kind": "messages"},
        "tests": {"column": "x", "shown": False},
    }
    task = Task.model_validate({"name": "Answers", "inputs": inputs})
    (item, *_) = ask_about_tables(catalog, Question("feedback"), task, "examples.train", [])
    assert [(passage.label, passage.kind) for passage in item.inputs] == [("title", "text"), ("post", "messages")]
    assert list(item.inputs[1].messages) == turns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "compare", "--output", "reference"], "compare needs 2 to 2 outputs, found 1: reference"),
        (["--kind", "feedback", "--examples", "examples.tran"], "'examples.tran' has no data yet"),
        (["--kind", "feedback", "--input", "question"], "no column question; found example_id"),
        (["--kind", "compare", "--output", "reference", "--output", "a=nothing.here"], "has no 'nothing.here'"),
        ([], "say what is asked"),
        (["--kind", "feedback", "--overlap", "0"], "overlap"),
    ],
)
def test_what_cannot_be_asked_is_said(project: ProjectMetadata, arguments: list[str], message: str) -> None:
    save_examples(project)
    result = annotate(project, "create", "trial", *arguments, fails=True)
    assert message in result.output
    assert not (project.project_path / "data" / "01_raw" / "annotation" / "trial.sqlite").exists()


def test_faults_in_a_folder_of_outputs_are_all_named(project: ProjectMetadata, folder: Path) -> None:
    write_lines(folder / "base.jsonl", [{"example_id": "e0", "output": "x"}, {"example_id": "e0", "output": "y"}, {}])
    result = annotate(project, "create", "trial", "--kind", "compare", "--folder", folder, fails=True)
    for fault in ("base.jsonl:2 example_id: 'e0' stands there twice", "base.jsonl:3 output", "base.jsonl:3 example_id"):
        assert fault in result.output
    (folder / "examples.jsonl").unlink()
    result = annotate(project, "create", "trial", "--kind", "compare", "--folder", folder, fails=True)
    assert "expected examples.jsonl" in result.output


def test_a_file_of_items_and_hidden_checks_are_read(project: ProjectMetadata, folder: Path, tmp_path: Path) -> None:
    annotate(project, "create", "first", "--kind", "rank", "--folder", folder)
    annotate(project, "export", "first", tmp_path / "items.jsonl", "--format", "items")
    (tmp_path / "gold.jsonl").write_text(to_lines([gold_item()]), encoding="utf-8")
    arguments = ["--items", tmp_path / "items.jsonl", "--gold", tmp_path / "gold.jsonl"]
    annotate(project, "create", "trial", *arguments)
    items = campaign(project).do(list_items)
    assert items == [*parse_lines((tmp_path / "items.jsonl").read_text(), "items.jsonl", Item), gold_item()]


def test_answers_are_exported_imported_and_refused_where_there_are_none(
    project: ProjectMetadata, folder: Path, tmp_path: Path
) -> None:
    for name in ("trial", "again"):
        annotate(project, "create", name, "--kind", "compare", "--folder", folder)
    answers = tmp_path / "answers.jsonl"
    assert "nothing to export as answers" in annotate(project, "export", "trial", answers, fails=True).output
    database = campaign(project)
    anna = add_annotator(database)
    task = database.do(claim, anna)
    assert task is not None
    database.do(submit, anna, task.assignment_id, compare_answer(task.item, 2, 1), base_revision=0)
    annotate(project, "export", "trial", answers)
    assert "1 answer(s) added" in annotate(project, "import", "again", answers).output
    assert "0 answer(s) added" in annotate(project, "import", "again", answers).output
    (copied,) = campaign(project, "again").do(list_records)
    (original,) = parse_lines(answers.read_text(), "answers.jsonl", Record)
    assert copied.model_copy(update={"campaign": "trial"}) == original
    nothing = annotate(project, "export", "trial", answers, "--format", "feedback", fails=True)
    assert "nothing to export as feedback: the campaign asks for compare" in nothing.output


def test_a_sheet_goes_out_and_comes_back(project: ProjectMetadata, folder: Path, tmp_path: Path) -> None:
    annotate(project, "create", "trial", "--kind", "compare", "--folder", folder)
    sheet = tmp_path / "sheet.csv"
    annotate(project, "sheet", "trial", sheet, "--annotator", "anna", "--tasks", 5)
    table = pd.read_csv(sheet, dtype=str).assign(rank_A="1", rank_B="1")
    table.to_csv(sheet, index=False)
    assert "say whose" in annotate(project, "import", "trial", sheet, "--format", "sheet", fails=True).output
    imported = annotate(project, "import", "trial", sheet, "--format", "sheet", "--annotator", "anna")
    assert "2 task(s) handed in" in imported.output
    assert len(campaign(project).do(list_records)) == 2


def test_links_are_made_ended_and_names_erased(project: ProjectMetadata, folder: Path) -> None:
    annotate(project, "create", "trial", "--kind", "compare", "--folder", folder)
    options = ["--annotator", "anna", "--address", "https://annotate.example"]
    link = annotate(project, "invite", "trial", *options, "--language", "de").output.strip()
    assert link.startswith("https://annotate.example/enter/")
    assert "anna: 0 answered, 0 skipped\n" in annotate(project, "status", "trial").output
    annotate(project, "revoke", "trial", "--annotator", "anna")
    assert "no link" in annotate(project, "status", "trial").output
    assert "known: anna" in annotate(project, "revoke", "trial", "--annotator", "ann", fails=True).output
    annotate(project, "erase", "trial", "--annotator", "anna")
    assert "anna" not in annotate(project, "status", "trial").output.replace("annotator", "")


def test_disputed_items_make_a_campaign_of_their_own(project: ProjectMetadata, folder: Path) -> None:
    annotate(project, "create", "trial", "--kind", "compare", "--folder", folder, "--overlap", 2)
    assert "nothing to settle" in annotate(project, "adjudicate", "trial", "settled", fails=True).output
    database = campaign(project)
    for name, ranks in [("anna", (1, 2)), ("ben", (2, 1))]:
        annotator = add_annotator(database, name)
        task = database.do(claim, annotator)
        assert task is not None
        database.do(submit, annotator, task.assignment_id, compare_answer(task.item, *ranks), base_revision=0)
    annotate(project, "adjudicate", "trial", "settled")
    (item,) = campaign(project, "settled").do(list_items)
    assert len(item.opinions) == 2


def test_new_instructions_and_skipped_tasks(project: ProjectMetadata, folder: Path, tmp_path: Path) -> None:
    annotate(project, "create", "trial", "--kind", "compare", "--folder", folder)
    (tmp_path / "new.txt").write_text("Be fairer.", encoding="utf-8")
    assert "version 2" in annotate(project, "instruct", "trial", tmp_path / "new.txt").output
    assert "0 skipped" in annotate(project, "reopen", "trial").output


@pytest.mark.parametrize("name", ["../evil", "a b", "none"])
def test_a_campaign_that_is_not_there_is_named(project: ProjectMetadata, name: str) -> None:
    result = annotate(project, "status", name, fails=True)
    assert name in result.output


@pytest.mark.slow
def test_the_page_is_served_to_this_machine_alone(project: ProjectMetadata, folder: Path, tmp_path: Path) -> None:
    annotate(project, "create", "trial", "--kind", "compare", "--folder", folder)
    refused = annotate(project, "serve", "trial", "--host", "0.0.0.0", fails=True)
    assert "nobody has a link yet" in refused.output
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = (
        "import sys, pathlib; from kedro.framework.startup import ProjectMetadata, bootstrap_project\n"
        "from ilf_kedro.cli import cli; path = list(sys.path)\n"
        "project = bootstrap_project(pathlib.Path.cwd()); sys.path[:] = path\n"
        "cli(['annotate', 'serve', 'trial', '--port', sys.argv[1]], obj=project)"
    )
    command = [sys.executable, "-u", "-c", script, str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link.startswith(f"http://127.0.0.1:{port}/enter/"), process.communicate()
        headers = {"X-Annotation": "1"}
        with httpx2.Client(headers=headers, follow_redirects=True, trust_env=False) as client:
            for _ in range(100):
                try:
                    client.get(link)
                    break
                except httpx2.ConnectError:
                    time.sleep(0.1)
            session = client.get(f"http://127.0.0.1:{port}/api/session").json()
        assert session["campaign"] == "trial"
        second = annotate(project, "serve", "trial", "--port", port + 1, fails=True)
        assert "another process serves" in second.output
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors


def test_feedback_of_the_first_round_is_a_file_of_examples(project: ProjectMetadata, tmp_path: Path) -> None:
    save_examples(project)
    annotate(project, "create", "trial", "--kind", "feedback")
    database = campaign(project)
    anna = add_annotator(database)
    for _ in range(2):
        task = database.do(claim, anna)
        assert task is not None
        answer = FeedbackAnswer(feedback="Too short.", ideal_output="Longer.")
        database.do(submit, anna, task.assignment_id, answer, base_revision=0)
    assert database.do(get_annotator, "anna").annotator_id == anna
    annotate(project, "export", "trial", tmp_path / "train.jsonl", "--format", "feedback")
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [(row["example_id"], row["post"], row["feedback"], row["reference"]) for row in rows] == [
        ("e0", "Post 0", "Too short.", "Longer."),
        ("e1", "Post 1", "Too short.", "Longer."),
    ]


def answered(project: ProjectMetadata, folder: Path, names: tuple[str, ...] = ("anna", "ben")) -> None:
    """A campaign of a folder whose annotators prefer what the tuned method wrote."""
    annotate(project, "create", "trial", "--kind", "compare", "--folder", folder, "--overlap", len(names))
    database = campaign(project)
    for name in names:
        annotator = add_annotator(database, name)
        while (task := database.do(claim, annotator)) is not None:
            by_method = {each.sources[0]: each.candidate_id for each in task.item.candidates}
            answer = RankingAnswer(kind="compare", ranks={by_method["tuned"]: 1, by_method["base"]: 2})
            database.do(submit, annotator, task.assignment_id, answer, base_revision=0)
    database.close()


def test_a_folder_of_outputs_becomes_a_defended_win_rate(
    project: ProjectMetadata, folder: Path, tmp_path: Path
) -> None:
    answered(project, folder)
    judge = [
        {"example_id": f"e{n}", "judged_by": "judge:sphinx", "method": method, "rank": rank}
        for n in range(3)
        for method, rank in (("base", 2), ("tuned", 1 + n % 2))
    ]
    write_lines(tmp_path / "judge.jsonl", judge)
    page, tables = tmp_path / "trial.html", tmp_path / "tables"
    told = annotate(project, "report", "trial", page, "--judge", tmp_path / "judge.jsonl", "--tables", tables).output
    assert "its tables are in" in told
    pairs = pd.read_parquet(tables / "pairs.parquet").set_index(["measure", "statistic"])
    people = pairs.loc[("ranks:people", "win_rate")]
    assert (people["arm"], people["baseline"], people["n"], people["n_judges"]) == ("base", "tuned", 3, 2)
    assert people["value"] == pytest.approx((0 + 0 + 0.5) / 3), "identical outputs tie"
    html = page.read_text("utf-8")
    for said in (
        "rankings (3 inputs, 2 annotators",
        "The judge sphinx is a language model",
        "Krippendorff",
        "for a tie",
    ):
        assert said in html
    assert "anna" not in html, "annotators stand under their pseudonyms"


def test_what_cannot_be_reported_is_said(project: ProjectMetadata, folder: Path, tmp_path: Path) -> None:
    annotate(project, "create", "empty", "--kind", "compare", "--folder", folder)
    result = annotate(project, "report", "empty", tmp_path / "page.html", fails=True)
    assert "nobody has answered in empty yet" in result.output
    answered(project, folder)
    row = {"example_id": "e0", "judged_by": "judge:sphinx", "method": "other", "rank": 1}
    write_lines(tmp_path / "judge.jsonl", [row])
    arguments = ["report", "trial", tmp_path / "page.html", "--judge", tmp_path / "judge.jsonl"]
    result = annotate(project, *arguments, fails=True)
    assert "the judge ranks other, and people base, tuned; call the methods alike in both" in result.output
    write_lines(tmp_path / "judge.jsonl", [row | {"judged_by": "human:zoe"}])
    assert "expected judge:<its name>" in annotate(project, *arguments, fails=True).output


def test_examples_are_drawn_at_random_where_that_is_asked(project: ProjectMetadata, tmp_path: Path) -> None:
    rows = [{"example_id": f"e{n}", "question": "?"} for n in range(40)]
    write_lines(tmp_path / "many" / "examples.jsonl", rows)
    for method in ("a", "b"):
        outputs = [{"example_id": f"e{n}", "output": f"{method} {n}"} for n in range(40)]
        write_lines(tmp_path / "many" / f"{method}.jsonl", outputs)
    for name, more in (("first", []), ("drawn", ["--draw"]), ("again", ["--draw"])):
        source = ["--kind", "compare", "--folder", tmp_path / "many", "--limit", 10]
        annotate(project, "create", name, *source, *more)
    ids = {
        name: [item.example_id for item in campaign(project, name).do(list_items)]
        for name in ("first", "drawn", "again")
    }
    assert ids["first"] == [f"e{n}" for n in range(10)]
    assert len(set(ids["drawn"])) == 10
    assert ids["drawn"] != ids["first"]
    assert ids["drawn"] == ids["again"]
