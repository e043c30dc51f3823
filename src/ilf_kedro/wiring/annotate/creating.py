"""Make a campaign: of tables, a folder or a file, or of what the annotators of another disagree on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata

from ilf_kedro.people import Settings, adjudication_items, create_campaign, list_items
from ilf_kedro.people.campaign import add_guidelines
from ilf_kedro.people.database import Database
from ilf_kedro.people.items import Item
from ilf_kedro.people.records import list_records, parse_lines
from ilf_kedro.schemas import UserError
from ilf_kedro.wiring.annotate.group import EXISTING, GUIDELINES, annotate, campaign_path, read_text, with_campaign
from ilf_kedro.wiring.annotate.sources import Question, ask_about_folder, ask_about_tables

_DEFAULTS = Settings(name="defaults")


@annotate.command()
@click.argument("name")
@click.option("--env", "-e", default=None, help="The environment whose catalog is read.")
@click.option("--kind", type=click.Choice(["feedback", "compare", "rank", "incorporated"]), help="What is asked.")
@click.option("--examples", default="examples.train", show_default=True, help="The table of examples.")
@click.option("--input", "inputs", multiple=True, help="A column to show as input; all inputs by default.")
@click.option("--output", "outputs", multiple=True, help="A column of the examples, or name=table[column=value].")
@click.option("--initial-output", default="initial_output", show_default=True, help="The column that changes are from.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="A folder of outputs.")
@click.option("--items", "items_file", type=EXISTING, help="Items as JSON lines, in place of tables.")
@click.option("--gold", "gold_file", type=EXISTING, help="Hidden checks: items with a right answer in `gold`.")
@click.option("--instructions", type=EXISTING, help="A text file; every annotator reads it first.")
@click.option("--code", help="The outputs are code of this language, such as python.")
@click.option("--class", "classes", multiple=True, help="A kind of fault that feedback can be given.")
@click.option("--limit", type=click.IntRange(min=1), help="Take the first so many examples.")
@click.option("--draw", is_flag=True, help="Draw these examples at random, by --seed, in place of the first ones.")
@click.option("--overlap", type=int, default=_DEFAULTS.overlap, show_default=True, help="Annotators per item.")
@click.option("--overlap-share", type=float, default=_DEFAULTS.overlap_share, help="Share of items with that overlap.")
@click.option("--gold-every", type=int, default=_DEFAULTS.gold_every, show_default=True, help="One check in so many.")
@click.option("--lease-minutes", type=float, default=_DEFAULTS.lease_seconds / 60, show_default=True)
@click.option("--idle-seconds", type=float, default=_DEFAULTS.idle_seconds, show_default=True)
@click.option("--round", "round_", type=int, default=0, show_default=True, help="The round, kept with each answer.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides who sees which output where.")
@click.option("--language", default="en", show_default=True, help="The page's language unless the annotator's differs.")
@click.pass_obj
def create(metadata: ProjectMetadata, /, name: str, env: str | None, **options: Any) -> None:
    """Make the campaign NAME from tables of the catalog, a folder of outputs, or a file of items."""
    path = campaign_path(metadata, name, env)
    chosen = Settings(
        name=name,
        seed=options["seed"],
        round=options["round_"],
        lease_seconds=options["lease_minutes"] * 60,
        **{
            key: options[key]
            for key in ("overlap", "overlap_share", "gold_every", "idle_seconds", "classes", "language")
        },
    )
    items = _items(metadata, env, options)
    if options["gold_file"]:
        items += _read_items(options["gold_file"])
    instructions: Path | None = options["instructions"]
    guidelines = instructions.read_text(encoding="utf-8") if instructions else GUIDELINES
    create_campaign(path, chosen, items, guidelines).close()
    n_asked = sum(item.is_asked and item.gold is None for item in items)
    click.echo(f"{path}: {n_asked} items, {chosen.overlap} annotator(s) each. Next: kedro annotate serve {name}")
    if n_same := sum(not item.is_asked for item in items):
        click.echo(f"{n_same} more have identical outputs: they are ties, and nobody is asked")


@annotate.command("instruct")
@with_campaign
@click.argument("file", type=EXISTING)
def instruct(database: Database, file: Path) -> None:
    """Give the campaign NAME new instructions, which everyone reads before the next task."""
    click.echo(f"version {database.do(add_guidelines, read_text(file))} of the instructions")


@annotate.command("adjudicate")
@with_campaign
@click.argument("new")
@click.option("--below", type=float, default=1.0, show_default=True, help="Take items with less agreement than this.")
@click.option("--seed", type=int, default=1, show_default=True)
def adjudicate(database: Database, new: str, below: float, seed: int) -> None:
    """Make the campaign NEW of the items of NAME that annotators disagree on, their answers beside, without names."""
    items = adjudication_items(database.do(list_items), database.do(list_records), below=below)
    if not items:
        raise UserError(f"no two annotators agree less than {below:g} on any item; there is nothing to settle")
    path = database.path.with_name(f"{new}.sqlite")
    create_campaign(path, Settings(name=new, seed=seed), items, GUIDELINES).close()
    click.echo(f"{path}: {len(items)} items. Next: kedro annotate serve {new}")


def _items(metadata: ProjectMetadata, env: str | None, options: dict[str, Any]) -> list[Item]:
    if options["items_file"]:
        return _read_items(options["items_file"])
    if options["kind"] is None:
        raise UserError("say what is asked: --kind feedback, compare, rank or incorporated (or give --items)")
    question = Question(
        options["kind"],
        options["inputs"],
        options["initial_output"],
        options["code"],
        options["limit"],
        options["seed"] if options["draw"] else None,
    )
    if options["folder"]:
        return ask_about_folder(question, options["folder"])
    with KedroSession.create(project_path=metadata.project_path, env=env, save_on_close=False) as session:
        context = session.load_context()  # type: ignore[attr-defined]  # Kedro's class
        return ask_about_tables(
            context.catalog, question, context.parameters.task, options["examples"], options["outputs"]
        )


def _read_items(file: Path) -> list[Item]:
    return parse_lines(read_text(file), file.name, Item)
