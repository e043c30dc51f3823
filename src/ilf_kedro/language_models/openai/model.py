"""The API backend: any server that speaks OpenAI's protocol, over chat or legacy completions.

An answer is written to the completion cache as it arrives, so that a killed run asks again, and pays again,
only for what had not arrived.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from ilf_kedro.language_models.cache.codecs import read_completion
from ilf_kedro.language_models.cache.completion_cache import CompletionCache, cache_key
from ilf_kedro.language_models.openai import echo
from ilf_kedro.language_models.openai.asker import Asker
from ilf_kedro.language_models.openai.cost_tracker import CostTracker, SpendingReport
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions
from ilf_kedro.language_models.openai.questions import (
    Question,
    echo_question,
    embedding_question,
    generation_question,
    next_token_question,
)
from ilf_kedro.language_models.openai.requests import sendable, shorten
from ilf_kedro.language_models.openai.shortcomings import warn_of_choices, warn_of_reasoning
from ilf_kedro.language_models.openai.token_ids import token_ids
from ilf_kedro.language_models.openai.top_log_probabilities import choice_probabilities_from_top
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    ChoiceProbabilities,
    Completion,
    MissingCapabilityError,
    SamplingOptions,
    TokenLogProbabilities,
)
from ilf_kedro.prompting import Message, Prompt, Transcript

logger = logging.getLogger(__name__)

ENGINE_VERSION = 1  # part of every cache key: raise it when requests or the reading of answers change


class OpenAICompatibleLanguageModel:
    """A language model behind an OpenAI-compatible server.

    Nothing is sent, and no key looked for, before the first question that the cache cannot answer. Several
    models may share one ledger, `spending`, and with it one budget: the ledger's, not that of their options.
    """

    def __init__(
        self,
        options: ApiOptions,
        *,
        name: str = "",
        credentials: ApiCredentials | None = None,
        env_file: Path = Path(".env"),
        cache: CompletionCache | None = None,
        spending: CostTracker | None = None,
    ) -> None:
        self.options = options
        self._name = name or options.model
        self._costs = CostTracker(options.budget, part_of=spending)
        self._asker = Asker(
            options, name=self._name, credentials=credentials, env_file=env_file, cache=cache, costs=self._costs
        )
        self._n_shortened = 0

    def __repr__(self) -> str:
        return f"OpenAICompatibleLanguageModel({self._name!r}, {self.options.base_url!r})"

    @property
    def name(self) -> str:
        """A short human-readable name, for logs and reports."""
        return self._name

    @property
    def cache(self) -> CompletionCache | None:
        """Where its answers are kept."""
        return self._asker.cache

    @property
    def revision(self) -> str:
        """The API's model identifier: what the server runs under it, it alone knows."""
        return self.options.model

    @property
    def ledger(self) -> CostTracker:
        """What this model alone spends, a part of the ledger that it may share with others."""
        return self._costs

    @property
    def spending(self) -> SpendingReport:
        """What was spent, saved and went wrong so far, by all models that share its ledger."""
        return self._costs.whole.report()

    @property
    def n_shortened(self) -> int:
        """How many prompts were cut in their inputs."""
        return self._n_shortened

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this server can answer; for completions, asks it once whether it echoes log-probabilities.

        Raises:
            ApiError: the server refused that question for another reason, such as a wrong key.
        """
        found = {Capability.GENERATE}
        if self.options.endpoint == "chat":
            found.add(Capability.MESSAGES)
        if self.options.alternatives > 0:
            found.add(Capability.CHOICE_PROBABILITIES)
        if self.options.embedding_model is not None:
            found.add(Capability.EMBED)
        if self.options.endpoint == "completions" and self._echoes:
            found.add(Capability.LOG_LIKELIHOOD)
        return frozenset(found)

    def generate(
        self, prompts: Sequence[Prompt], sample_indices: range, options: SamplingOptions, *, seed: int, label: str = ""
    ) -> list[list[Completion]]:
        """Sample the completions with the indices `sample_indices` for each prompt, several in one request.

        A greedy completion is asked for once and repeated. What a server samples is its own affair: the same
        completion comes back only from the cache, which knows it by its index. Without
        `token_log_probabilities`, the tokens of a request with several completions are shared out by length.

        Raises:
            ApiError, BudgetExceededError: see ApiClient.ask; everything that arrived is in the cache.
        """
        indices = [0][: len(sample_indices)] if options.temperature == 0 else list(sample_indices)
        keys: list[list[str]] = []
        questions: list[Question] = []
        for prompt in prompts:
            text = self._text(prompt)
            parts: dict[str, JsonValue] = {"prompt": text, "sampling": options.model_dump(mode="json"), "seed": seed}
            own = [self._key("generate", **parts, example=prompt.example_id, sample=index) for index in indices]
            samples = dict(zip(own, indices, strict=True))
            keys.append(own)
            questions.append(
                generation_question(
                    self.options, text, options, example_id=prompt.example_id, seed=seed, samples=samples
                )
            )
        values = self._asker.answer(questions, label or "Generating")
        answers = [[read_completion(values[key], seed) for key in own] for own in keys]
        warn_of_reasoning(self._name, [completion for row in answers for completion in row])
        return [row * len(sample_indices) for row in answers] if options.temperature == 0 else answers

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """Return how probable each choice is as the next word, from the server's list of likeliest tokens.

        Raises:
            MissingCapabilityError: `top_log_probabilities` is 0.
            ApiError, BudgetExceededError: see ApiClient.ask.
        """
        self._require(Capability.CHOICE_PROBABILITIES, self.options.alternatives > 0)
        texts = [self._text(prompt) for prompt in prompts]
        ids = token_ids(self._asker.client, self.options, choices) if self.options.exact_choices and texts else []
        # Without token ids, the key leaves out the choices: other verbalizers are read from the same list.
        listed: dict[str, JsonValue] = {"token_ids": [*ids]} if ids else {"alternatives": self.options.alternatives}
        keys = [self._key("next_token", prompt=text, **listed) for text in texts]
        pairs = zip(texts, keys, strict=True)
        questions: list[Question] = [next_token_question(self.options, text, key, ids) for text, key in pairs]
        values = self._asker.answer(questions, label or "Asking")
        tops: list[dict[str, float]] = [values[key]["top"] for key in keys]
        answers = [choice_probabilities_from_top(top, choices, self.options.least_covered) for top in tops]
        warn_of_choices(self._name, tops, answers, choices, self.options.alternatives)
        return answers

    def log_likelihood(
        self, prompts: Sequence[Prompt], continuations: Sequence[str], *, label: str = "", include_prompt: bool = False
    ) -> list[TokenLogProbabilities]:
        """Return the log-probability of every token of continuations[i] after prompts[i], where the server echoes.

        Prompt and continuation are tokenised together; a token that begins in the prompt counts as the
        continuation's with the part of its span that lies there.

        Raises:
            MissingCapabilityError: the server does not echo log-probabilities, or not truthfully.
            ApiError, BudgetExceededError: see ApiClient.ask.
        """
        echoes = self.options.endpoint == "completions" and self._echoes
        self._require(Capability.LOG_LIKELIHOOD, echoes)
        texts = [self._text(prompt) for prompt in prompts]
        joint = [text + sendable(continuation) for text, continuation in zip(texts, continuations, strict=True)]
        keys = [self._key("echo", prompt=text) for text in joint]
        questions: list[Question] = [
            echo_question(self.options, text, key) for text, key in zip(joint, keys, strict=True)
        ]
        values = self._asker.answer(questions, label or "Scoring")
        read = echo.whole_text if include_prompt else echo.continuation_part
        return [read(values[key], len(text)) for key, text in zip(keys, texts, strict=True)]

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """Return one unit vector per text, shape (len(texts), dimension), from `embedding_model`.

        A text that the server will not embed has a vector of NaN.

        Raises:
            MissingCapabilityError: there is no `embedding_model`.
            ApiError, BudgetExceededError: see ApiClient.ask.
        """
        self._require(Capability.EMBED, self.options.embedding_model is not None)
        texts = [sendable(text) for text in texts]
        if not texts:
            return np.zeros((0, 0), np.float32)
        keys = [self._key("embed", text=text, embedding_model=self.options.embedding_model) for text in texts]
        question = embedding_question(self.options, dict(zip(keys, texts, strict=True)))
        values = self._asker.answer([question], label or "Embedding", self.options.embedding_model)
        found: list[list[float] | None] = [values[key]["vector"] for key in keys]
        dimension = max((len(vector) for vector in found if vector is not None), default=1)
        vectors = np.array([vector or [math.nan] * dimension for vector in found], dtype=np.float32)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))

    @cached_property
    def _echoes(self) -> bool:
        self._asker.client.stopping.clear()
        return echo.probe_echo(self._asker.client, self.options)

    def _text(self, prompt: Prompt) -> str:
        is_chat = self.options.endpoint == "chat"
        self._require(Capability.MESSAGES, is_chat or not prompt.for_chat)
        # What a completions server reads is one text, whatever its turns.
        whole = prompt if is_chat else replace(prompt, chat=())
        kept, shortened = shorten(whole, self.options.max_prompt_characters)
        self._n_shortened += shortened
        if kept.chat:
            return Transcript.of(Message(turn.role, sendable(turn.content)) for turn in kept.chat)
        return sendable(kept.text)

    def _key(self, question: str, **parts: JsonValue) -> str:
        options = self.options
        # Only what differs from the default joins the key: answers that were paid for keep theirs.
        if omitted := sorted(set(options.omit) - {"n", "seed"}):
            parts["omit"] = [*omitted]
        if not options.strip_reasoning:
            parts["strip_reasoning"] = False
        if isinstance(text := parts.get("prompt"), Transcript):
            parts["chat"] = [[turn.role, len(turn.content)] for turn in text.turns]
        return cache_key(
            backend="openai_compatible",
            engine_version=ENGINE_VERSION,
            base_url=options.base_url.rstrip("/"),
            endpoint=options.endpoint,
            model=options.model,
            system_message=options.system_message,
            extra_parameters=options.extra_body,
            token_log_probabilities=options.token_log_probabilities,
            question=question,
            **parts,
        )

    def _require(self, capability: Capability, has: bool) -> None:
        if not has:
            raise MissingCapabilityError(f"{self._name} was asked something that", capability, self._name)
