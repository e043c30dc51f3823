"""The four questions that ILF asks a model, each a protocol of its own, and the answers' types.

Nothing above this floor knows which backend answers. A backend has the methods of the questions that it can
answer, and none for the others.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.prompting import Prompt
from ilf_kedro.schemas import Options

LEAST_COVERED = 0.01  # of a defined choice answer: less is no answer, but a model that says something else

FinishReason = Literal["stop", "length", "refused"]


class Capability(StrEnum):
    """What a backend may or may not be able to answer; `messages` says that it takes a prompt of several messages."""

    GENERATE = "generate"
    CHOICE_PROBABILITIES = "choice_probabilities"
    LOG_LIKELIHOOD = "log_likelihood"
    EMBED = "embed"
    MESSAGES = "messages"


_BACKENDS_WITH = {
    Capability.GENERATE: "local, openai",
    Capability.CHOICE_PROBABILITIES: "local, openai",
    Capability.LOG_LIKELIHOOD: "local, openai (completions of a server that echoes log-probabilities)",
    Capability.EMBED: "local (with `embeddings: true`), openai (with an `embedding_model`), sentence_embedder",
    Capability.MESSAGES: "local (with `format: chat`), openai (with `endpoint: chat`)",
}


class MissingCapabilityError(RuntimeError):
    """A backend was asked something that it cannot answer; raised before any request is made."""

    def __init__(self, user: str, capability: Capability, model: str) -> None:
        super().__init__(
            f"{user} needs the capability '{capability}', which the language model {model!r} lacks. "
            f"Backends that have it: {_BACKENDS_WITH[capability]}. "
            "Name such a model in the catalog, or leave out what needs it."
        )


class SamplingOptions(Options):
    """How to sample (paper, section 4.1: temperature 1.0, top-p 0.95, at most 48 new tokens).

    A temperature of 0 is greedy decoding. `top_k` 0 keeps the whole vocabulary.
    """

    temperature: float = Field(default=1.0, ge=0, le=5)
    top_p: float = Field(default=0.95, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_new_tokens: int = Field(default=48, ge=1)
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled continuation. `token_log_probabilities` are under the model itself at temperature 1."""

    text: str
    n_tokens: int
    finish_reason: FinishReason
    seed: int
    token_log_probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer word and its accepted verbalizers, such as Choice("Yes", ("Yes", " Yes", "YES"))."""

    name: str
    verbalizers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChoiceProbabilities:
    """Normalised log-probabilities of the choices, in the order asked.

    `covered` is the total probability of all listed choices before normalisation (1 where unknown);
    `bound` the largest error of any probability that the backend's truncated answer allows (0: exact);
    `least_covered` the probability below which the model answers something else than the choices.
    """

    log_probabilities: tuple[float, ...]
    covered: float = 1.0
    bound: float = 0.0
    least_covered: float = LEAST_COVERED

    @property
    def defined(self) -> bool:
        """False where the model refused, or all but surely says something else than any of the choices."""
        return self.covered >= self.least_covered and self.covered > 0

    def among(self, *indices: int) -> ChoiceProbabilities:
        """Return the same answer on some of the choices alone, normalised over them."""
        log_p = [self.log_probabilities[index] for index in indices]
        most = max(log_p)
        total = most + math.log(sum(math.exp(each - most) for each in log_p))
        share = math.exp(total)
        return ChoiceProbabilities(
            tuple(each - total for each in log_p),
            covered=self.covered * share,
            bound=min(1.0, self.bound / max(share, 1e-12)),
            least_covered=self.least_covered,
        )

    def probability(self, index: int) -> float:
        """Return the probability of a choice; NaN where the answer is undefined."""
        return math.exp(self.log_probabilities[index]) if self.defined else math.nan


@dataclass(frozen=True, slots=True)
class TokenLogProbabilities:
    """Log-probability (nats) of each token of a continuation, and each token's character span in it."""

    log_probabilities: tuple[float, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a continuation is conditional on: at least one token. `example_id` names it in random streams."""

    example_id: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """A continuation as it was sampled; its last token is an end-of-sequence token where `ended`.

    `log_probabilities` (nats) are the sampler's own at temperature 1, as it computed them while sampling.
    """

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    ended: bool


@runtime_checkable
class Model(Protocol):
    """What every backend says of its model. What it answers is told by the protocols below.

    Lists come back in the order asked, one answer per request, whatever the batching. Every method may
    raise MissingCapabilityError before doing anything.
    """

    @property
    def name(self) -> str:
        """A short human-readable name, for logs and reports."""
        ...

    @property
    def revision(self) -> str:
        """What identifies the weights: a content hash, or the API's model identifier."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Which of the questions below this model can answer."""
        ...


class TextGenerator(Model, Protocol):
    """A model that continues prompts."""

    def generate(
        self, prompts: Sequence[Prompt], sample_indices: range, options: SamplingOptions, *, seed: int, label: str = ""
    ) -> list[list[Completion]]:
        """Sample the completions with the indices `sample_indices` (range(N) for N of them) for each prompt.

        A sample depends on (model, prompt, options, seed, example_id, its index) alone, so range(5, 10)
        continues range(5). `label` names the work in the progress display.
        """
        ...


class ChoiceModel(Model, Protocol):
    """A model that weighs given answers."""

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """Return how probable each choice is as the next words after each prompt."""
        ...


class LikelihoodModel(Model, Protocol):
    """A model that says how probable given texts are."""

    def log_likelihood(
        self, prompts: Sequence[Prompt], continuations: Sequence[str], *, label: str = "", include_prompt: bool = False
    ) -> list[TokenLogProbabilities]:
        """Return the log-probability of every token of continuations[i] after prompts[i].

        The continuation is taken literally: in plain format it includes its leading blank. With `include_prompt` the
        prompt's own tokens come first, all but the first of the text that the model sees; their spans are
        counted back from the prompt's end (negative), so that an input cut before them moves none. Tokens of
        a chat template have empty spans.
        """
        ...


@runtime_checkable
class LanguageModel(TextGenerator, ChoiceModel, LikelihoodModel, Protocol):
    """A language model behind any backend; `capabilities` says which of the questions it can answer here."""


class Embedder(Model, Protocol):
    """A model that turns texts into vectors."""

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """Return one unit vector per text, shape (len(texts), dimension)."""
        ...


class TokenCounter(Protocol):
    """What can say how many tokens a text has."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, special tokens not counted."""
        ...


class TokenScorer(Protocol):
    """What samples and scores token ids over the whole vocabulary, at temperature 1."""

    def contexts(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Context]:
        """Return the prompts as tokens, truncated where `max_new_tokens` more would not fit."""
        ...

    def beginnings(self, n: int) -> list[Context]:
        """Return `n` contexts that hold the start-of-text token alone, each with a name of its own."""
        ...

    def sample(
        self, contexts: Sequence[Context], n_samples: int, max_new_tokens: int, *, seed: int, label: str = ""
    ) -> list[list[TokenSequence]]:
        """Sample continuations of at most `max_new_tokens` tokens: no top-k, no top-p."""
        ...

    def score(
        self, contexts: Sequence[Context], sequences: Sequence[Sequence[TokenSequence]], *, label: str = ""
    ) -> list[list[NDArray[np.float64]]]:
        """Return the log-probability (nats) of every token of sequences[i][j] after contexts[i]."""
        ...


@runtime_checkable
class TrainableModel(LanguageModel, TokenCounter, Protocol):
    """A language model whose weights are on this machine, so that they can be trained and its tokens looked at."""

    @property
    def source(self) -> ModelSource:
        """The base model's directory, and how to talk to it."""
        ...

    @property
    def token_scoring(self) -> TokenScorer:
        """The same model, asked about token ids instead of texts."""
        ...

    def with_checkpoint(self, checkpoint: Checkpoint) -> Self:
        """Return the same model with trained weights."""
        ...


def require(model: Model, capability: Capability, *, user: str) -> None:
    """Refuse the work of `user` before the first request where `model` lacks `capability`.

    Raises:
        MissingCapabilityError: naming the user, the capability and the backends that have it.
    """
    if capability not in model.capabilities:
        raise MissingCapabilityError(user, capability, model.name)


def is_model_protocol(hint: object) -> bool:
    """Tell whether a type is one of the protocols here: what a caller needs of a model."""
    return isinstance(hint, type) and hint.__module__ == __name__ and bool(getattr(hint, "_is_protocol", False))


def lacks(model: object, protocol: type) -> list[str]:
    """Return what a protocol has and a model has not; nothing of the model is called."""
    bases = (base for base in protocol.__mro__ if is_model_protocol(base))
    members = {name for base in bases for name in vars(base) if not name.startswith("_")}
    return sorted(name for name in members if inspect.getattr_static(model, name, None) is None)
