"""Rows of a data set on the Hugging Face hub, pinned to a commit, by the library `datasets`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import httpx2
import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from pydantic import Field

from ilf_kedro.schemas import Options, RawRow, RawRows, UserError, plain_value

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["HubSplit", "read_hub"]

_PROBE_SECONDS = 5.0


class HubSplit(Options):
    """One split of a data set on the hub; `revision` is a commit, so that it never changes."""

    repo_id: str
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="a whole commit hash, not a branch")
    split: str
    config: str | None = None

    def __str__(self) -> str:
        config = f"/{self.config}" if self.config else ""
        return f"hf://datasets/{self.repo_id}@{self.revision[:12]}{config}/{self.split}"


def read_hub(source: HubSplit) -> RawRows:
    """Return the rows of a split, downloaded once: afterwards no network is needed.

    Raises:
        UserError: the data set, its revision, config or split are not there or cannot be reached, or it is made by a
            script, which is never run.
    """
    unreachable = _probe(source)
    with _quiet():
        table = _load(source, unreachable)
    name = str(source)
    rows = (
        RawRow(name, number, {key: plain_value(value) for key, value in row.items()})
        for number, row in enumerate(table, start=1)
    )
    return RawRows(name, tuple(rows), content_hash=source.revision)


def _probe(source: HubSplit) -> str | None:
    """Ask for the data set once, for the library's own patience is minutes; return why there is no answer."""
    try:
        huggingface_hub.HfApi().dataset_info(source.repo_id, revision=source.revision, timeout=_PROBE_SECONDS)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UserError(
            f"the hub has no data set {source.repo_id!r} at revision {source.revision!r}, or not for you; correct "
            f"repo_id and revision, or log in with `hf auth login` ({type(error).__name__})"
        ) from None
    except OfflineModeIsEnabled:
        return "HF_HUB_OFFLINE is set"
    except (httpx2.TransportError, HfHubHTTPError) as error:
        return type(error).__name__
    return None


def _load(source: HubSplit, unreachable: str | None) -> Dataset:
    """Load the split, from the cache alone where the hub does not answer."""
    import datasets  # slow to import, and only this needs it

    try:
        with _offline(datasets.config, constants) if unreachable else contextlib.nullcontext():
            table = datasets.load_dataset(source.repo_id, source.config, split=source.split, revision=source.revision)
        # Without a network the library takes whatever revision it has last seen.
        if all(source.revision in file["filename"] for file in table.cache_files):
            return table
        error: Exception = ValueError("the cache has another revision")
    except (OSError, ValueError, RuntimeError, StopIteration, datasets.exceptions.DatasetsError) as caught:
        error = caught
    if unreachable is not None:
        raise UserError(
            f"{source} is not in the local cache, and the Hugging Face hub ({constants.ENDPOINT}) cannot be reached "
            f"({unreachable}). Connect to the internet once, after which it is cached; or put its files on this "
            "machine and name them in conf/local/catalog.yml, `filepath:` in place of `hub:`."
        )
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    raise UserError(f"{source} cannot be loaded: {reason}; correct config and split in the catalog entry")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let the library show no bars, and no word on what it takes from its cache."""
    import datasets

    shows_progress, level = datasets.is_progress_bar_enabled(), datasets.utils.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.utils.logging.set_verbosity(level)
        if shows_progress:
            datasets.enable_progress_bars()


@contextlib.contextmanager
def _offline(*configurations: ModuleType) -> Iterator[None]:
    """Keep both libraries from asking the hub again and again; they have no argument for it."""
    before = [each.HF_HUB_OFFLINE for each in configurations]
    try:
        for each in configurations:
            each.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
        yield
    finally:
        for each, value in zip(configurations, before, strict=True):
            each.HF_HUB_OFFLINE = value  # type: ignore[attr-defined]
