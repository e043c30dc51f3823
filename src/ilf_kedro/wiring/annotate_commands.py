"""`kedro annotate`: make a campaign, serve its page, and bring answers out and in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from kedro.framework.project import settings
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata

from ilf_kedro.datasets._paths import write_whole
from ilf_kedro.people import Settings, adjudication_items, create_campaign, erase, invite, list_items, revoke
from ilf_kedro.people.annotators import get_annotator
from ilf_kedro.people.assignment import reopen_skipped
from ilf_kedro.people.campaign import add_guidelines
from ilf_kedro.people.database import Database
from ilf_kedro.people.formats import EXPORTS, IMPORTS, export, import_file
from ilf_kedro.people.items import Item
from ilf_kedro.people.records import list_records, parse_lines
from ilf_kedro.people.spreadsheet import check_out, read_sheet, write_sheet
from ilf_kedro.people.summary import summarise
from ilf_kedro.schemas import UserError
from ilf_kedro.wiring.annotation_sources import Question, ask_about_folder, ask_about_tables

__all__ = ["annotate"]

Command = Callable[..., Any]

_DEFAULT_FOLDER = "data/01_raw/annotation"
_FILE = click.Path(path_type=Path, dir_okay=False)
_EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)
_DEFAULTS = Settings(name="defaults")
_GUIDELINES = """Read the input first, then every output.

Judge how well an output does what the input asks for: whether what it says is right, whether the important things are \
there, and whether it reads well. Length alone is no merit.

If you cannot judge a task, skip it and say why."""


@click.group()
def annotate() -> None:
    """Ask people for feedback, comparisons and rankings, on a page of their own."""


def _campaign(command: Command) -> Command:
    """Give a command its campaign by NAME, and close its file afterwards."""

    @click.argument("name")
    @click.option("--env", "-e", default=None, help="The environment whose folder of campaigns is meant.")
    @click.pass_obj
    def with_campaign(metadata: ProjectMetadata, /, name: str, env: str | None, **options: Any) -> None:
        database = Database(_path(metadata, name, env))
        try:
            command(database, **options)
        finally:
            database.close()

    with_campaign.__doc__, with_campaign.__name__ = command.__doc__, command.__name__
    # Click lists parameters backwards: the command's own come after NAME.
    with_campaign.__click_params__ = [*getattr(command, "__click_params__", []), *with_campaign.__click_params__]  # type: ignore[attr-defined]
    return with_campaign


@annotate.command()
@click.argument("name")
@click.option("--env", "-e", default=None, help="The environment whose catalog is read.")
@click.option("--kind", type=click.Choice(["feedback", "compare", "rank", "incorporated"]), help="What is asked.")
@click.option("--examples", default="examples.train", show_default=True, help="The table of examples.")
@click.option("--input", "inputs", multiple=True, help="A column to show as input; all inputs by default.")
@click.option("--output", "outputs", multiple=True, help="A column of the examples, or name=table[column=value].")
@click.option("--initial-output", default="initial_output", show_default=True, help="The column that changes are from.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="A folder of outputs.")
@click.option("--items", "items_file", type=_EXISTING, help="Items as JSON lines, in place of tables.")
@click.option("--gold", "gold_file", type=_EXISTING, help="Hidden checks: items with a right answer in `gold`.")
@click.option("--instructions", type=_EXISTING, help="A text file; every annotator reads it first.")
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
    path = _path(metadata, name, env)
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
    guidelines = instructions.read_text(encoding="utf-8") if instructions else _GUIDELINES
    create_campaign(path, chosen, items, guidelines).close()
    n_asked = sum(item.is_asked and item.gold is None for item in items)
    click.echo(f"{path}: {n_asked} items, {chosen.overlap} annotator(s) each. Next: kedro annotate serve {name}")
    if n_same := sum(not item.is_asked for item in items):
        click.echo(f"{n_same} more have identical outputs: they are ties, and nobody is asked")


@annotate.command()
@_campaign
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; elsewhere needs links.")
@click.option("--port", type=int, default=8080, show_default=True)
@click.option("--annotator", default="me", show_default=True, help="Whose link to print, on this machine.")
@click.option("--languages", type=click.Path(path_type=Path, file_okay=False, exists=True), help="More languages.")
@click.option("--certificate", type=_EXISTING, help="For https, with --key.")
@click.option("--key", type=_EXISTING)
def serve(
    database: Database,
    host: str,
    port: int,
    annotator: str,
    languages: Path | None,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """Serve the page of the campaign NAME until Ctrl-C."""
    try:
        from ilf_kedro.people import serving
    except ImportError as error:
        raise UserError(
            f"the page needs the extra `ui` ({error.name} is missing): pip install 'ilf-kedro[ui]'"
        ) from None
    if (certificate is None) != (key is None):
        raise UserError("--certificate and --key go together")
    here = serving.is_loopback(host)
    address = f"{'https' if certificate else 'http'}://{host}:{port}"

    def tell() -> None:
        link = f"{address}/enter/{database.do(invite, annotator)}" if here else address
        click.echo(f"{link}\nCtrl-C stops the page; nothing is lost.")

    pair = (certificate, key) if certificate and key else None
    serving.serve(database, host=host, port=port, languages=languages, certificate=pair, ready=tell)


@annotate.command("invite")
@_campaign
@click.option("--annotator", required=True, help="The name; it stays in the campaign's file.")
@click.option("--language", help="The language of their page.")
@click.option("--address", default="http://127.0.0.1:8080", show_default=True, help="Where they reach the page.")
def invite_annotator(database: Database, annotator: str, language: str | None, address: str) -> None:
    """Print an annotator's link to the campaign NAME; a link that they had before ends."""
    click.echo(f"{address.rstrip('/')}/enter/{database.do(invite, annotator, language)}")


