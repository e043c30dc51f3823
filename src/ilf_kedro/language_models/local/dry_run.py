"""A local model that computes nothing: answers that a run before it kept, and made-up ones for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from ilf_kedro.language_models.cache.codecs import Codec
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.local.batching import Answer
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.local.runtime import LocalRuntime, Prepared, load_language_model
from ilf_kedro.language_models.made_up import CachedOrMadeUp, MadeUpLanguageModel, NotInCacheError, existing

__all__ = ["DryLocalModel"]


class DryLocalModel(CachedOrMadeUp):
    """Stands for a local model; neither weights nor prompts are looked at where the cache has no answer."""

    def __init__(self, model: LocalLanguageModel) -> None:
        self._model = model
        cached = LocalLanguageModel(model.source, checkpoint=model.checkpoint, options=model.options)
        cached.runtime = _CacheOnlyRuntime(
            model.source, checkpoint=model.checkpoint, cache=existing(model.runtime.cache), options=model.options,
            statistics=model.statistics, load=load_language_model,
        )  # fmt: skip
        super().__init__(cached, MadeUpLanguageModel(model.name, model.source))

    @property
    def source(self) -> ModelSource:
        """The base model's directory."""
        return self._model.source

    def with_checkpoint(self, checkpoint: Checkpoint) -> DryLocalModel:
        """Return the same model with trained weights, whether they are there or not."""
        return DryLocalModel(self._model.with_checkpoint(checkpoint))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return self._model.count_tokens(texts)


class _CacheOnlyRuntime(LocalRuntime):
    def run(
        self, prepare: Callable[[], Prepared[Answer]], keys: Sequence[str], codec: Codec[Answer], label: str
    ) -> list[Answer]:
        del prepare
        return super().run(_refuse, keys, codec, label)

    def sample(self, contexts: object, *args: object, **kwargs: object) -> list[list[Answer]]:
        del contexts
        return super().sample(_refuse, *args, **kwargs)  # type: ignore[arg-type]


def _refuse() -> NoReturn:
    raise NotInCacheError
