"""What the catalog says of a model on an OpenAI-compatible server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ilf_kedro.language_models.entries import CachedModelEntry
from ilf_kedro.language_models.openai.cost_tracker import CostTracker
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions
from ilf_kedro.language_models.protocol import Model
from ilf_kedro.language_models.registry import backend

__all__ = ["ApiEntry", "open_new_ledgers"]

_ledgers: dict[tuple[str, float | None], CostTracker] = {}


@backend("openai")
class ApiEntry(CachedModelEntry, ApiOptions):
    """A model on an OpenAI-compatible server, with the keys of `ApiOptions`."""

    single_process: ClassVar[bool] = True  # budget, rate limit and costs; a server takes many requests at a time anyhow

    credentials: ApiCredentials | None = Field(default=None, repr=False)

    def build(self, root: Path) -> Model:
        """Return the model; the key is looked for at the first question that the cache cannot answer.

        Entries with the same server and `budget` share one ledger: the budget is of all of them together.
        """
        from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel

        return OpenAICompatibleLanguageModel(
            ApiOptions.model_validate({name: getattr(self, name) for name in ApiOptions.model_fields}),
            name=self.name or "",
            credentials=self.credentials,
            env_file=root / ".env",
            cache=self.open_cache(root),
            spending=_ledgers.setdefault((self.base_url, self.budget), CostTracker(self.budget)),
        )

    def describe(self) -> dict[str, Any]:
        """Return the keys that never hold a secret."""
        shown = {"name", "cache", "model", "base_url", "endpoint", "send"}
        return self.model_dump(include=shown, exclude_none=True)


def open_new_ledgers() -> None:
    """Let models that are built from now on start with nothing spent: a run's budget is its own."""
    _ledgers.clear()
