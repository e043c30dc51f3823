"""Models that ask nobody: from the cache or made up, to find out what a run would need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.openai.cost_tracker import Forecast, Usage
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.questions import Question
from ilf_kedro.language_models.openai.readers import Fields
from ilf_kedro.language_models.openai.runner import forecast, plan_requests
from ilf_kedro.language_models.protocol import (
    Choice,
    ChoiceProbabilities,
    Completion,
    SamplingOptions,
    TokenLogProbabilities,
)
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.prompting import Prompt

__all__ = ["DryApiModel", "MadeUpLanguageModel", "Needs"]

_WORDS = ("this", "was", "made", "up", "to", "count", "what", "asking", "would", "take", "and", "means", "nothing")
_WORDS_PER_TOKEN = 0.75


class _NotInCacheError(Exception):
    """Something would have to be asked."""


class MadeUpLanguageModel(ScriptedLanguageModel):
    """Answers any question with texts as long as they may become; trained weights change nothing."""

    @property
    def source(self) -> ModelSource:
        """A directory that is never read."""
        return ModelSource(self.name, Path(), self.revision, format="chat")

    def with_checkpoint(self, checkpoint: Checkpoint) -> MadeUpLanguageModel:
        """Return the same model."""
        del checkpoint
        return self

    def _hashed_text(self, prompt: Prompt, index: int, options: SamplingOptions, seed: int) -> str:
        """Return one sentence of as many words as `max_new_tokens` may hold, another for every sample."""
        digest = hashlib.sha256(f"{prompt.text}|{prompt.example_id}|{seed}|{index}".encode("utf-8", "replace")).digest()
        length = max(1, round(options.max_new_tokens * _WORDS_PER_TOKEN) - 1)
        words = [_WORDS[digest[place % len(digest)] % len(_WORDS)] for place in range(length)]
        return f"{' '.join(words).capitalize()} {digest.hex()[:6]}."


@dataclass(slots=True)
class Needs:
    """What a model would be asked, and how many answers the cache has."""

    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float | None = 0.0
    cached: int = 0

    def add(self, expected: Forecast) -> None:
        """Add a piece of question."""
        self.requests += expected.requests
        self.usage += expected.usage
        self.usd = None if self.usd is None or expected.usd is None else self.usd + expected.usd


class DryApiModel(OpenAICompatibleLanguageModel):
    """A server's model that answers from the cache, or else makes something up and counts what asking would take.

    What a server can do is believed of it: that completions echo log-probabilities is not asked. Prompts are
    asked one by one, so that each that the cache knows gets its true answer.
    """

    def __init__(self, model: OpenAICompatibleLanguageModel) -> None:
        # Token ids are the server's to tell: the likeliest tokens cost as much.
        options = model.options.model_copy(update={"exact_choices": False})
        super().__init__(options, name=model.name, cache=model.cache)
        self.needs = Needs()
        self._made_up = MadeUpLanguageModel(model.name)
        self._counted: set[str] = set()
        self._echoes = True  # not asked

    def generate(
        self, prompts: Sequence[Prompt], sample_indices: range, options: SamplingOptions, *, seed: int, label: str = ""
    ) -> list[list[Completion]]:
        """See TextGenerator."""
        rows = []
        for prompt in prompts:
            try:
                rows += super().generate([prompt], sample_indices, options, seed=seed, label=label)
            except _NotInCacheError:
                rows += self._made_up.generate([prompt], sample_indices, options, seed=seed)
        return rows

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """See ChoiceModel."""
        answers = []
        for prompt in prompts:
            try:
                answers += super().choice_probabilities([prompt], choices, label=label)
            except _NotInCacheError:
                answers += self._made_up.choice_probabilities([prompt], choices)
        return answers

    def log_likelihood(
        self, prompts: Sequence[Prompt], continuations: Sequence[str], *, label: str = "", include_prompt: bool = False
    ) -> list[TokenLogProbabilities]:
        """See LikelihoodModel."""
        answers = []
        for prompt, continuation in zip(prompts, continuations, strict=True):
            try:
                answers += super().log_likelihood([prompt], [continuation], label=label, include_prompt=include_prompt)
            except _NotInCacheError:
                answers += self._made_up.log_likelihood([prompt], [continuation], include_prompt=include_prompt)
        return answers

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """See Embedder; made up for all texts where any is missing: vectors of both kinds do not compare."""
        try:
            return super().embed(texts, label=label)
        except _NotInCacheError:
            return self._made_up.embed(texts)

    def _answer(self, questions: Sequence[Question], label: str, billed_model: str | None = None) -> dict[str, Fields]:
        """Return what the cache has; count what would be asked for, each answer once.

        Raises:
            _NotInCacheError: an answer is missing.
        """
        del label, billed_model
        keys = {key for question in questions for key in question.keys}
        values = self._kept([*keys])
        self.needs.cached += len(values.keys() - self._counted)
        known: dict[str, Fields] = {**values, **{key: {} for key in keys & self._counted}}
        if unsent := plan_requests(questions, known):
            self.needs.add(forecast(unsent, self.options))
        self._counted |= keys
        if len(values) < len(keys):
            raise _NotInCacheError
        return values