@annotate.command("revoke")
@_campaign
@click.option("--annotator", required=True)
def revoke_link(database: Database, annotator: str) -> None:
    """End an annotator's link to the campaign NAME; what they answered stays."""
    database.do(revoke, annotator)
    click.echo(f"the link of {annotator} has ended")


@annotate.command("erase")
@_campaign
@click.option("--annotator", required=True)
@click.option("--with-answers", is_flag=True, help="Remove what they answered as well.")
def erase_annotator(database: Database, annotator: str, with_answers: bool) -> None:
    """Remove an annotator's name from the campaign NAME, with the answers on request."""
    pseudonym = erase(database, annotator, answers=with_answers)
    click.echo(f"the name is gone; exports call them {pseudonym}, as before")


@annotate.command()
@_campaign
def status(database: Database) -> None:
    """Show how far the campaign NAME is, and how its annotators do."""
    done = database.do(summarise)
    click.echo(f"{done.complete} of {done.items} items have all their answers ({done.answers} answers)")
    if done.agreement is not None:
        click.echo(f"annotators agree to {done.agreement:.0%} on {done.pairs} pair(s) of answers, ties counted")
    for each in done.annotators:
        checks = f", {each.checks_right} of {each.checks} checks right" if each.checks else ""
        median = f", {each.median_seconds:.0f} s of work at the median" if each.median_seconds is not None else ""
        link = "" if each.has_link else ", no link"
        click.echo(f"  {each.name}: {each.answered} answered, {each.skipped} skipped{checks}{median}{link}")


@annotate.command("report")
@_campaign
@click.argument("file", type=_FILE)
@click.option("--judge", "judge_file", type=_EXISTING, help="A judge's ranks of the same methods, as export has them.")
@click.option("--tables", type=click.Path(path_type=Path, file_okay=False), help="A folder for the tables, as Parquet.")
@click.option("--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides what resampling draws.")
def report_answers(
    database: Database, file: Path, judge_file: Path | None, tables: Path | None, confidence: float, seed: int
) -> None:
    """Write to FILE, an HTML page, which method is better by the campaign NAME, and how its annotators did."""
    from ilf_kedro.evaluation.intervals import Bootstrap
    from ilf_kedro.pipelines.contrasts.method_rankings import read_method_rankings
    from ilf_kedro.tasks.reading import read_bytes
    from ilf_kedro.wiring.campaign_report import report_campaign

    judged = None
    if judge_file:
        judged = read_method_rankings(read_bytes(judge_file.name, judge_file.read_bytes()))
        if people := sorted(set(judged["judged_by"][~judged["judged_by"].str.startswith("judge:")])):
            raise UserError(f"{judge_file}: judged_by {people[0]!r}; expected judge:<its name> in every row")
    records, items = database.do(list_records), database.do(list_items)
    made = report_campaign(database.path.stem, records, items, Bootstrap(confidence, seed=seed), judged)
    write_whole(file.absolute(), made.html.encode())
    if tables:
        tables.mkdir(parents=True, exist_ok=True)
        for name, table in made.tables.items():
            table.to_parquet(tables / f"{name}.parquet")
    click.echo(f"{file}: the report" + (f"; its tables are in {tables}" if tables else ""))


