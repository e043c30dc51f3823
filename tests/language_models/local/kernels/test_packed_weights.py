"""Weights in oneDNN's layout: the same products, the same model, less memory than twice."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ilf_kedro.language_models.local.kernels.packed_weights import PackedLinear, pack_linear_weights
from tests.support.architectures import OTHERS, TREE, build

pytestmark = pytest.mark.skipif(
    not pack_linear_weights(nn.Sequential(nn.Linear(2, 2))), reason="this torch has no oneDNN layout"
)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [(0,), (1,), (5,), (3, 7), (200,)])
def test_products_are_those_of_plain_weights(rows: tuple[int, ...], bias: bool) -> None:
    linear = nn.Linear(48, 80, bias=bias)
    inputs = torch.randn(*rows, 48, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        exact = inputs.double() @ linear.weight.double().T + (linear.bias.double() if bias else 0)
        assert torch.allclose(PackedLinear(linear)(inputs).double(), exact, atol=1e-5)
        half = copy.deepcopy(linear).bfloat16()
        assert torch.equal(PackedLinear(half)(inputs.bfloat16()), half(inputs.bfloat16()))
        assert torch.equal(PackedLinear(linear).weight, linear.weight)


@pytest.mark.parametrize("name", [*TREE, *OTHERS])
def test_a_packed_model_gives_the_logits_of_the_plain_one(name: str) -> None:
    model, plain = build(name), build(name)
    n_linear = sum(type(module) is nn.Linear for module in plain.modules())
    assert pack_linear_weights(model) == n_linear
    assert not any(type(module) is nn.Linear for module in model.modules())
    tokens = torch.arange(3, 23)[None]
    with torch.inference_mode():
        assert torch.allclose(model(tokens).logits, plain(tokens).logits, atol=1e-5)


def test_plain_weights_are_let_go_of_but_for_those_of_the_embeddings() -> None:
    model = build("llama")
    embeddings = model.get_input_embeddings().weight
    pack_linear_weights(model)
    assert model.get_input_embeddings().weight is embeddings
    assert not [name for name, _ in model.named_parameters() if name.endswith("proj.weight")]


def test_a_layer_whose_packed_products_are_wrong_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PackedLinear, "forward", lambda self, rows: rows.new_zeros(*rows.shape[:-1], 8))
    model = nn.Sequential(nn.Linear(4, 8))
    assert pack_linear_weights(model) == 0
    assert type(model[0]) is nn.Linear
