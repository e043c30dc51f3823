"""What happens around a run: parameters checked, inputs there, the last words of the log."""

from __future__ import annotations

import logging

import pytest
from click.testing import CliRunner
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.pipeline import Node, Pipeline
from kedro.pipeline.node import Node as NodeType

from ilf_kedro.cli import run as run_command
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.wiring.hooks.missing_inputs import MissingInputsError
from ilf_kedro.wiring.parameter_check import ParameterError
from tests.support.mini_project import MiniProject, project, text_entry

__all__ = ["project"]


def shout(text: str) -> str:
    return text.upper()


def node(source: str, target: str, **options: object) -> NodeType:
    return Node(shout, source, target, name=f"make_{target}", **options)  # type: ignore[arg-type]


@pytest.fixture
def chain(project: MiniProject) -> MiniProject:
    """first: raw → a → b (kept); second: b → c (kept), b → d (in memory); third: c and d → report."""
    entries = {name: text_entry(name, versioned=name != "raw") for name in ("raw", "a", "b", "c", "report")}
    project.write("base/catalog_texts.yml", entries)
    (project.path / "data" / "raw.txt").write_text("hello")
    project.register(
        first=Pipeline([node("raw", "a"), node("a", "b", tags="late")]),
        second=Pipeline([node("b", "c"), node("b", "d")]),
        third=Pipeline([Node(lambda c, d: c + d, ["c", "d"], "report", name="make_report")]),
    )
    return project


def kept(project: MiniProject, name: str) -> list[str]:
    return [file.read_text() for file in sorted((project.path / "data").glob(f"{name}.txt/*/{name}.txt"))]


def test_wrong_parameters_stop_before_the_registry_is_built(project: MiniProject) -> None:
    def explode() -> dict[str, Pipeline]:
        raise AssertionError("the registry was built")

    project.monkeypatch.setattr("ilf_kedro.pipeline_registry.register_pipelines", explode)
    with pytest.raises(ParameterError, match=r"refinement\.n_refinments"):
        project.run(params={"refinement": {"n_refinments": 1}})


def test_the_users_layer_counts_under_another_environment(project: MiniProject) -> None:
    """`--env test` with a key only in conf/local, as a node sees it."""
    project.write("test/parameters.yml", {"seed": 1})
    project.write("local/parameters.yml", {"refinement": {"n_refinements": 9}})
    seen: list[object] = []

    def look(options: RefinementOptions, seed: int) -> str:
        seen.extend([options.n_refinements, seed])
        return "done"

    project.register(only=Pipeline([Node(look, ["params:refinement", "params:seed"], "out", name="look")]))
    project.run(env="test")
    project.run(env="test", params={"refinement": {"n_refinements": 2}})
    assert seen == [9, 1, 2, 1]


def test_a_wrong_key_in_the_users_layer_is_refused(chain: MiniProject) -> None:
    chain.write("local/parameters.yml", {"sede": 1})
    with pytest.raises(ParameterError, match=r"sede \(conf/local/parameters.yml\).*nearest right one is seed"):
        chain.run(env="test")


def test_settings_of_a_train_size_that_is_not_there_are_warned_of(
    chain: MiniProject, caplog: pytest.LogCaptureFixture
) -> None:
    params = {"train_sizes": [2, 5], "finetune": {"per_size": [{"train_size": 5}, {"train_size": 7}]}}
    session = chain.session(params=params)
    with session, caplog.at_level(logging.WARNING, "ilf_kedro.wiring.hooks.parameters"):
        session.load_context()
    (line,) = [line.getMessage() for line in caplog.records if line.name == "ilf_kedro.wiring.hooks.parameters"]
    assert "train size 7, which is not in train_sizes (2, 5)" in line


def test_the_whole_chain_runs(chain: MiniProject) -> None:
    chain.run()
    assert kept(chain, "report") == ["HELLOHELLO"]


@pytest.mark.parametrize("options", [{"pipeline_name": "second"}, {"pipeline_names": ["second"]}])
def test_a_pipeline_alone_reads_what_the_last_run_kept(chain: MiniProject, options: dict[str, object]) -> None:
    chain.run(pipeline_names=["first"])
    chain.run(**options)
    assert kept(chain, "c") == ["HELLO"]


def test_missing_inputs_are_named_with_the_pipeline_that_makes_them(chain: MiniProject) -> None:
    with pytest.raises(MissingInputsError) as caught:
        chain.run(pipeline_names=["third"], env="test")
    lines = caught.value.format_message().splitlines()
    assert lines[0].startswith("2 missing inputs; nothing was run.")
    assert lines[1:] == [
        "  c: made by the pipeline second",
        "  d: made by the pipeline second (it is not in the catalog, so it is not kept between runs)",
        # first, because second needs b, which was never made either
        "Make them with: kedro run --pipelines first,second --env test",
    ]
    assert not (chain.path / "data" / "run_record.json").exists()


def test_what_is_there_need_not_be_made_again(chain: MiniProject) -> None:
    chain.run(pipeline_names=["first"])
    with pytest.raises(MissingInputsError, match=r"--pipelines second$"):
        chain.run(pipeline_names=["third"])


def test_a_missing_raw_file_is_named_with_its_place(chain: MiniProject) -> None:
    (chain.path / "data" / "raw.txt").unlink()
    with pytest.raises(
        MissingInputsError, match=r"raw: no pipeline makes it; put the file where .*data/raw\.txt"
    ) as caught:
        chain.run()
    assert "Make them with" not in str(caught.value)


