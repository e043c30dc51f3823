from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, OPTConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ilf_kedro.language_models.local.kernels import causal_attention as module
from ilf_kedro.language_models.local.kernels.causal_attention import NAME, attend_in_blocks, causal_attention

CONFIGS = {
    "llama": LlamaConfig(
        vocab_size=60,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    ),
    "opt": OPTConfig(
        vocab_size=60,
        hidden_size=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=32,
        dropout=0.0,
    ),
    "gpt2": GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0),
}


def states(rows: int, heads: int, kv_heads: int, n: int, seed: int = 0) -> list[Tensor]:
    """Return queries, keys and values with as many features as no others have."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((rows, heads, n, 8), (rows, kv_heads, n, 8), (rows, kv_heads, n, 5))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def plainly(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """Attend by writing the whole softmax down."""
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    scores = scaling * query @ key.transpose(-1, -2)
    n = query.shape[2]
    seen = torch.arange(n)[:, None] >= torch.arange(n)
    weights = torch.where(seen, scores.exp(), torch.zeros(()).double())
    return weights / weights.sum(-1, keepdim=True) @ value


@given(
    rows=st.integers(1, 3),
    kv_heads=st.integers(1, 3),
    group=st.integers(1, 3),
    n=st.sampled_from((1, 2, 63, 64, 65, 130)),
)
def test_outputs_and_gradients_are_those_of_the_whole_softmax(rows: int, kv_heads: int, group: int, n: int) -> None:
    inputs = [each.requires_grad_() for each in states(rows, kv_heads * group, kv_heads, n)]
    ours, expected = causal_attention(*inputs, 0.3), plainly(*inputs, 0.3)
    assert torch.allclose(ours, expected, rtol=0, atol=1e-12)
    to_output = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = [torch.autograd.grad(output, inputs, to_output) for output in (ours, expected)]
    for own, other in zip(*gradients, strict=True):
        assert torch.allclose(own, other, rtol=0, atol=1e-11)


def test_bfloat16_is_as_near_to_exact_gradients_as_torch_is() -> None:
    exact = [each.requires_grad_() for each in states(2, 4, 2, 200)]
    expected = torch.autograd.grad(plainly(*exact, 0.35).sum(), exact)

    def errors(attend: Any) -> list[float]:
        inputs = [each.detach().bfloat16().requires_grad_() for each in exact]
        found = torch.autograd.grad(attend(*inputs, 0.35).sum(), inputs)
        return [float((own - other).norm() / other.norm()) for own, other in zip(found, expected, strict=True)]

    def by_torch(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)

    for own, torchs in zip(errors(causal_attention), errors(by_torch), strict=True):
        assert own < 2 * torchs + 1e-3


def test_autocast_decides_the_dtype() -> None:
    query, key, value = (each.float() for each in states(1, 2, 1, 70))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = causal_attention(query, key, value.bfloat16(), 0.3)
    assert mixed.dtype == torch.bfloat16
    assert torch.equal(mixed, causal_attention(query.bfloat16(), key.bfloat16(), value.bfloat16(), 0.3))


def tiny(architecture: str, **settings: Any) -> Any:
    """Return a model with random weights; the config is its own, since a model writes into it."""
    return AutoModelForCausalLM.from_config(deepcopy(CONFIGS[architecture]), **settings)


def loss_and_gradients(model: Any, tokens: Tensor, **inputs: Any) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    loss = model(input_ids=tokens, labels=tokens, use_cache=False, **inputs).loss
    loss.backward()
    return float(loss.detach()), {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every attention that is computed in blocks."""
    lengths: list[int] = []

    def count(query: Tensor, *others: Any) -> Tensor:
        lengths.append(query.shape[2])
        return causal_attention(query, *others)

    monkeypatch.setattr(module, "causal_attention", count)
    return lengths


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_model_keeps_its_loss_and_gradients(architecture: str, counted: list[int]) -> None:
    torch.manual_seed(0)
    model = tiny(architecture).train()
    tokens = torch.randint(0, 60, (3, 90))
    expected_loss, expected = loss_and_gradients(model, tokens)
    assert not counted
    attend_in_blocks(model)
    loss, gradients = loss_and_gradients(model, tokens)
    assert counted == [90, 90]
    assert loss == pytest.approx(expected_loss, abs=1e-6)
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, expected[name], rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize("case", ["padding", "dropout"])
def test_what_is_not_plain_causal_attention_is_left_to_torch(case: str, counted: list[int]) -> None:
    torch.manual_seed(0)
    model = tiny("llama").train()
    inputs = {}
    if case == "padding":
        inputs["attention_mask"] = torch.tensor([[0] * 5 + [1] * 15, [1] * 20])
    else:
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.5
    tokens = torch.randint(0, 60, (2, 20))
    with torch.random.fork_rng():
        expected, _ = loss_and_gradients(model, tokens, **inputs)
    attend_in_blocks(model)
    loss, _ = loss_and_gradients(model, tokens, **inputs)
    assert not counted
    assert loss == pytest.approx(expected, abs=1e-6)


def test_a_model_with_an_attention_of_its_own_choice_keeps_it() -> None:
    model = tiny("llama", attn_implementation="eager")
    attend_in_blocks(model)
    assert model.config._attn_implementation == "eager"


def test_a_saved_model_knows_nothing_of_it(tmp_path: Path) -> None:
    model = tiny("llama")
    attend_in_blocks(model)
    assert model.config._attn_implementation == NAME
    assert NAME in ALL_ATTENTION_FUNCTIONS
    model.save_pretrained(tmp_path)
    assert NAME not in json.dumps(json.loads((tmp_path / "config.json").read_text()))
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"
