"""Both engines against plain forward passes, on every architecture."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from ilf_kedro.language_models.local.choosing import UnsupportedModelError, choose_engine
from ilf_kedro.language_models.local.decoding import Sample, run_decoding
from ilf_kedro.language_models.local.engines import PaddedEngine, TreeEngine
from ilf_kedro.language_models.local.forward import Forward, WholeForward
from ilf_kedro.language_models.local.kernels.packed_weights import pack_linear_weights
from ilf_kedro.language_models.local.sampling import random_stream
from ilf_kedro.language_models.protocol import SamplingOptions
from tests.support import naive
from tests.support.architectures import BY_LENGTH, OTHERS, TREE, build

torch.set_num_threads(1)


@pytest.fixture(scope="module", params=[*TREE, *OTHERS])
def architecture(request):
    """Name, model for the oracle, and the engine chosen for an equal model, its weights packed."""
    model = build(request.param)
    pack_linear_weights(model)
    return request.param, build(request.param), choose_engine(model)


def branching_sequences() -> list[list[int]]:
    """Sequences that share prefixes of several depths, equal ones and one inside another included."""
    rng = np.random.default_rng(5)
    stem, left, right, other = (rng.integers(3, 97, n).tolist() for n in (20, 7, 5, 11))
    return [
        stem + left + [4, 5],
        stem + right,
        [*other, 9],
        stem + left + right,
        stem + left,
        stem + right,
        stem[:1] + other,
        stem + left + [4] + other,
    ]


def test_trees_are_chosen_where_the_architecture_allows(architecture):
    name, _, engine = architecture
    assert isinstance(engine, TreeEngine if name in TREE else PaddedEngine)


@torch.inference_mode()
def test_scores_equal_plain_forward_passes(architecture):
    _, oracle, engine = architecture
    sequences = branching_sequences()
    starts = [1, 20, 3, 25, 26, 1, 11, 30]
    results = engine.score(sequences, starts)
    for sequence, start, result in zip(sequences, starts, results, strict=True):
        expected = naive.token_log_probabilities(oracle, sequence, start)
        np.testing.assert_allclose(result, expected, atol=2e-4)


def test_shared_prefixes_are_computed_once(architecture):
    name, _, engine = architecture
    sequences = branching_sequences()
    before = engine.n_computed
    with torch.inference_mode():
        engine.score(sequences, [1] * len(sequences))
    distinct = {tuple(sequence[:end]) for sequence in sequences for end in range(1, len(sequence))}
    if name in TREE and name not in BY_LENGTH:
        assert engine.n_computed - before == len(distinct)
    else:
        assert engine.n_computed - before >= len(distinct)


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(temperature=0, max_new_tokens=12),
        SamplingOptions(temperature=1, top_p=0.95, max_new_tokens=12),
        SamplingOptions(temperature=1.5, top_p=1, top_k=30, max_new_tokens=9),
    ],
    ids=["greedy", "nucleus", "top-k"],
)
def test_decoding_equals_one_sample_at_a_time(architecture, options):
    _, oracle, engine = architecture
    rng = np.random.default_rng(2)
    stem = rng.integers(3, 97, 8).tolist()
    prompts = [[*stem, 7, 8, 9], stem, rng.integers(3, 97, 17).tolist(), [5], stem]
    ends = frozenset(range(10, 18))  # many, so that samples leave at different times
    n = 4
    rows = [[Sample(random_stream(3, f"e{i}", s)) for s in range(n)] for i in range(len(prompts))]
    with torch.inference_mode():
        decoding = engine.decode(prompts, n, options.max_new_tokens)
        run_decoding(decoding, [s for row in rows for s in row], options, ends, lambda tokens: str(tokens))
    finished = set()
    for i, row in enumerate(rows):
        for s, sample in enumerate(row):
            tokens, values, reason = naive.generate(oracle, prompts[i], options, ends, 3, f"e{i}", s, cached=False)
            assert (sample.tokens, sample.finish_reason) == (tokens, reason)
            np.testing.assert_allclose(sample.log_probabilities, values, atol=2e-4)
            assert sample.text == str(tokens)
            finished.add(reason)
    if options.temperature:
        assert finished == {"stop", "length"}, "the case must let some samples leave early, and others stay"


def test_embeddings_are_unit_means_of_last_hidden_states(architecture):
    _, oracle, engine = architecture
    sequences = branching_sequences()
    with torch.inference_mode():
        vectors = engine.embed(sequences)
        expected = []
        for sequence in sequences:
            naive.forget_lengths(oracle)
            expected.append(oracle.base_model(torch.tensor([sequence])).last_hidden_state[0].mean(0).numpy())
    np.testing.assert_allclose(vectors, [e / np.linalg.norm(e) for e in expected], atol=1e-5)


def test_falling_back_is_said_once(caplog):
    with caplog.at_level(logging.WARNING):
        choose_engine(build("mistral"))
    assert [record.message for record in caplog.records if "prefix tree" in record.message] == [
        "MistralForCausalLM cannot run as a prefix tree (MistralAttention uses sliding_window): "
        "prompts are computed in padded batches, which is slower"
    ]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_bfloat16_stays_near_float32(name):
    engine = choose_engine(build(name).to(torch.bfloat16))
    assert isinstance(engine, TreeEngine)
    sequences = branching_sequences()
    with torch.inference_mode():
        results = np.concatenate(engine.score(sequences, [1] * len(sequences)))
    oracle = build(name)
    expected = np.concatenate([naive.token_log_probabilities(oracle, s, 1) for s in sequences])
    assert np.abs(results - expected).mean() < 0.1


def test_a_wrong_plan_would_be_found(monkeypatch):
    """The trial at loading has teeth: an attention that ignores the tree makes it fall back."""
    from ilf_kedro.language_models.local.kernels import tree_attention

    def all_before(self, layer, query, key, value, scaling):
        group = query.shape[0] // key.shape[0]
        keys, values = (states.repeat_interleave(group, 0)[None] for states in (key, value))
        out = torch.nn.functional.scaled_dot_product_attention(query[None], keys, values, is_causal=True, scale=scaling)
        if self._keep:
            self.keys[layer], self.values[layer] = key, value
        return out[0].transpose(0, 1)

    monkeypatch.setattr(tree_attention.PackedAttention, "attend", all_before)
    assert isinstance(choose_engine(build("llama")), PaddedEngine)


@torch.inference_mode()
@pytest.mark.parametrize("name", sorted(BY_LENGTH))
def test_a_score_does_not_depend_on_what_else_is_asked(name):
    engine = choose_engine(build(name))
    sequences = branching_sequences()
    together = engine.score(sequences, [1] * len(sequences))
    for sequence, scores in zip(sequences, together, strict=True):
        np.testing.assert_allclose(scores, engine.score([sequence], [1])[0], atol=2e-5)


def test_a_model_that_sees_later_tokens_is_refused_in_one_sentence():
    with pytest.raises(UnsupportedModelError, match=r"\(BertLMHeadModel\) is not supported: it is no causal .* Name a"):
        choose_engine(build("bert"))


def test_a_model_whose_answers_are_no_numbers_is_refused():
    model = build("llama")
    model.lm_head.weight.data[5] = float("nan")
    with pytest.raises(UnsupportedModelError, match="no numbers"):
        choose_engine(model)


def test_an_engine_that_leaves_out_what_follows_the_head_would_be_found(monkeypatch):
    """The oracle of the trial shares nothing with the engines: their common fault makes every one of them fail."""
    monkeypatch.setattr(Forward, "logits", lambda self, states: self.model.get_output_embeddings()(states).float())
    engine = choose_engine(build("granite"))
    assert isinstance(engine.forward, WholeForward)
    expected = naive.token_log_probabilities(build("granite"), [5, 6, 7, 8], 1)
    with torch.inference_mode():
        np.testing.assert_allclose(engine.score([[5, 6, 7, 8]], [1])[0], expected, atol=1e-5)