def test_a_missing_model_is_named_with_the_command_that_makes_it(project: MiniProject) -> None:
    entry = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "local", "model": "data/absent"}
    project.write("base/catalog_models.yml", {"refiner": entry})
    project.register(only=Pipeline([node("refiner", "out")]))
    with pytest.raises(
        MissingInputsError, match=r"refiner: its model directory is missing; `make install`.*data/absent"
    ):
        project.run()


def test_an_input_that_nobody_knows_is_named(project: MiniProject) -> None:
    project.register(only=Pipeline([node("nowhere", "out")]))
    with pytest.raises(MissingInputsError, match="nowhere: no pipeline makes it, and it is not in the catalog"):
        project.run()


def test_an_older_version_can_be_asked_for(chain: MiniProject) -> None:
    chain.run(pipeline_names=["first"])
    (chain.path / "data" / "raw.txt").write_text("newer")
    (first,) = [path.name for path in (chain.path / "data" / "b.txt").iterdir()]
    chain.run(pipeline_names=["first"])
    chain.run(pipeline_names=["second"], load_versions={"b": first})
    chain.run(pipeline_names=["second"])
    assert kept(chain, "c") == ["HELLO", "NEWER"]


def test_tags_and_from_nodes_run_a_part(chain: MiniProject) -> None:
    chain.run(pipeline_names=["first"])
    chain.run(tags=["late"])
    assert (len(kept(chain, "a")), len(kept(chain, "b"))) == (1, 2)
    chain.run(from_nodes=["make_b"])
    assert (len(kept(chain, "a")), len(kept(chain, "b")), len(kept(chain, "report"))) == (1, 3, 1)


def test_a_registry_built_for_another_environment_is_forgotten(project: MiniProject) -> None:
    project.register(one=Pipeline([]))
    assert set(pipelines) == {"one", "__default__"}
    project.monkeypatch.setattr("ilf_kedro.pipeline_registry.register_pipelines", lambda: {"two": Pipeline([])})
    KedroSession.create(project.path, save_on_close=False).load_context()
    assert set(pipelines) == {"two"}


def test_the_last_lines_say_where_the_record_and_the_report_are(
    chain: MiniProject, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "ilf_kedro.wiring.hooks.outcome"):
        project_logger = logging.getLogger("ilf_kedro.wiring.hooks.outcome")
        chain.session()  # configures the logging
        project_logger.addHandler(caplog.handler)
        chain.run()
        project_logger.removeHandler(caplog.handler)
    messages = [line.getMessage() for line in caplog.records if line.name == "ilf_kedro.wiring.hooks.outcome"]
    record, report = list(dict.fromkeys(messages))  # twice where the logger also passes them on
    version = next((chain.path / "data" / "report.txt").iterdir()).name
    assert record == f"Run record: data/run_record.json/{version}/run_record.json"
    assert report == f"Report: data/report.txt/{version}/report.txt"
    assert (chain.path / report.removeprefix("Report: ")).is_file()


def test_a_report_that_was_left_to_an_earlier_run_is_named_where_it_is(
    chain: MiniProject, caplog: pytest.LogCaptureFixture
) -> None:
    chain.run()
    (first,) = (path.name for path in (chain.path / "data" / "report.txt").iterdir())
    logger = logging.getLogger("ilf_kedro.wiring.hooks.outcome")
    with caplog.at_level(logging.INFO, logger.name):
        chain.session()  # configures the logging
        logger.addHandler(caplog.handler)
        chain.run(only_missing_outputs=True)
        logger.removeHandler(caplog.handler)
    assert f"Report: data/report.txt/{first}/report.txt (made by an earlier run)" in caplog.messages
    assert [path.name for path in (chain.path / "data" / "report.txt").iterdir()] == [first]


def invoke(project: MiniProject, *arguments: str) -> tuple[int, str, BaseException | None]:
    """Run `kedro run` in this process, as the command line does."""
    project.monkeypatch.chdir(project.path)
    result = CliRunner().invoke(run_command, list(arguments))
    return result.exit_code, result.output, result.exception


def test_wrong_parameters_and_missing_inputs_end_a_command_with_their_message(chain: MiniProject) -> None:
    code, output, _ = invoke(chain, "--params", "finetune.arm=1,seeds=2")
    assert code == 1
    assert "finetune.arm (--params): unknown key (found 1); the nearest right one is finetune.arms" in output
    assert "seeds (--params): unknown key (found 2); the nearest right one is seed" in output
    code, output, _ = invoke(chain, "--pipeline", "second")
    assert code == 1
    assert "b: made by the pipeline first" in output
    assert "Traceback" not in output


def test_a_variable_that_an_environment_needs_ends_a_command_with_its_name(chain: MiniProject) -> None:
    chain.write("cloud/globals.yml", {"root": "${oc.env:ILF_ROOT}"})
    chain.monkeypatch.delenv("ILF_ROOT", raising=False)
    code, output, _ = invoke(chain, "--env", "cloud")
    assert code == 1
    assert output.splitlines()[-1].startswith("Error: the environment variable ILF_ROOT is not set")
    assert "Traceback" not in output


def test_the_installed_package_runs_as_a_command() -> None:
    """`python -m ilf_kedro` finds the run command and its options."""
    import ilf_kedro.__main__

    with pytest.raises(SystemExit) as caught:
        ilf_kedro.__main__.main(["--help"])
    assert caught.value.code == 0
