"""The command `kedro ilf-forecast`; what it needs is imported when it is called."""

from __future__ import annotations

from typing import Any

import click
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from kedro.pipeline import Pipeline

from ilf_kedro.wiring.command_line import CommandError, quiet_log
from ilf_kedro.wiring.selected_names import find_unknown_names

__all__ = ["forecast_command"]


@click.command("ilf-forecast")
@click.option("--pipelines", "names", default="__default__", help="Pipelines, separated by commas.")
@click.option("--env", "-e", default=None, help="The environment of the run.")
@click.option("--params", default="", help="As for kedro run.")
@click.pass_obj
def forecast_command(metadata: ProjectMetadata, names: str, env: str | None, params: Any) -> None:
    """Tell what a run would ask of servers: requests, tokens, price and time. Nothing is asked."""
    from ilf_kedro.wiring.forecast import forecast_run

    wanted = [name.strip() for name in names.split(",") if name.strip()]
    created = KedroSession.create(metadata.project_path, env=env, runtime_params=params or None)
    with created, quiet_log():  # nodes speak of made-up texts
        context = created.load_context()
        if unknown := find_unknown_names({"pipelines": wanted}):
            raise CommandError("\n".join(unknown))
        chosen = sum((pipelines[name] for name in wanted), Pipeline([]))
        forecast = forecast_run(chosen, context.catalog.load)
    for line in forecast.lines():
        click.echo(line)
