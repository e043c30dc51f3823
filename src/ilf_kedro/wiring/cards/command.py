"""The commands `kedro ilf-card`; what they need is imported when they are called."""

from __future__ import annotations

from pathlib import Path

import click
from kedro.framework.startup import ProjectMetadata

__all__ = ["card_group"]

_ENVIRONMENT = click.option("--env", "-e", default=None, help="The environment whose tables are read.")
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("ilf-card")
def card_group() -> None:
    """Write a model or the data into a folder, with a card in the Hugging Face hub's format."""


@card_group.command("model")
@click.argument("model")
@click.argument("folder", type=_FOLDER)
@_ENVIRONMENT
@click.option(
    "--push", metavar="OWNER/NAME", help="The hub's repository; without --upload only what would be sent is shown."
)
@click.option("--upload", is_flag=True, help="Send it, with the token of `hf auth login` or HF_TOKEN.")
@click.pass_obj
def write_model(
    metadata: ProjectMetadata, model: str, folder: Path, env: str | None, push: str | None, upload: bool
) -> None:
    """Copy the weights of MODEL, such as finetune.refinements.n100, to FOLDER, and write its card beside them."""
    from ilf_kedro.wiring.cards.folders import model_folder, send

    click.echo(f"{model_folder(metadata, env, model, folder)}: the card; read it before you publish it")
    if push:
        send(folder, push, "model", really=upload, tell=click.echo)


@card_group.command("data")
@click.argument("folder", type=_FOLDER)
@_ENVIRONMENT
@click.pass_obj
def write_data(metadata: ProjectMetadata, folder: Path, env: str | None) -> None:
    """Write the card of the task's data to FOLDER. The data themselves are not copied."""
    from ilf_kedro.wiring.cards.folders import data_folder

    click.echo(f"{data_folder(metadata, env, folder)}: the card; say in it where the data come from")
