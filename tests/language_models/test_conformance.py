"""What every backend promises, whatever answers behind it.

To add a backend, add a function to BACKENDS that takes the pytest request and returns a model with the
capabilities that it has; what it lacks is tested to be refused, or to have no method.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions, load_model_source
from ilf_kedro.language_models.local.packaged_encoder import packaged_encoder
from ilf_kedro.language_models.local.sentence_embedder import SentenceEmbedder
from ilf_kedro.language_models.openai import client
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    MissingCapabilityError,
    Model,
    SamplingOptions,
    require,
)
from ilf_kedro.language_models.registry import find_backend
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.prompting import Prompt
from tests.support.misbehaving_server import MisbehavingServer


def _local(request, format, **options):  # noqa: A002
    directory = request.getfixturevalue("tiny_model_directory")
    source = load_model_source("tiny", directory, format=format, dtype="float32")
    return LocalLanguageModel(source, options=LocalOptions(**options))


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    """A server that gives no log-probabilities is asked again, after a wait."""
    monkeypatch.setattr(client, "RETRY_SECONDS", 0.01)


def _api(request, endpoint, **options):
    """Over real HTTP, and with a cache: it is what makes a server's samples come back."""
    server = MisbehavingServer()
    request.addfinalizer(server.close)
    options = ApiOptions(model="fake-1", base_url=server.base_url, endpoint=endpoint, **options)
    cache = CompletionCache(request.getfixturevalue("tmp_path") / "completions.sqlite")
    return OpenAICompatibleLanguageModel(options, cache=cache)


BACKENDS = {
    "scripted": lambda request: find_backend("scripted").parse({}, None, where="the test").build(Path()),
    "scripted-nothing": lambda request: ScriptedLanguageModel(capabilities=()),
    "local-plain": lambda request: _local(request, "plain", embeddings=True),
    "local-chat": lambda request: _local(request, "chat"),
    "sentence-embedder": lambda request: SentenceEmbedder(load_model_source("MiniLM", packaged_encoder())),
    "api-chat": lambda request: _api(request, "chat"),
    "api-completions": lambda request: _api(request, "completions", embedding_model="fake-embedder"),
    "api-no-logprobs": lambda request: _api(request, "completions", top_log_probabilities=0),
}

PROMPTS = [
    Prompt("Title: A cat\n\nPost: My cat ran away.\n\nOutput:", "one"),
    Prompt("Is it so? Answer:", "two"),
    Prompt("Title: A cat\n\nPost: My cat came back {so} 🙂.\n\nOutput:", "three"),
]
CHOICES = (Choice("Yes", ("Yes", " Yes")), Choice("No", ("No", " No")), Choice("Maybe", (" Maybe",)))
OPTIONS = SamplingOptions(max_new_tokens=6)
METHODS = {
    Capability.GENERATE: "generate",
    Capability.CHOICE_PROBABILITIES: "choice_probabilities",
    Capability.LOG_LIKELIHOOD: "log_likelihood",
    Capability.EMBED: "embed",
}


@pytest.fixture(params=BACKENDS)
def model(request) -> Model:
    return BACKENDS[request.param](request)


def needs(model, capability):
    if capability not in model.capabilities:
        pytest.skip(f"{model.name} lacks {capability}")


def test_it_says_what_it_is(model):
    assert isinstance(model, Model)
    assert model.name
    assert model.revision
    assert model.capabilities <= frozenset(Capability)


def ask(model, capability):
    match capability:
        case Capability.GENERATE:
            return model.generate(PROMPTS, range(2), OPTIONS, seed=0)
        case Capability.CHOICE_PROBABILITIES:
            return model.choice_probabilities(PROMPTS, CHOICES)
        case Capability.LOG_LIKELIHOOD:
            return model.log_likelihood(PROMPTS, [" a", " b c", " d"])
        case Capability.EMBED:
            return model.embed(["a cat", "a dog"])


@pytest.mark.parametrize("capability", METHODS)
def test_what_it_lacks_is_refused_by_name(model, capability):
    if capability in model.capabilities:
        require(model, capability, user="the test")
        assert len(ask(model, capability)) in (2, 3)
        return
    if hasattr(model, METHODS[capability]):  # a method that this server, or these options, do not offer
        with pytest.raises(MissingCapabilityError, match=capability.value):
            ask(model, capability)
    with pytest.raises(MissingCapabilityError, match=f"the scorer x needs .*{capability.value}.*{model.name}.*local"):
        require(model, capability, user="the scorer x")


