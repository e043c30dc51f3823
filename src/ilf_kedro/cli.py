"""The project's own commands beside Kedro's: `annotate`, and those that begin with `ilf-`."""

from __future__ import annotations

from pathlib import Path

import click
from kedro.framework.cli.cli import project_commands
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import load_entry_points
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.wiring.annotate import annotate
from ilf_kedro.wiring.cards.command import card_group
from ilf_kedro.wiring.command_line import with_one_message
from ilf_kedro.wiring.forecast_command import forecast_command
from ilf_kedro.wiring.lineage.command import lineage_group
from ilf_kedro.wiring.task_commands import task_group

# `run` is what a packaged project runs: Kedro takes it from here where there is a cli module.
__all__ = ["cli", "run"]

run = with_one_message(kedro_run)


class _Commands(click.Group):
    """The project's own commands, and before all others Kedro's and its plugins', so that each ends in one message."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        for group in (*load_entry_points("project"), project_commands):
            command = command or group.get_command(ctx, cmd_name)
        return command and with_one_message(command)


@click.group(name="ilf_kedro", cls=_Commands)
def cli() -> None:
    """Commands that Kedro adds to its own in this project."""


cli.add_command(forecast_command)
cli.add_command(annotate)
cli.add_command(lineage_group)
cli.add_command(card_group)
cli.add_command(task_group)


@cli.group("ilf-cache")
def cache_group() -> None:
    """Look after the completion cache, which keeps every answer of a language model."""


_ENVIRONMENT = click.option("--env", "-e", default=None, help="The environment whose cache is meant.")
_FILE = click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False), help="The cache file, if not `cache` of globals.yml."
)


@cache_group.command("size")
@_ENVIRONMENT
@_FILE
@click.pass_obj
def show_size(metadata: ProjectMetadata, env: str | None, file: Path | None) -> None:
    """Show how many answers are kept, on how many bytes, and how often one was found."""
    cache = _find_cache(metadata, env, file)
    statistics = cache.statistics()
    rate = "no look-up yet" if statistics.hit_rate is None else f"{statistics.hit_rate:.1%} found"
    click.echo(f"{cache.path}: {statistics.entries} answers, {_megabytes(statistics.n_bytes)}")
    click.echo(f"Look-ups so far: {statistics.hits + statistics.misses}, {rate}")


@cache_group.command("prune")
@click.option("--older-than-days", type=click.IntRange(min=0), required=True, help="Days since the last use.")
@_ENVIRONMENT
@_FILE
@click.pass_obj
def prune(metadata: ProjectMetadata, env: str | None, file: Path | None, older_than_days: int) -> None:
    """Delete answers that were not used for some time. They will be computed, or paid for, again."""
    cache = _find_cache(metadata, env, file)
    before = cache.size()
    deleted = cache.prune(older_than_days)
    click.echo(f"{cache.path}: {deleted} answers deleted, {_megabytes(max(0, before - cache.size()))} freed")


def _find_cache(metadata: ProjectMetadata, env: str | None, file: Path | None) -> CompletionCache:
    """Return the existing cache file that is meant."""
    if file is None:
        conf_source = metadata.project_path / settings.CONF_SOURCE
        loader = settings.CONFIG_LOADER_CLASS(str(conf_source), env=env, **settings.CONFIG_LOADER_ARGS)
        configured = loader["globals"].get("cache")
        if not configured:
            raise click.ClickException("globals.yml names no `cache`; name the file with --file")
        file = metadata.project_path / str(configured)
    if not file.is_file():
        raise click.ClickException(f"there is no completion cache at {file}: it is made at the first question")
    return CompletionCache(file)


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
