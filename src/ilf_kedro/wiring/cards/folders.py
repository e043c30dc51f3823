"""Folders for the hub: weights with their card, and what is sent there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from kedro.framework.startup import ProjectMetadata

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.schemas import UserError
from ilf_kedro.wiring.cards.cards import data_card, model_card
from ilf_kedro.wiring.lineage.tables import LineageTables

__all__ = ["data_folder", "model_folder", "send"]

_CARD = "README.md"


def model_folder(metadata: ProjectMetadata, env: str | None, model: str, folder: Path) -> Path:
    """Copy a model's last checkpoint into a new folder, and write its card; return the card's file.

    Raises:
        UserError: there is no such model, or the folder is not empty.
    """
    tables = LineageTables.read(metadata, env)
    rows = tables.training_rows(model)
    load = tables.catalog.load
    checkpoint: Checkpoint = load(f"{model}.checkpoint")
    card = model_card(
        model,
        tables.parameters.task,
        checkpoint,
        tables.checkpoint(model),
        rows,
        load("offer"),
        load("run_record"),
        _if_there(tables, "model_metrics"),
        _if_there(tables, "pass_rates"),
        confidence=tables.parameters.reporting.confidence,
    )
    _begin(folder)
    shutil.copytree(checkpoint.directory, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("_*"))
    return _write(folder, card)


def data_folder(metadata: ProjectMetadata, env: str | None, folder: Path) -> Path:
    """Write the card of an environment's data into a new folder; return the card's file.

    Raises:
        UserError: data_prep has not run, or the folder is not empty.
    """
    tables = LineageTables.read(metadata, env)
    load = tables.catalog.load
    found = [load(name) for name in ("offer", "text_statistics", "rejected_rows", "near_duplicates")]
    audited = [_if_there(tables, name) for name in ("audit.flags", "audit.overlaps")]
    card = data_card(tables.parameters.task, *found, *audited)
    _begin(folder)
    return _write(folder, card)


def send(
    folder: Path, repository: str, kind: Literal["model", "dataset"], *, really: bool, tell: Callable[[str], object]
) -> None:
    """Tell what of a folder goes to a repository of the hub; send it where it is `really` meant.

    Raises:
        UserError: the hub refused it, or cannot be reached.
    """
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        tell(f"{file.relative_to(folder)}: {file.stat().st_size:,} bytes")
    if not really:
        tell(f"Nothing was sent. With --upload this goes to {repository}.")
        return
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        api.create_repo(repository, repo_type=kind, exist_ok=True, private=True)
        api.upload_folder(repo_id=repository, folder_path=folder, repo_type=kind)
    except Exception as error:  # of many kinds: names, tokens, the network
        said = " ".join(str(error).split())[:300]
        raise UserError(f"the hub did not take {folder} as {repository}: {said}. The folder stays as it is.") from error
    tell(f"Sent to {repository}, as a private repository where it is new.")


def _if_there(tables: LineageTables, name: str) -> Any:
    """Return a table that not every run makes."""
    return tables.catalog.load(name) if tables.catalog.exists(name) else None


def _begin(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; name a new folder, so that nothing of yours is mixed in or sent")
    folder.mkdir(parents=True, exist_ok=True)


def _write(folder: Path, card: str) -> Path:
    (folder / _CARD).write_text(card, encoding="utf-8")
    return folder / _CARD
