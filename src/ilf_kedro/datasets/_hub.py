"""One file of a Hugging Face data set: from the local cache, or downloaded once."""

from __future__ import annotations

from pathlib import Path

import httpx2
import huggingface_hub as hub  # its functions are imported when first called
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from kedro.io.core import DatasetError

from ilf_kedro.schemas import Options

PROBE_SECONDS = 5.0


class HubFile(Options):
    """A file of a data set on the hub, pinned to a revision (a commit, so that it never changes)."""

    repo_id: str
    revision: str
    file: str  # not "filename": Kedro makes absolute paths of the keys that are called so

    def __str__(self) -> str:
        return f"hf://datasets/{self.repo_id}@{self.revision[:12]}/{self.file}"


def fetch(file: HubFile) -> Path:
    """Return the local path of `file`, downloading it where the cache lacks it.

    The hub's own download retries for 23 s where there is no network, so one short request without
    retries asks first whether the file is there.

    Raises:
        DatasetError: the file is neither cached nor reachable, or not on the hub.
    """
    cached = hub.try_to_load_from_cache(file.repo_id, file.file, revision=file.revision, repo_type="dataset")
    if isinstance(cached, str):
        return Path(cached)
    try:
        url = hub.hf_hub_url(file.repo_id, file.file, repo_type="dataset", revision=file.revision)
        hub.get_hf_file_metadata(url, timeout=PROBE_SECONDS)
        return Path(hub.hf_hub_download(file.repo_id, file.file, revision=file.revision, repo_type="dataset"))
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise DatasetError(
            f"the hub has no data set {file.repo_id!r} at revision {file.revision!r}, or not for you; correct repo_id "
            f"and revision in the catalog entry, or log in with `hf auth login` ({type(error).__name__})"
        ) from None
    except (OfflineModeIsEnabled, httpx2.TransportError, LocalEntryNotFoundError) as error:
        raise DatasetError(_unreachable(file, error)) from None
    except EntryNotFoundError:
        raise DatasetError(
            f"{file.repo_id}@{file.revision[:12]} on the hub has no file {file.file!r}; correct the catalog entry"
        ) from None
    except HfHubHTTPError as error:  # a proxy that refuses, or a hub that is down
        raise DatasetError(_unreachable(file, error)) from None


def _unreachable(file: HubFile, error: Exception) -> str:
    why = "HF_HUB_OFFLINE is set" if isinstance(error, OfflineModeIsEnabled) else type(error).__name__
    return (
        f"{file} is not in the local cache, and the Hugging Face hub ({constants.ENDPOINT}) cannot be reached ({why}). "
        "Do one of these: connect to the internet once, after which the file is cached; or put the file on this "
        "machine and name it in conf/local/catalog.yml, `filepath:` in place of `hub:`; or run in the default "
        "environment, on the embedded sample."
    )
