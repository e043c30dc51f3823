"""What a catalog entry of a language model says: the base classes of every backend's entry."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.protocol import Model
from ilf_kedro.schemas import Options
from ilf_kedro.schemas.parsing import OptionsError, options_at, parse_options

__all__ = ["CachedModelEntry", "ModelEntry"]


class ModelEntry(Options):
    """Base of a backend's catalog entry: its fields are the entry's keys, and `build` makes the model of them.

    A backend that needs a secret declares a field `credentials` of an options class; Kedro's credentials of the
    entry go there. Relative paths begin at `root`, the project's root.
    """

    name: str | None = None

    single_process: ClassVar[bool] = False  # whether what its models share lives in one process alone

    @classmethod
    def parse(cls, settings: Mapping[str, Any], credentials: Mapping[str, Any] | None, *, where: str) -> Self:
        """Check every key of an entry; `where` names it in messages.

        Raises:
            OptionsError: naming each wrong key with the nearest right one, and each wrong value.
        """
        if credentials is None:
            return parse_options(cls, settings, where=where)
        secrets = options_at(cls, "credentials")
        if secrets is None:
            raise OptionsError(f"{where}: this backend needs no credentials; leave that key out")
        checked = parse_options(secrets, credentials, where=f"the credentials of {where}")
        return parse_options(cls, {**settings, "credentials": checked}, where=where)

    @abstractmethod
    def build(self, root: Path) -> Model:
        """Return the model, whose weights or connection come with the first question."""

    def exists(self, root: Path) -> bool:
        """Tell whether the model can be built here, without building it."""
        del root
        return True

    def describe(self) -> dict[str, Any]:
        """Return what may be shown anywhere."""
        return self.model_dump(mode="json", exclude={"credentials"}, exclude_unset=True)

    @property
    def remedy(self) -> str:
        """What to do where the model cannot be built here."""
        return "its catalog entry says where it is expected; correct the entry, or put the model there"


class CachedModelEntry(ModelEntry):
    """Base of a backend whose answers are kept: `cache` is their SQLite file, or null."""

    cache: str | None = None

    def open_cache(self, root: Path) -> CompletionCache | None:
        """Return the cache, or None where the entry names none."""
        return CompletionCache(root / self.cache) if self.cache else None
