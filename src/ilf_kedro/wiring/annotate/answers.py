"""Bring a campaign's answers out and in, as files, sheets and a report."""

from __future__ import annotations

from pathlib import Path

import click

from ilf_kedro.datasets._paths import write_whole
from ilf_kedro.people import invite, list_items
from ilf_kedro.people.annotators import get_annotator
from ilf_kedro.people.database import Database
from ilf_kedro.people.formats import EXPORTS, IMPORTS, export, import_file
from ilf_kedro.people.records import list_records
from ilf_kedro.people.spreadsheet import check_out, read_sheet, write_sheet
from ilf_kedro.people.summary import summarise
from ilf_kedro.schemas import UserError
from ilf_kedro.wiring.annotate.group import EXISTING, FILE, annotate, read_text, with_campaign


@annotate.command("report")
@with_campaign
@click.argument("file", type=FILE)
@click.option("--judge", "judge_file", type=EXISTING, help="A judge's ranks of the same methods, as export has them.")
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
@with_campaign
@click.argument("file", type=FILE)
@click.option("--format", "format_", type=click.Choice(list(EXPORTS)), default="answers", show_default=True)
def export_answers(database: Database, file: Path, format_: str) -> None:
    """Write what the campaign NAME has collected to FILE."""
    text = database.do(export, format_)
    write_whole(file.absolute(), text.encode())
    click.echo(f"{file}: {text.count(chr(10))} lines")


@annotate.command("import")
@with_campaign
@click.argument("file", type=EXISTING)
@click.option("--format", "format_", type=click.Choice([*IMPORTS, "sheet"]), default="answers", show_default=True)
@click.option("--annotator", help="Whose sheet it is.")
def import_answers(database: Database, file: Path, format_: str, annotator: str | None) -> None:
    """Add the answers of FILE to the campaign NAME; what is there already stays as it is."""
    text = read_text(file)
    if format_ != "sheet":
        click.echo(f"{database.do(import_file, format_, text, file.name)} answer(s) added")
        return
    if annotator is None:
        raise UserError("a sheet is one annotator's; say whose, such as --annotator anna")
    owner = database.do(get_annotator, annotator).annotator_id
    answered, blank = database.do(read_sheet, owner, text, file.name)
    click.echo(f"{answered} task(s) handed in, {blank} left blank")


@annotate.command()
@with_campaign
@click.argument("file", type=FILE)
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
