"""Models that compute nothing and ask nobody: from the cache or made up, to find out what a run would need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    ChoiceProbabilities,
    Completion,
    Embedder,
    LanguageModel,
    SamplingOptions,
    TokenLogProbabilities,
)
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.prompting import Prompt

__all__ = ["CachedOrMadeUp", "MadeUpLanguageModel", "NotInCacheError", "existing"]

_WORDS = ("this", "was", "made", "up", "to", "count", "what", "asking", "would", "take", "and", "means", "nothing")
_WORDS_PER_TOKEN = 0.75
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class NotInCacheError(Exception):
    """Something would have to be asked or computed."""


def existing(cache: CompletionCache | None) -> CompletionCache | None:
    """Return the cache where there is a file: looking into another would make one."""
    return cache if cache is not None and cache.path.is_file() else None


class _AnyQuestion(LanguageModel, Embedder, Protocol):
    """A model that has all questions, whichever of them it can answer."""


class MadeUpLanguageModel(ScriptedLanguageModel):
    """Answers any question with texts as long as they may become; `source` is that of the model it stands for."""

    def __init__(self, name: str, source: ModelSource | None = None) -> None:
        super().__init__(name)
        self._source = source

    @property
    def source(self) -> ModelSource:
        """The base model's directory.

        Raises:
            NotInCacheError: the model that it stands for has none.
        """
        if self._source is None:
            raise NotInCacheError(f"{self.name} has no directory")
        return self._source

    def with_checkpoint(self, checkpoint: Checkpoint) -> MadeUpLanguageModel:
        """Return a model that writes other texts."""
        return MadeUpLanguageModel(f"{self.name}+{checkpoint.record.content_hash}", self._source)

    def _hashed_text(self, prompt: Prompt, index: int, options: SamplingOptions, seed: int) -> str:
        """Return one sentence of as many words as `max_new_tokens` may hold, another for every model and sample."""
        parts = f"{self.name}|{prompt.text}|{prompt.example_id}|{seed}|{index}"
        digest = hashlib.sha256(parts.encode("utf-8", "replace")).digest()
        length = max(1, round(options.max_new_tokens * _WORDS_PER_TOKEN) - 1)
        words = [_WORDS[digest[place % len(digest)] % len(_WORDS)] for place in range(length)]
        return f"{' '.join(words).capitalize()} {digest.hex()[:6]}."


class CachedOrMadeUp:
    """Answers from the cache of `cached`, which raises NotInCacheError for what it lacks, or else makes something up.

    Where one of several prompts is not in the cache, each is looked for alone, so that the others get their true
    answers.
    """

    def __init__(self, cached: _AnyQuestion, made_up: MadeUpLanguageModel) -> None:
        self._cached, self._made_up = cached, made_up

    @property
    def name(self) -> str:
        """The name of the model that it stands for."""
        return self._cached.name

    @property
    def revision(self) -> str:
        """The revision of the model that it stands for."""
        return self._cached.revision

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the model that it stands for can answer."""
        return self._cached.capabilities

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of words of each text."""
        return self._made_up.count_tokens(texts)

    def generate(
        self, prompts: Sequence[Prompt], sample_indices: range, options: SamplingOptions, *, seed: int, label: str = ""
    ) -> list[list[Completion]]:
        """See TextGenerator."""
        del label
        return self._either(lambda model, own: model.generate(own, sample_indices, options, seed=seed), prompts)

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """See ChoiceModel."""
        del label
        return self._either(lambda model, own: model.choice_probabilities(own, choices), prompts)

    def log_likelihood(
        self, prompts: Sequence[Prompt], continuations: Sequence[str], *, label: str = "", include_prompt: bool = False
    ) -> list[TokenLogProbabilities]:
        """See LikelihoodModel."""
        del label
        return self._either(
            lambda model, own: model.log_likelihood(
                [prompt for prompt, _ in own], [text for _, text in own], include_prompt=include_prompt
            ),
            list(zip(prompts, continuations, strict=True)),
        )

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """See Embedder; made up for all texts where any is missing: vectors of both kinds do not compare."""
        try:
            return self._cached.embed(texts, label=label)
        except NotInCacheError:
            return self._made_up.embed(texts)

    def _either(
        self, ask: Callable[[LanguageModel, Sequence[Asked]], list[Answer]], asked: Sequence[Asked]
    ) -> list[Answer]:
        try:
            return ask(self._cached, asked)
        except NotInCacheError:
            if len(asked) == 1:
                return ask(self._made_up, asked)
            return [self._either(ask, [one])[0] for one in asked]
