"""The sampler against the definition of its distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from ilf_kedro.language_models.local import sampling
from ilf_kedro.language_models.local.sampling import random_stream, sample_tokens
from ilf_kedro.language_models.protocol import SamplingOptions


def expected_distribution(logits: torch.Tensor, options: SamplingOptions) -> np.ndarray:
    """Return what Hugging Face's warpers make of the logits, in the order that generate() applies them."""
    scores = TemperatureLogitsWarper(options.temperature)(None, logits[None].double())
    if options.top_k:
        scores = TopKLogitsWarper(options.top_k)(None, scores)
    if options.top_p < 1:
        scores = TopPLogitsWarper(options.top_p)(None, scores)
    return scores.softmax(-1)[0].numpy()


@pytest.mark.parametrize("max_tries", [16, 0], ids=["by rejection", "by sorting"])
@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(temperature=1, top_p=0.95),
        SamplingOptions(temperature=0.7, top_p=0.6),
        SamplingOptions(temperature=1.3, top_p=0.9, top_k=7),
        SamplingOptions(temperature=1, top_p=1, top_k=5),
        SamplingOptions(temperature=2, top_p=1),
        SamplingOptions(temperature=1, top_p=0.05),
    ],
    ids=str,
)
def test_frequencies_follow_the_distribution(options, max_tries, monkeypatch):
    monkeypatch.setattr(sampling, "_MAX_TRIES", max_tries)
    logits = torch.linspace(3, -4, 20)[torch.randperm(20, generator=torch.Generator().manual_seed(0))]
    expected = expected_distribution(logits, options)
    n = 4000
    streams = [random_stream(0, "frequencies", index) for index in range(n)]
    tokens, _ = sample_tokens(logits.expand(n, -1), options, streams)
    counts = np.bincount(tokens.numpy(), minlength=20)
    assert counts[expected == 0].sum() == 0, "a token outside the nucleus was drawn"
    inside = expected > 0
    if inside.sum() > 1:
        assert chisquare(counts[inside], expected[inside] * n).pvalue > 1e-4


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=12), st.floats(0.01, 1), st.integers(0, 99))
def test_what_is_drawn_lies_in_the_nucleus(values, top_p, index):
    logits = torch.tensor([values])
    (token,), _ = sample_tokens(logits, SamplingOptions(top_p=top_p), [random_stream(1, "x", index)])
    probabilities = logits[0].double().softmax(-1)
    assert probabilities[probabilities > probabilities[token] + 1e-6].sum() < top_p + 1e-6


def test_greedy_takes_the_most_probable_and_no_random_number():
    stream = random_stream(0, "", 0)
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    tokens, values = sample_tokens(logits, SamplingOptions(temperature=0), [stream])
    assert tokens.tolist() == [1]
    assert stream.random() == random_stream(0, "", 0).random()
    assert values[0] == pytest.approx(float(logits.log_softmax(-1)[0, 1]))


def test_log_probabilities_are_of_the_model_itself():
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    streams = [random_stream(0, "e", index) for index in range(6)]
    tokens, values = sample_tokens(logits, SamplingOptions(temperature=0.5, top_p=0.8, top_k=9), streams)
    assert values.tolist() == pytest.approx(logits.log_softmax(-1)[torch.arange(6), tokens].tolist())


def test_a_row_does_not_depend_on_its_neighbours():
    logits = torch.randn(8, 40, generator=torch.Generator().manual_seed(1))
    options = SamplingOptions(top_p=0.5)
    together, _ = sample_tokens(logits, options, [random_stream(4, "e", index) for index in range(8)])
    alone = [sample_tokens(logits[i : i + 1], options, [random_stream(4, "e", i)])[0].item() for i in range(8)]
    assert together.tolist() == alone


def test_streams_differ_by_seed_example_and_index():
    keys = [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), (0, "a1", 1), (11, "a", 1), (1, "a", 11)]
    assert len({random_stream(*key).random() for key in keys}) == len(keys)
    assert random_stream(0, "a", 1).random() == random_stream(0, "a", 1).random()
