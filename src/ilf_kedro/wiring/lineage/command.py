"""The commands `kedro ilf-lineage`; what they need is imported when they are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from kedro.framework.startup import ProjectMetadata

from ilf_kedro.schemas import UserError, nearest, printable
from ilf_kedro.schemas.wording import counted

__all__ = ["lineage_group"]

_ENVIRONMENT = click.option("--env", "-e", default=None, help="The environment whose tables are read.")


@click.group("ilf-lineage")
def lineage_group() -> None:
    """Show where what models learned came from, by the tables of the last runs. Nothing is run or saved."""


@lineage_group.command("output")
@click.argument("model")
@click.argument("example", required=False)
@_ENVIRONMENT
@click.option("--rows", type=click.IntRange(min=0), default=3, show_default=True, help="Training rows to show.")
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), help="A CSV file for all training rows.")
@click.pass_obj
def trace_output(
    metadata: ProjectMetadata, model: str, example: str | None, env: str | None, rows: int, to: Path | None
) -> None:
    """Trace MODEL, such as finetune.refinements.n100, and what it wrote for the test EXAMPLE.

    From the output to the checkpoint, its training rows, the refinements that they are, the feedback and its annotator.
    """
    from ilf_kedro.wiring.lineage.tables import LineageTables

    tables = LineageTables.read(metadata, env)
    traced = tables.training_rows(model)
    if example:
        for text in tables.outputs(model, example):
            click.echo(f"output for {example}: {_line(text)}")
    click.echo(f"checkpoint: {tables.checkpoint(model)}")
    known = traced["annotator"].dropna()
    people = f" by {counted(known.nunique(), 'annotator')}" if len(known) else ""
    click.echo(f"finetuned on {len(traced)} rows, {traced['feedback'].notna().sum()} with feedback{people}")
    for row in traced.head(rows).to_dict("records"):
        sample = "" if row["sample_index"] != row["sample_index"] else f" {int(row['sample_index'])}"
        score = "" if row["score"] != row["score"] else f", scored {row['score']:.3f} by {tables.target_scorer}"
        click.echo(f"\n{row['example_id']}: {_line(row['target'])}")
        click.echo(f"  written by: {row['written_by'].replace('_', ' ')}{sample}{score}")
        if isinstance(row["feedback"], str):
            whose = f" ({row['annotator']})" if isinstance(row["annotator"], str) else ""
            click.echo(f"  feedback{whose}: {_line(row['feedback'])}")
    if to:
        traced.to_csv(to, index=False)
        click.echo(f"\n{to}: all {len(traced)} training rows")
    elif len(traced) > rows:
        click.echo(f"\n… and {len(traced) - rows} more; --rows shows more, --to FILE.csv writes all")


@lineage_group.command("annotator")
@click.argument("annotator")
@_ENVIRONMENT
@click.pass_obj
def trace_annotator(metadata: ProjectMetadata, annotator: str, env: str | None) -> None:
    """List what the answers of ANNOTATOR reached: examples, comparisons, and the models trained on them."""
    from ilf_kedro.wiring.lineage.tables import LineageTables

    tables = LineageTables.read(metadata, env)
    _require_known([annotator], tables.annotators)
    for what, n in tables.rows_of([annotator]).items():
        click.echo(f"{what}: {counted(n, 'row')}")
    for each in tables.touched([annotator]):
        if each.n_rows:
            click.echo(f"{each.model}: {each.n_rows} of {each.n_all} training rows")


@lineage_group.command("without")
@click.argument("annotators", nargs=-1, required=True)
@_ENVIRONMENT
@click.pass_obj
def plan_without(metadata: ProjectMetadata, annotators: tuple[str, ...], env: str | None) -> None:
    """Plan the run without the answers of ANNOTATORS: what would be trained anew, and by which command."""
    from ilf_kedro.wiring.lineage.tables import LineageTables

    tables = LineageTables.read(metadata, env)
    _require_known(annotators, tables.annotators)
    gone = tables.rows_of(annotators)
    for what, n in gone.items():
        click.echo(f"{what}: {counted(n, 'row')} left out")
    for each in tables.touched(annotators):
        anew = f"trained anew, {each.n_rows} of its {each.n_all} rows are theirs"
        click.echo(f"{each.model}: {anew if each.n_rows else 'as it is'}")
    if too_large := tables.sizes_above(annotators):
        click.echo(f"train sizes {', '.join(map(str, too_large))} are more than what is left, and get all of it")
    names = ",".join(annotators)
    environment = f" --env {env}" if env else ""
    click.echo(f"\nkedro run{environment} --params 'data_prep.without_annotators=[{names}]'")


def _require_known(annotators: Sequence[str], known: Sequence[str]) -> None:
    if not known:
        raise UserError("the examples name no annotators: say where they stand with task.columns.annotator")
    if unknown := [name for name in annotators if name not in known]:
        raise UserError(
            "\n".join(f"no row is of the annotator {name!r}; expected {nearest(name, known)}" for name in unknown)
        )


def _line(text: str) -> str:
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= 160 else flat[:159] + "…"
