"""Divergences against exact ones: on a vocabulary of six tokens every sequence can be enumerated."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from ilf_kedro.evaluation.divergence import divergence_terms, estimate, sample_terms
from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.local.batching import RunStatistics
from ilf_kedro.language_models.local.choosing import choose_engine
from ilf_kedro.language_models.local.loading import LoadedModel
from ilf_kedro.language_models.local.options import LocalOptions
from ilf_kedro.language_models.local.runtime import LocalRuntime
from ilf_kedro.language_models.local.token_scoring import TokenScoring
from ilf_kedro.language_models.protocol import Context
from tests.support import naive
from tests.support.architectures import build

VOCABULARY, LENGTH, END = 6, 3, 0
CONTEXTS = [Context("a", (1, 2)), Context("b", (5, 4, 3))]
BOOTSTRAP = Bootstrap(resamples=100)


def tiny(seed: int, scale: float = 1.0):
    """A tiny random model that can take the base's place, and the same model as TokenScoring."""
    model = build("llama", VOCABULARY)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            weights += scale * 0.1 * torch.randn(weights.shape, generator=generator)
    oracle = build("llama", VOCABULARY)
    oracle.load_state_dict(model.state_dict())
    held = LoadedModel(choose_engine(model), frozenset({END}))

    runtime = LocalRuntime(
        ModelSource("tiny", Path(), f"revision-{seed}-{scale}", dtype="float32"),
        checkpoint=None,
        cache=None,
        options=LocalOptions(device="cpu"),
        statistics=RunStatistics(),
        load=lambda _: held,
    )
    runtime.formatter = SimpleNamespace(template_hash="", text_tokens=lambda _: (1,))
    return oracle, TokenScoring(runtime)


def sequences() -> list[tuple[int, ...]]:
    """Every sequence that a sampler may draw: ended by the end token, or cut at LENGTH tokens."""
    inner = [token for token in range(VOCABULARY) if token != END]
    ended = [(*body, END) for n in range(LENGTH) for body in product(inner, repeat=n)]
    return ended + list(product(inner, repeat=LENGTH))


def exact(p, q, context: Context) -> dict[str, float]:
    """The divergence and what it is made of, by enumeration with plain forward passes."""
    totals = dict.fromkeys(["mass", "log_ratio", "controlled", "n_tokens"], 0.0)
    start = len(context.tokens)
    for tokens in sequences():
        under_p, under_q = (
            np.array(naive.token_log_probabilities(model, [*context.tokens, *tokens], start)) for model in (p, q)
        )
        probability = np.exp(under_p.sum())
        log_ratio, controlled = divergence_terms(under_p, under_q)
        assert controlled >= 0
        terms = {"mass": 1, "log_ratio": log_ratio, "controlled": controlled, "n_tokens": len(tokens)}
        for name, value in terms.items():
            totals[name] += probability * value
    return totals


@pytest.fixture(scope="module")
def models():
    return tiny(1), tiny(2)


@pytest.fixture(scope="module", params=["forward", "backward"])
def pair(models, request):
    """The enumerated truth of each post, and what was estimated from samples."""
    (p, sampler), (q, other) = models if request.param == "forward" else models[::-1]
    truth = pd.DataFrame([exact(p, q, context) for context in CONTEXTS])
    terms = sample_terms(sampler, other, CONTEXTS, n_samples=600, max_new_tokens=LENGTH, seed=0)
    return truth, terms


def test_both_terms_are_unbiased_over_all_sequences(pair):
    truth, _ = pair
    assert truth["mass"].to_numpy() == pytest.approx([1, 1], abs=1e-5)
    assert (truth["log_ratio"] > 0.05).all()  # the models differ, or nothing would be shown
    assert truth["controlled"].to_numpy() == pytest.approx(truth["log_ratio"].to_numpy(), abs=1e-5)


def test_the_estimates_meet_the_exact_divergence_within_their_monte_carlo_error(pair):
    truth, terms = pair
    exact_values = {
        "nats_per_sequence": truth["log_ratio"].mean(),
        "nats_per_token": truth["log_ratio"].mean() / truth["n_tokens"].mean(),
    }
    for found in estimate(terms, BOOTSTRAP):
        error = found.monte_carlo_error
        assert error is not None
        assert error < exact_values[found.unit] / 3  # so that a wrong estimate could not pass
        assert abs(found.estimate.value - exact_values[found.unit]) < 3.5 * error, found
        assert (found.estimate.n, found.n_samples) == (2, 1200)


def test_the_end_token_is_drawn_and_scored_where_it_ended_a_sequence(pair):
    truth, terms = pair
    assert set(terms["ended"]) == {True, False}
    assert (terms.loc[~terms["ended"], "n_tokens"] == LENGTH).all()
    expected = truth["n_tokens"].to_numpy()
    assert terms.groupby("example_id")["n_tokens"].mean().to_numpy() == pytest.approx(expected, abs=0.12)
    assert terms["discrepancy"].abs().max() < 1e-4  # float32: drawing and scoring agree


def test_the_control_varies_less_between_like_models():
    (_, sampler), (_, other) = tiny(1), tiny(1, scale=0.9)
    terms = sample_terms(sampler, other, CONTEXTS, n_samples=200, max_new_tokens=LENGTH, seed=0)
    assert terms["controlled"].var() < 0.25 * terms["log_ratio"].var()


def test_a_model_diverges_from_itself_by_exactly_nothing(models):
    (_, sampler), _ = models
    terms = sample_terms(sampler, sampler, CONTEXTS, n_samples=20, max_new_tokens=LENGTH, seed=0)
    assert (terms[["log_ratio", "controlled"]] == 0).all(axis=None)


def test_errors_are_over_posts_and_apart_from_them_those_of_sampling():
    """Two inputs that differ and are sampled without error; and one post's samples that differ."""
    rows = [("a", 1.0, 2), ("a", 1.0, 2), ("b", 3.0, 4), ("b", 3.0, 4), ("c", 2.0, 2), ("c", 2.0, 2)]
    table = pd.DataFrame(rows, columns=["example_id", "log_ratio", "n_tokens"]).assign(controlled=lambda t: t.log_ratio)
    per_sequence, per_token, *_ = estimate(table, BOOTSTRAP)
    assert per_sequence.estimate.value == pytest.approx(2)
    assert per_sequence.estimate.standard_error == pytest.approx(1 / np.sqrt(3))
    assert per_sequence.monte_carlo_error == 0
    assert per_token.estimate.value == pytest.approx(6 / 8)

    table["log_ratio"] = [0.0, 2.0, 3.0, 3.0, 2.0, 2.0]  # post a: variance 2 over two samples
    per_sequence, *_ = estimate(table, BOOTSTRAP)
    assert per_sequence.monte_carlo_error == pytest.approx(np.sqrt(2 / 2) / 3)

    single = estimate(table.drop_duplicates("example_id"), BOOTSTRAP)
    assert all(found.monte_carlo_error is None for found in single)
