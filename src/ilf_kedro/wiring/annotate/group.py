"""`kedro annotate`: the group of commands, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata

from ilf_kedro.people.database import Database
from ilf_kedro.schemas import UserError

__all__ = ["EXISTING", "FILE", "GUIDELINES", "annotate", "campaign_path", "read_text", "with_campaign"]

Command = Callable[..., Any]

FILE = click.Path(path_type=Path, dir_okay=False)
EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)
GUIDELINES = """Read the input first, then every output.

Judge how well an output does what the input asks for: whether what it says is right, whether the important things are \
there, and whether it reads well. Length alone is no merit.

If you cannot judge a task, skip it and say why."""

_DEFAULT_FOLDER = "data/01_raw/annotation"


@click.group()
def annotate() -> None:
    """Ask people for feedback, comparisons and rankings, on a page of their own."""


def with_campaign(command: Command) -> Command:
    """Give a command its campaign by NAME, and close its file afterwards."""

    @click.argument("name")
    @click.option("--env", "-e", default=None, help="The environment whose folder of campaigns is meant.")
    @click.pass_obj
    def run(metadata: ProjectMetadata, /, name: str, env: str | None, **options: Any) -> None:
        database = Database(campaign_path(metadata, name, env))
        try:
            command(database, **options)
        finally:
            database.close()

    run.__doc__, run.__name__ = command.__doc__, command.__name__
    # Click lists parameters backwards: the command's own come after NAME.
    run.__click_params__ = [*getattr(command, "__click_params__", []), *run.__click_params__]  # type: ignore[attr-defined]
    return run


def campaign_path(metadata: ProjectMetadata, name: str, env: str | None) -> Path:
    """Return where an environment keeps the campaign of this name."""
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"{name!r} cannot be a campaign's name: use letters, digits, - and _")
    source = str(metadata.project_path / settings.CONF_SOURCE)
    loader = settings.CONFIG_LOADER_CLASS(source, env=env, **settings.CONFIG_LOADER_ARGS)
    folder = loader["globals"].get("annotation", _DEFAULT_FOLDER)
    return metadata.project_path / str(folder) / f"{name}.sqlite"


def read_text(file: Path) -> str:
    """Return a file's text, with or without a byte order mark."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
