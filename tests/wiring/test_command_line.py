"""A fault ends a command in one message, whatever raised it; its traceback goes to the log file."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.project import configure_project
from kedro.io import DatasetError
from kedro.pipeline import Node, Pipeline

from ilf_kedro.cli import run
from ilf_kedro.prompting.templates import TemplateError
from ilf_kedro.wiring.command_line import CommandError, explain, logger
from tests.support.mini_project import MiniProject, project

__all__ = ["project"]


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """The file that conf/logging.yml gives to tracebacks."""
    others, path = logger.handlers[:], tmp_path / "info.log"
    handler = logging.FileHandler(path, delay=True)
    logger.handlers = [handler]
    yield path
    logger.handlers = others
    handler.close()


def invoke(project: MiniProject, *arguments: str) -> Result:
    """Run `kedro run` in this process, as the command line does."""
    project.monkeypatch.chdir(project.path)
    return CliRunner().invoke(run, list(arguments))


def kedro(project: MiniProject, *arguments: str) -> Result:
    """Run any command of `kedro` from the project's folder, as its console script does."""
    (project.path / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "ilf_kedro"\nproject_name = "x"\nkedro_init_version = "1.7.0"\nsource_dir = ""\n'
    )
    project.monkeypatch.chdir(project.path)
    configure_project("ilf_kedro")
    return CliRunner().invoke(KedroCLI(project.path), list(arguments), prog_name="kedro")


def failing(project: MiniProject, error: BaseException) -> MiniProject:
    """Let the project's only node raise an error."""

    def fail() -> str:
        raise error

    project.register(only=Pipeline([Node(fail, None, "out", name="fail", tags="early")]))
    return project


def only_message(result: Result, status: int = 1) -> str:
    """Return the message that a command ended with, which is all that it said of the error."""
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    assert f"\n{result.output}".count("\nError: ") == 1, result.output
    return f"\n{result.output}".partition("\nError: ")[2].strip()


def test_an_error_of_the_projects_own_is_told_with_its_node(project: MiniProject, log_file: Path) -> None:
    error = TemplateError(f"the file {project.path}/conf/prompt.yml lacks the slot 'post'")
    result = invoke(failing(project, error))
    assert only_message(result) == "the file conf/prompt.yml lacks the slot 'post'\n(in the node fail)"
    assert result.output.count("lacks the slot") == 1
    assert "Traceback (most recent call last)" in log_file.read_text()
    with pytest.raises(TemplateError):
        project.run()


def test_verbose_shows_the_traceback_without_secrets(project: MiniProject, log_file: Path) -> None:
    result = invoke(failing(project, TemplateError("api_key=hunter2")), "--verbose")
    assert "Traceback (most recent call last)" in result.output
    assert result.output.endswith("Error: api_key=***\n(in the node fail)\n")
    assert "hunter2" not in result.output + log_file.read_text()
    assert "Traceback" not in invoke(project).output


def test_a_defect_says_that_it_is_one_and_where_its_traceback_is(project: MiniProject, log_file: Path) -> None:
    message = only_message(invoke(failing(project, KeyError("oops"))))
    assert message.startswith("KeyError: 'oops'\n(in the node fail)\nThis is a defect of ilf_kedro")
    assert "The traceback is in info.log; please report it." in message
    assert "KeyError: 'oops'" in log_file.read_text()


def test_where_no_log_file_can_be_written_the_option_is_named(project: MiniProject, log_file: Path) -> None:
    log_file.mkdir()
    assert "is shown with --verbose" in only_message(invoke(failing(project, KeyError("oops"))))


def test_after_ctrl_c_one_line_says_that_a_rerun_goes_on(project: MiniProject) -> None:
    message = only_message(invoke(failing(project, KeyboardInterrupt())), status=130)
    assert message == "interrupted; the same command goes on from the answers and trainings that are kept"


def test_a_disk_that_is_full_is_told_as_what_it_is(project: MiniProject) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "data/x.parquet")
    assert only_message(invoke(failing(project, full))).startswith(
        "[Errno 28] No space left on device: 'data/x.parquet'"
    )


def test_a_run_record_that_cannot_be_written_does_not_hide_why_the_run_failed(project: MiniProject) -> None:
    def fail() -> str:
        (project.path / "data" / "run_record.json").rename(project.path / "data" / "elsewhere")
        (project.path / "data" / "run_record.json").write_text("in the way")
        raise TemplateError("the prompt is wrong")

    project.register(only=Pipeline([Node(fail, None, "out", name="fail")]))
    message = only_message(invoke(project))
    assert message.startswith("the prompt is wrong\n(in the node fail)\nThe run record could not be written: ")
    assert "data/run_record.json" in message


