"""A language model that answers from a script, or else from hashes: for tests, and for trying a pipeline dry."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.language_models.entries import ModelEntry
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    ChoiceProbabilities,
    Completion,
    MissingCapabilityError,
    Model,
    SamplingOptions,
    TokenLogProbabilities,
)
from ilf_kedro.language_models.registry import backend
from ilf_kedro.prompting import Prompt

__all__ = ["ScriptedEntry", "ScriptedLanguageModel"]

_WORD = re.compile(r"\s*\S+|\s+$")
_WORDS = ("the", "post", "asks", "whether", "a", "friend", "should", "move", "away", "after", "work", "and", "what")
_DIMENSION = 64


class ScriptedLanguageModel:
    """Implements LanguageModel without weights: equal questions get equal answers, on every machine.

    `complete(prompt, sample_index)` gives a completion's whole text, and `weigh(prompt, choice)` a positive
    weight of a choice; what is not scripted comes from hashes. A token is a word with the blanks before it.
    `n_questions` counts the prompts and texts that were answered.
    """

    def __init__(
        self,
        name: str = "scripted",
        *,
        complete: Callable[[Prompt, int], str] | None = None,
        weigh: Callable[[Prompt, Choice], float] | None = None,
        capabilities: Collection[Capability] = tuple(Capability),
    ) -> None:
        self._name = name
        self._complete, self._weigh = complete, weigh
        self._capabilities = frozenset(capabilities)
        self.n_questions = 0

    @property
    def name(self) -> str:
        """The name given."""
        return self._name

    @property
    def revision(self) -> str:
        """The name again: a script has no weights."""
        return f"scripted-{self._name}"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Those given; all by default."""
        return self._capabilities

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of words of each text."""
        return [len(_WORD.findall(text)) for text in texts]

    def generate(
        self, prompts: Sequence[Prompt], sample_indices: range, options: SamplingOptions, *, seed: int, label: str = ""
    ) -> list[list[Completion]]:
        """Return scripted or hashed completions, cut as the options say; see LanguageModel."""
        self._answer(Capability.GENERATE, len(prompts))
        return [[self._sample(prompt, index, options, seed) for index in sample_indices] for prompt in prompts]

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """Return each choice's share of the weights; see LanguageModel."""
        self._answer(Capability.CHOICE_PROBABILITIES, len(prompts))
        answers = []
        for prompt in prompts:
            weights = [self._weight(prompt, choice) for choice in choices]
            answers.append(ChoiceProbabilities(tuple(math.log(weight / sum(weights)) for weight in weights)))
        return answers

    def log_likelihood(
        self, prompts: Sequence[Prompt], continuations: Sequence[str], *, label: str = "", include_prompt: bool = False
    ) -> list[TokenLogProbabilities]:
        """Return log-probabilities between -4 and -1 per word; see LanguageModel."""
        self._answer(Capability.LOG_LIKELIHOOD, len(prompts))
        answers = []
        for prompt, continuation in zip(prompts, continuations, strict=True):
            own = [match.span() for match in _WORD.finditer(prompt.text)][1:] if include_prompt else []
            added = [match.span() for match in _WORD.finditer(continuation)]
            values = [-1 - 3 * _uniform(prompt.text[:end]) for _, end in own]
            values += [-1 - 3 * _uniform(prompt.text, continuation[:end]) for _, end in added]
            length = len(prompt.text)
            spans = [(begin - length, end - length) for begin, end in own] + added
            answers.append(TokenLogProbabilities(tuple(values), tuple(spans)))
        return answers

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """Return hashed bags of words: texts that share words are near each other; see LanguageModel."""
        self._answer(Capability.EMBED, len(texts))
        vectors = np.zeros((len(texts), _DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in ["", *text.lower().split()]:  # the empty word keeps every vector's length above 0
                vectors[row, int(_uniform(word) * _DIMENSION)] += 1
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _answer(self, capability: Capability, n: int) -> None:
        if capability not in self._capabilities:
            raise MissingCapabilityError(f"{capability}()", capability, self._name)
        self.n_questions += n

    def _weight(self, prompt: Prompt, choice: Choice) -> float:
        return self._weigh(prompt, choice) if self._weigh else 0.05 + _uniform(prompt.text, choice.name)

    def _sample(self, prompt: Prompt, index: int, options: SamplingOptions, seed: int) -> Completion:
        text = self._complete(prompt, index) if self._complete else self._hashed_text(prompt, index, options, seed)
        words = _WORD.findall(text)
        kept = "".join(words[: options.max_new_tokens])
        stops = [place for stop in options.stop if stop and (place := kept.find(stop)) >= 0]
        ended = bool(stops) or len(words) <= options.max_new_tokens
        kept = kept[: min(stops)] if stops else kept
        n_tokens = len(_WORD.findall(kept))
        values = tuple(-1 - 3 * _uniform(prompt.text, text, str(place)) for place in range(n_tokens))
        return Completion(kept, n_tokens, "stop" if ended else "length", seed, values)

    def _hashed_text(self, prompt: Prompt, index: int, options: SamplingOptions, seed: int) -> str:
        """Return a sentence of 4 to 16 words; greedy decoding gives every sample the same."""
        who = (prompt.text,) if options.temperature == 0 else (prompt.text, prompt.example_id, str(seed), str(index))
        length = 4 + int(_uniform("length", *who) * 13)
        words = [_WORDS[int(_uniform(str(place), *who) * len(_WORDS))] for place in range(length)]
        return " " + " ".join(words).capitalize() + "."


@backend("scripted")
class ScriptedEntry(ModelEntry):
    """A model that answers from hashes, so that a pipeline can be tried dry: at once, and without weights."""

    capabilities: tuple[Capability, ...] = tuple(Capability)

    def build(self, root: Path) -> Model:
        """Return the model."""
        del root
        return ScriptedLanguageModel(self.name or "scripted", capabilities=self.capabilities)


def _uniform(*parts: str) -> float:
    """Return a number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