@annotate.command("export")
@_campaign
@click.argument("file", type=_FILE)
@click.option("--format", "format_", type=click.Choice(list(EXPORTS)), default="answers", show_default=True)
def export_answers(database: Database, file: Path, format_: str) -> None:
    """Write what the campaign NAME has collected to FILE."""
    text = database.do(export, format_)
    write_whole(file.absolute(), text.encode())
    click.echo(f"{file}: {text.count(chr(10))} lines")


@annotate.command("import")
@_campaign
@click.argument("file", type=_EXISTING)
@click.option("--format", "format_", type=click.Choice([*IMPORTS, "sheet"]), default="answers", show_default=True)
@click.option("--annotator", help="Whose sheet it is.")
def import_answers(database: Database, file: Path, format_: str, annotator: str | None) -> None:
    """Add the answers of FILE to the campaign NAME; what is there already stays as it is."""
    text = _read_text(file)
    if format_ != "sheet":
        click.echo(f"{database.do(import_file, format_, text, file.name)} answer(s) added")
        return
    if annotator is None:
        raise UserError("a sheet is one annotator's; say whose, such as --annotator anna")
    owner = database.do(get_annotator, annotator).annotator_id
    answered, blank = database.do(read_sheet, owner, text, file.name)
    click.echo(f"{answered} task(s) handed in, {blank} left blank")


@annotate.command()
@_campaign
@click.argument("file", type=_FILE)
@click.option("--annotator", required=True)
@click.option("--tasks", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), default=7.0, show_default=True)
def sheet(database: Database, file: Path, annotator: str, tasks: int, days: float) -> None:
    """Write tasks of the campaign NAME to a CSV, to be filled in away from any network."""
    known = [each.name for each in database.do(summarise).annotators]
    if annotator not in known:
        database.do(invite, annotator)
    taken = database.do(check_out, database.do(get_annotator, annotator).annotator_id, tasks, days=days)
    if not taken:
        raise UserError(f"nothing is left for {annotator} at the moment")
    write_whole(file.absolute(), write_sheet(taken).encode())
    click.echo(f"{file}: {len(taken)} tasks, {annotator}'s alone for {days:g} days")


@annotate.command("reopen")
@_campaign
def reopen(database: Database) -> None:
    """Hand the skipped tasks of the campaign NAME out again."""
    click.echo(f"{database.do(reopen_skipped)} skipped task(s) are open again")


@annotate.command("instruct")
@_campaign
@click.argument("file", type=_EXISTING)
def instruct(database: Database, file: Path) -> None:
    """Give the campaign NAME new instructions, which everyone reads before the next task."""
    click.echo(f"version {database.do(add_guidelines, _read_text(file))} of the instructions")


@annotate.command("adjudicate")
@_campaign
@click.argument("new")
@click.option("--below", type=float, default=1.0, show_default=True, help="Take items with less agreement than this.")
@click.option("--seed", type=int, default=1, show_default=True)
def adjudicate(database: Database, new: str, below: float, seed: int) -> None:
    """Make the campaign NEW of the items of NAME that annotators disagree on, their answers beside, without names."""
    items = adjudication_items(database.do(list_items), database.do(list_records), below=below)
    if not items:
        raise UserError(f"no two annotators agree less than {below:g} on any item; there is nothing to settle")
    path = database.path.with_name(f"{new}.sqlite")
    create_campaign(path, Settings(name=new, seed=seed), items, _GUIDELINES).close()
    click.echo(f"{path}: {len(items)} items. Next: kedro annotate serve {new}")


def _path(metadata: ProjectMetadata, name: str, env: str | None) -> Path:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"{name!r} cannot be a campaign's name: use letters, digits, - and _")
    source = str(metadata.project_path / settings.CONF_SOURCE)
    loader = settings.CONFIG_LOADER_CLASS(source, env=env, **settings.CONFIG_LOADER_ARGS)
    folder = loader["globals"].get("annotation", _DEFAULT_FOLDER)
    return metadata.project_path / str(folder) / f"{name}.sqlite"


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
    return parse_lines(_read_text(file), file.name, Item)


def _read_text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