def test_generation_gives_n_completions_per_prompt_in_order(model):
    needs(model, Capability.GENERATE)
    rows = model.generate(PROMPTS, range(3), OPTIONS, seed=5, label="Conformance")
    assert [len(row) for row in rows] == [3, 3, 3]
    for completion in (completion for row in rows for completion in row):
        assert completion.n_tokens <= OPTIONS.max_new_tokens
        assert completion.finish_reason in {"stop", "length"}
        assert completion.seed == 5
        if completion.token_log_probabilities is not None:
            assert len(completion.token_log_probabilities) == completion.n_tokens
            assert max(completion.token_log_probabilities) <= 0
    assert model.generate([], range(3), OPTIONS, seed=5) == []
    assert model.generate(PROMPTS, range(0), OPTIONS, seed=5) == [[], [], []]


def test_generation_is_repeatable_and_continues(model):
    needs(model, Capability.GENERATE)
    rows = model.generate(PROMPTS, range(4), OPTIONS, seed=1)
    assert model.generate(PROMPTS, range(4), OPTIONS, seed=1) == rows
    later = model.generate(PROMPTS[1:], range(2, 4), OPTIONS, seed=1)
    assert [[c.text for c in row] for row in later] == [[c.text for c in row[2:]] for row in rows[1:]]
    assert len({c.text for row in rows for c in row}) > 6


def test_greedy_samples_are_equal(model):
    needs(model, Capability.GENERATE)
    greedy = SamplingOptions(temperature=0, max_new_tokens=5)
    for row in model.generate(PROMPTS, range(3), greedy, seed=1):
        assert len({completion.text for completion in row}) == 1
    assert model.generate(PROMPTS, range(1), greedy, seed=2)[0][0].text == row_text(model, greedy)


def row_text(model, options):
    return model.generate(PROMPTS[:1], range(1), options, seed=1)[0][0].text


def test_choices_are_normalised_and_in_the_order_asked(model):
    needs(model, Capability.CHOICE_PROBABILITIES)
    results = model.choice_probabilities(PROMPTS, CHOICES)
    for result in results:
        assert np.exp(result.log_probabilities).sum() == pytest.approx(1, abs=1e-6)
        assert 0 < result.covered <= 1 + 1e-6
        assert 0 <= result.bound < 1
    reversed_results = model.choice_probabilities(PROMPTS[::-1], CHOICES[::-1])[::-1]
    for result, other in zip(results, reversed_results, strict=True):
        assert result.log_probabilities == pytest.approx(other.log_probabilities[::-1], abs=1e-4)
    assert model.choice_probabilities([], CHOICES) == []


def test_log_likelihoods_cover_the_continuation(model):
    needs(model, Capability.LOG_LIKELIHOOD)
    continuations = [" The cat ran.", " Yes", " Tiny 🙂 words, two"]
    results = model.log_likelihood(PROMPTS, continuations)
    for continuation, result in zip(continuations, results, strict=True):
        assert len(result.log_probabilities) == len(result.spans) > 0
        assert max(result.log_probabilities) <= 0
        assert {at for span in result.spans for at in range(*span)} == set(range(len(continuation)))
    backwards = model.log_likelihood(PROMPTS[::-1], continuations[::-1])[::-1]
    for result, other in zip(results, backwards, strict=True):
        assert result.log_probabilities == pytest.approx(other.log_probabilities, abs=2e-4)


def test_log_likelihoods_depend_on_what_stands_before_alone(model):
    needs(model, Capability.LOG_LIKELIHOOD)
    short, long = model.log_likelihood([PROMPTS[0]] * 2, [" The cat", " The cat ran away."])
    n = len(short.log_probabilities)
    assert long.log_probabilities[:n] == pytest.approx(short.log_probabilities, abs=2e-4)


def test_whole_texts_begin_with_the_prompt_and_end_as_without_it(model):
    needs(model, Capability.LOG_LIKELIHOOD)
    continuations = [" The cat ran.", " Yes", ""]
    results = model.log_likelihood(PROMPTS, continuations, include_prompt=True)
    apart = model.log_likelihood(PROMPTS[:2], continuations[:2])
    for prompt, result in zip(PROMPTS, results, strict=True):
        assert len(result.log_probabilities) == len(result.spans)
        assert max(result.log_probabilities) <= 0
        seen = {at for span in result.spans for at in range(*span) if at < 0}
        # all but the first token, which nothing stands before
        assert seen == set(range(min(seen), 0))
        assert min(seen) <= -len(prompt.text) + len("Title:")
    for result, part in zip(results[:2], apart, strict=True):
        n = len(part.spans)
        assert result.spans[-n:] == part.spans
        assert result.log_probabilities[-n:] == pytest.approx(part.log_probabilities, abs=2e-4)


def test_embeddings_are_unit_vectors(model):
    needs(model, Capability.EMBED)
    vectors = model.embed(["a cat", "a dog by the sea", "a cat"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
