"""Serve a campaign's page, and look after its annotators."""

from __future__ import annotations

from pathlib import Path

import click

from ilf_kedro.people import erase, invite, revoke
from ilf_kedro.people.assignment import reopen_skipped
from ilf_kedro.people.database import Database
from ilf_kedro.people.summary import summarise
from ilf_kedro.schemas import UserError
from ilf_kedro.wiring.annotate.group import EXISTING, annotate, with_campaign


@annotate.command()
@with_campaign
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; elsewhere needs links.")
@click.option("--port", type=int, default=8080, show_default=True)
@click.option("--annotator", default="me", show_default=True, help="Whose link to print, on this machine.")
@click.option("--languages", type=click.Path(path_type=Path, file_okay=False, exists=True), help="More languages.")
@click.option("--certificate", type=EXISTING, help="For https, with --key.")
@click.option("--key", type=EXISTING)
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
@with_campaign
@click.option("--annotator", required=True, help="The name; it stays in the campaign's file.")
@click.option("--language", help="The language of their page.")
@click.option("--address", default="http://127.0.0.1:8080", show_default=True, help="Where they reach the page.")
def invite_annotator(database: Database, annotator: str, language: str | None, address: str) -> None:
    """Print an annotator's link to the campaign NAME; a link that they had before ends."""
    click.echo(f"{address.rstrip('/')}/enter/{database.do(invite, annotator, language)}")


@annotate.command("revoke")
@with_campaign
@click.option("--annotator", required=True)
def revoke_link(database: Database, annotator: str) -> None:
    """End an annotator's link to the campaign NAME; what they answered stays."""
    database.do(revoke, annotator)
    click.echo(f"the link of {annotator} has ended")


@annotate.command("erase")
@with_campaign
@click.option("--annotator", required=True)
@click.option("--with-answers", is_flag=True, help="Remove what they answered as well.")
def erase_annotator(database: Database, annotator: str, with_answers: bool) -> None:
    """Remove an annotator's name from the campaign NAME, with the answers on request."""
    pseudonym = erase(database, annotator, answers=with_answers)
    click.echo(f"the name is gone; exports call them {pseudonym}, as before")


@annotate.command()
@with_campaign
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


@annotate.command("reopen")
@with_campaign
def reopen(database: Database) -> None:
    """Hand the skipped tasks of the campaign NAME out again."""
    click.echo(f"{database.do(reopen_skipped)} skipped task(s) are open again")
