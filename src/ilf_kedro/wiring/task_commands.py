"""`kedro ilf-task`: what the project makes of the user's data, in a terminal, without any model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata

from ilf_kedro.schemas import SPLITS, InvalidDataError, Split, UserError
from ilf_kedro.wiring.command_line import quiet_log

__all__ = ["task_group"]

Command = Callable[..., None]


@click.group("ilf-task")
def task_group() -> None:
    """Show what the project makes of your data. No model is loaded or asked, and nothing is saved."""


def _configured(command: Command) -> Command:
    """Give a command the options that choose the configuration, as `kedro run` has them."""
    for option in (
        click.option("--prompts", default="", help="Only these prompts, separated by commas, such as policy,judge."),
        click.option("--params", default="", help="Parameters, as for kedro run: task.explode=notes,seed=1."),
        click.option(
            "--conf-source", type=click.Path(exists=True), help="The configuration's folder or archive, if not conf/."
        ),
        click.option("--env", "-e", default=None, help="The environment, such as code; without it, conf/local."),
    ):
        command = option(command)
    return command


@task_group.command("check")
@_configured
@click.option("--rows", type=click.IntRange(min=1), default=3, show_default=True, help="How many rows to show.")
@click.option("--lines", type=click.IntRange(min=1), default=8, show_default=True, help="Lines shown of each text.")
@click.pass_obj
def check(metadata: ProjectMetadata, /, rows: int, lines: int, **options: Any) -> None:
    """Read the data, and show the first rows, every prompt, and what the data offer and lack.

    Every fault of every file is named, with its row, column and remedy, and every fault of a prompt; the command then
    ends with status 1, as a run would.
    """
    from ilf_kedro.wiring.task_view import TaskView

    view = TaskView(_read(metadata, options), lines=lines)
    view.show_offer()
    view.show_rows(rows)
    view.show_prompts("train", 1)
    if view.data.refused:
        raise InvalidDataError(view.data.faults, "Correct these rows; kedro run stops at them.")
    if faulty := [name for name, prompt in view.data.prompts.items() if isinstance(prompt, str)]:
        raise UserError(f"kedro run would stop at the prompts {', '.join(faulty)}: see above")


@task_group.command("show")
@click.argument("number", metavar="N", type=click.IntRange(min=1))
@_configured
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True, help="The split of the row.")
@click.pass_obj
def show(metadata: ProjectMetadata, /, number: int, split: Split, **options: Any) -> None:
    """Show row N of a split in full, from 1: what the project sees of it, and every prompt that it fills."""
    from ilf_kedro.wiring.task_view import TaskView

    data = _read(metadata, options)
    found = len(data.examples[split])
    if number > found:
        raise UserError(f"the {split} split has {found} rows, so no row {number}; expected N from 1 to {found}")
    view = TaskView(data)
    view.show_row(split, number)
    view.show_prompts(split, number)


def _read(metadata: ProjectMetadata, options: dict[str, Any]) -> Any:
    from ilf_kedro.wiring.task_data import read_task_data

    chosen = [name.strip() for name in options["prompts"].split(",") if name.strip()]
    session = KedroSession.create(
        metadata.project_path,
        env=options["env"],
        conf_source=options["conf_source"],
        runtime_params=options["params"] or None,
        save_on_close=False,
    )
    with session, quiet_log():
        context = session.load_context()
        return read_task_data(context, chosen)  # type: ignore[arg-type]  # settings.py says that it is the project's
