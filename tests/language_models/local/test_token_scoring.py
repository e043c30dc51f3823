"""Token ids drawn and scored by a local model, against plain forward passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions, load_model_source
from ilf_kedro.language_models.protocol import SamplingOptions, TokenSequence
from ilf_kedro.prompting import Prompt
from tests.support import naive

torch.set_num_threads(1)

PROMPTS = [Prompt("An input about a cat. TL;DR:", "a"), Prompt("Something else entirely, by the sea. TL;DR:", "b")]
WHOLE = SamplingOptions(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=6)


@pytest.fixture(scope="module")
def oracle(tiny_model_directory):
    return AutoModelForCausalLM.from_pretrained(tiny_model_directory, dtype=torch.float32).eval()


def local(directory, *, format="chat", **arguments):  # noqa: A002
    return LocalLanguageModel(load_model_source("tiny", directory, format=format, dtype="float32"), **arguments)


def test_tokens_are_drawn_from_the_whole_vocabulary_as_the_oracle_draws_them(tiny_model_directory, oracle):
    tokens = local(tiny_model_directory).token_scoring
    contexts = tokens.contexts(PROMPTS, 6)
    drawn = tokens.sample(contexts, 2, 6, seed=3)
    for context, row in zip(contexts, drawn, strict=True):
        for index, sequence in enumerate(row):
            expected, values, _ = naive.generate(
                oracle, context.tokens, WHOLE, frozenset(), 3, context.example_id, index
            )
            assert list(sequence.tokens) == expected
            assert sequence.log_probabilities == pytest.approx(values, abs=1e-4)
            assert not sequence.ended


def test_scores_are_those_of_the_tokens_and_not_of_their_text(tiny_model_directory, oracle):
    """These ids are no tokenisation of any text: 'a' + 'b' as two tokens, then the end of the sequence."""
    model = local(tiny_model_directory)
    tokens, tokenizer = model.token_scoring, model.formatter.tokenizer
    ids = (*(tokenizer.convert_tokens_to_ids(letter) for letter in "ab"), tokenizer.eos_token_id)
    assert model.formatter.bare(tokenizer.decode(ids, skip_special_tokens=True)) != ids[:2]
    contexts = tokens.contexts(PROMPTS, 6)
    sequences = [[TokenSequence(ids, (), True)], [TokenSequence(ids[:2], (), False), TokenSequence(ids, (), True)]]
    for context, row, scores in zip(contexts, sequences, tokens.score(contexts, sequences), strict=True):
        for sequence, score in zip(row, scores, strict=True):
            whole = [*context.tokens, *sequence.tokens]
            expected = naive.token_log_probabilities(oracle, whole, len(context.tokens))
            np.testing.assert_allclose(score, expected, atol=1e-4)


def test_answers_depend_on_neither_batches_nor_cache(tiny_model_directory, tmp_path):
    cached = local(tiny_model_directory, cache=CompletionCache(tmp_path / "cache.sqlite"))
    small = local(tiny_model_directory, options=LocalOptions(max_batch_samples=1, max_batch_tokens=1))
    rows = []
    for tokens in (cached.token_scoring, small.token_scoring):
        contexts = tokens.contexts(PROMPTS, 4)
        drawn = tokens.sample(contexts, 2, 4, seed=0)
        rows.append((drawn, tokens.score(contexts, drawn)))
    misses = cached.statistics.misses
    again = cached.token_scoring.sample(contexts, 2, 4, seed=0)
    rows.append((again, cached.token_scoring.score(contexts, again)))
    assert again == rows[0][0]
    assert cached.statistics.misses == misses == 6  # four samples, and the scores of two contexts
    for drawn, scores in rows[1:]:
        assert [[s.tokens for s in row] for row in drawn] == [[s.tokens for s in row] for row in rows[0][0]]
        for left, right in zip(scores, rows[0][1], strict=True):
            np.testing.assert_allclose(left, right, atol=1e-4)


@pytest.mark.parametrize("format", ["plain", "chat"])
def test_unconditional_samples_follow_the_start_of_text_alone(tiny_model_directory, format):  # noqa: A002
    model = local(tiny_model_directory, format=format)
    starts = model.token_scoring.beginnings(3)
    assert [start.tokens for start in starts] == [(model.formatter.tokenizer.bos_token_id,)] * 3
    drawn = model.token_scoring.sample(starts, 1, 5, seed=0)
    assert len({row[0].tokens for row in drawn}) == 3  # each with random numbers of its own
