"""The local backend: transformers models on this machine, each shared prefix computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from ilf_kedro.language_models.cache.codecs import LOG_LIKELIHOODS, NUMBERS, VECTOR, completion_codec
from ilf_kedro.language_models.cache.completion_cache import CompletionCache, sample_key
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.local.choices import AnswerFinder, normalised
from ilf_kedro.language_models.local.formatting import Formatter
from ilf_kedro.language_models.local.loading import load_model_source
from ilf_kedro.language_models.local.options import LocalOptions
from ilf_kedro.language_models.local.run_statistics import RunStatistics
from ilf_kedro.language_models.local.runtime import LocalRuntime, Prepared, load_language_model
from ilf_kedro.language_models.local.token_scoring import TokenScoring
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    ChoiceProbabilities,
    Completion,
    Context,
    MissingCapabilityError,
    SamplingOptions,
    TokenLogProbabilities,
)
from ilf_kedro.language_models.undefined import warn_of_undefined
from ilf_kedro.prompting import Prompt

__all__ = ["LocalLanguageModel", "LocalOptions", "load_model_source"]

_DEFAULT_OPTIONS = LocalOptions()


class LocalLanguageModel:
    """A transformers model on this machine; implements LanguageModel, and Embedder where its options offer it.

    Nothing is loaded before it is needed; see LocalRuntime, which computes.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        checkpoint: Checkpoint | None = None,
        cache: CompletionCache | None = None,
        options: LocalOptions = _DEFAULT_OPTIONS,
        statistics: RunStatistics | None = None,
    ) -> None:
        self.runtime = LocalRuntime(
            source,
            checkpoint=checkpoint,
            cache=cache,
            options=options,
            statistics=statistics or RunStatistics(),
            load=load_language_model,
        )

    @property
    def name(self) -> str:
        """The base model's name, and the checkpoint's where there is one."""
        return self.runtime.name

    @property
    def revision(self) -> str:
        """The content hash of the checkpoint, or else of the base model's files."""
        return self.runtime.revision

    @property
    def capabilities(self) -> frozenset[Capability]:
        """All but embed, which the options offer, and messages, which take a chat template."""
        lacking = {
            Capability.EMBED: not self.options.embeddings,
            Capability.MESSAGES: self.source.format != "chat",
        }
        return frozenset(each for each in Capability if not lacking.get(each))

    @property
    def source(self) -> ModelSource:
        """The base model's directory, and how to talk to it."""
        return self.runtime.source

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The trained weights; None for the base model as it is."""
        return self.runtime.checkpoint

    @property
    def options(self) -> LocalOptions:
        """How it computes."""
        return self.runtime.options

    @property
    def statistics(self) -> RunStatistics:
        """What it did so far."""
        return self.runtime.statistics

    @property
    def formatter(self) -> Formatter:
        """The model's tokenizer and format."""
        return self.runtime.formatter

    def with_checkpoint(self, checkpoint: Checkpoint) -> LocalLanguageModel:
        """Return the same model with trained weights: an adapter merged on loading, or a whole model.

        Both count into the same statistics.
        """
        return LocalLanguageModel(
            self.source,
            checkpoint=checkpoint,
            cache=self.runtime.cache,
            options=self.options,
            statistics=self.statistics,
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, special tokens not counted."""
        return [len(self.formatter.bare(text)) for text in texts]

    def generate(
        self, prompts: Sequence[Prompt], sample_indices: range, options: SamplingOptions, *, seed: int, label: str = ""
    ) -> list[list[Completion]]:
        """Sample completions; see LanguageModel.

        Raises:
            PromptTooLongError: a prompt does not fit the context, even with its input truncated.
        """
        if not prompts or not sample_indices:
            return [[] for _ in prompts]
        asked: dict[str, JsonValue] = {"sampling": options.model_dump(mode="json"), "seed": seed}
        own = [self.runtime.prompt_key("generate", each, **asked, id=each.example_id) for each in prompts]

        def contexts() -> tuple[list[Context], list[int]]:
            formatted = [self.runtime.format(prompt, options.max_new_tokens) for prompt in prompts]
            pairs = zip(prompts, formatted, strict=True)
            return [Context(each.example_id, text.tokens) for each, text in pairs], [
                each.n_truncated_tokens for each in formatted
            ]

        return self.runtime.sample(
            contexts,
            sample_indices,
            options,
            seed=seed,
            keys=[[sample_key(key, index) for index in sample_indices] for key in own],
            finish=lambda sample: sample.completion(seed),
            codec=completion_codec(seed),
            label=label,
        )

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """Return how probable each choice is after each prompt; see LanguageModel.

        Every spelling is scored whole, and those of a choice are summed.
        """
        runtime = self.runtime

        def prepare() -> Prepared[tuple[float, ...]]:
            reserve = max(len(self.formatter.bare(word)) for choice in choices for word in choice.verbalizers) + 1
            formatted = [runtime.format(prompt, reserve) for prompt in prompts]
            requests = [self._answer_finder.find(each, choices) for each in formatted]
            score = runtime.scoring([(request.sequences, request.start) for request in requests])

            def compute(batch: list[int]) -> list[list[tuple[float, ...]]]:
                return [[requests[i].total(scores)] for i, (scores,) in zip(batch, score(batch), strict=True)]

            return Prepared(
                [each.sequences for each in requests], compute, [each.n_truncated_tokens for each in formatted]
            )

        asked: JsonValue = [[choice.name, *choice.verbalizers] for choice in choices]
        keys = [runtime.prompt_key("choice_probabilities", prompt, choices=asked) for prompt in prompts]
        totals = runtime.run(prepare, keys, NUMBERS, label)
        answers = [normalised(total, runtime.options.least_covered) for total in totals]
        warn_of_undefined(self.name, answers, choices)
        return answers

    def log_likelihood(
        self, prompts: Sequence[Prompt], continuations: Sequence[str], *, label: str = "", include_prompt: bool = False
    ) -> list[TokenLogProbabilities]:
        """Return the log-probability of every token of each continuation; see LanguageModel.

        Where a continuation merges with its prompt's last characters into one token, that token counts.
        """
        runtime = self.runtime

        def prepare() -> Prepared[TokenLogProbabilities]:
            tokenise = self.formatter.with_prompt if include_prompt else self.formatter.continuation
            pairs = [tokenise(*pair) for pair in zip(prompts, continuations, strict=True)]
            for formatted, _ in pairs:
                runtime.count_truncated(formatted)
            score = runtime.scoring([((joint.tokens,), joint.start) for _, joint in pairs])

            def compute(batch: list[int]) -> list[list[TokenLogProbabilities]]:
                return [
                    [TokenLogProbabilities(tuple(values.tolist()), pairs[index][1].spans)]
                    for index, ((values,),) in zip(batch, score(batch), strict=True)
                ]

            return Prepared(
                [(joint.tokens,) for _, joint in pairs], compute, [each.n_truncated_tokens for each, _ in pairs]
            )

        question = "whole_log_likelihood" if include_prompt else "log_likelihood"
        keys = [
            runtime.prompt_key(question, prompt, continuation=continuation)
            for prompt, continuation in zip(prompts, continuations, strict=True)
        ]
        return runtime.run(prepare, keys, LOG_LIKELIHOODS, label)

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """Return one unit vector per text: the mean of the last hidden states; see Embedder.

        Raises:
            MissingCapabilityError: the options do not offer it.
        """
        if not self.options.embeddings:
            raise MissingCapabilityError("embed()", Capability.EMBED, self.name)

        def prepare() -> Prepared[NDArray[np.float32]]:
            tokens = [self.formatter.text_tokens(text) for text in texts]

            def compute(batch: list[int]) -> list[list[NDArray[np.float32]]]:
                with self.runtime.loaded() as loaded:
                    return [[vector] for vector in loaded.engine.embed([tokens[index] for index in batch])]

            return Prepared([[each] for each in tokens], compute)

        keys = [self.runtime.key("embed", text) for text in texts]
        return np.array(self.runtime.run(prepare, keys, VECTOR, label), dtype=np.float32)

    @cached_property
    def token_scoring(self) -> TokenScoring:
        """The same model, asked about token ids instead of texts."""
        return TokenScoring(self.runtime)

    @cached_property
    def _answer_finder(self) -> AnswerFinder:
        return AnswerFinder(self.formatter)