def test_a_run_record_that_cannot_be_written_ends_in_one_message(project: MiniProject) -> None:
    (project.path / "data" / "run_record.json").write_text("in the way")
    project.register(only=Pipeline([Node(lambda: "x", None, "out", name="make")]))
    assert "data/run_record.json" in only_message(invoke(project))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--nodes", "fial"), "--nodes: there is no node 'fial' in the pipeline __default__; did you mean 'fail'?"),
        (("--tags", "late"), "--tags: there is no tag 'late' in the pipeline __default__; known: early"),
        (("--tags", "early,late"), "--tags: there is no tag 'late' in the pipeline __default__; known: early"),
        (("--namespaces", "x"), "--namespaces: there is no namespace 'x' in the pipeline __default__; known: none"),
        (("--to-outputs", "x"), "--to-outputs: there is no data set 'x' in the pipeline __default__; known: out"),
        (("--pipelines", "onyl"), "--pipelines: there is no pipeline 'onyl'; did you mean 'only'?"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_or_all(
    project: MiniProject, arguments: tuple[str, ...], message: str
) -> None:
    assert only_message(invoke(failing(project, KeyError("not run")), *arguments)).endswith(message)


@pytest.mark.parametrize(
    ("arguments", "words", "status"),
    [
        (("--load-versions", "a=2026"), "'load_versions' to be 'dataset_name:YYYY-MM-DDThh.mm.ss.sssZ'", 1),
        (("--params", "train_sizes=4"), "train_sizes (--params): found 4, expected a list", 1),
        (("--params", "train_sizes=[4"), "train_sizes: found '[4', which is no value in YAML", 2),
        (("--params", "refinement.api_token=hunter2"), "refinement.api_token (--params): unknown key (found '***')", 1),
        (("--env", "tset"), "there is no environment 'tset'", 1),
        (("--runner", "NoRunner"), "NoRunner", 1),
        (("--nosuch",), "No such option '--nosuch'", 2),
    ],
)
def test_a_wrong_option_ends_in_one_message(
    project: MiniProject, arguments: tuple[str, ...], words: str, status: int
) -> None:
    assert words in only_message(invoke(failing(project, KeyError("not run")), *arguments), status)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("catalog", "describe-datasets"),
        ("catalog", "resolve-patterns"),
        ("run", "--verbose", "--env", "test"),
    ],
)
def test_every_command_of_kedro_ends_in_one_message(project: MiniProject, arguments: tuple[str, ...]) -> None:
    project.write("base/catalog_texts.yml", {"raw": {"type": "text.TextDataset", "filepaht": "x"}})
    project.register(only=Pipeline([]))
    result = kedro(project, *arguments)
    assert result.exit_code == 1
    assert ("Traceback" in result.output) == ("--verbose" in arguments)
    assert "raw (conf/base/catalog_texts.yml): unknown key 'filepaht'; did you mean 'filepath'?" in result.output


def test_what_kedro_itself_refuses_is_one_message(project: MiniProject) -> None:
    project.register(only=Pipeline([]))
    assert only_message(kedro(project, "registry", "describe", "onyl")).startswith("'onyl' pipeline not found.")


def raised(*errors: Exception) -> Exception:
    """Raise each error from the one before, as wrappers do, and return the last."""
    cause: Exception | None = None
    for error in errors:
        try:
            raise error from cause
        except Exception as caught:  # noqa: BLE001
            cause = caught
    assert cause is not None
    return cause


def in_our_code(make: Callable[[], Exception]) -> Exception:
    """Return an error whose traceback leads through a module of the package."""
    namespace: dict[str, object] = {"__name__": "ilf_kedro.somewhere", "make": make}
    exec("def fail():\n    raise make()", namespace)
    try:
        namespace["fail"]()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError


def test_a_message_is_told_from_a_defect() -> None:
    own = TemplateError("the prompt is wrong")
    assert explain(raised(own)) == "the prompt is wrong"
    assert explain(raised(own, DatasetError("Failed while loading"))) == "the prompt is wrong"
    assert explain(raised(DatasetError("no file"), DatasetError("x: no file"))) == "x: no file"
    assert explain(raised(FileNotFoundError("gone"), DatasetError("x: gone"))) == "x: gone"
    assert explain(raised(ValueError("no protocol"), DatasetError("x: no protocol"))) == "x: no protocol"
    assert explain(raised(CommandError("again"))) == "again"
    assert explain(raised(KeyError("of Kedro's"))) == "of Kedro's"
    for defect in (KeyError("column"), FileNotFoundError("gone"), ValueError("x")):
        assert explain(in_our_code(lambda defect=defect: defect)) is None  # type: ignore[misc]
    wrapped = in_our_code(lambda: KeyError("column"))
    assert explain(raised(wrapped, DatasetError("Failed while loading"))) is None
