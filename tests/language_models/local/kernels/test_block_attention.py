from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ilf_kedro.language_models.local.kernels.block_attention import attend
from ilf_kedro.language_models.local.kernels.tree_attention import PackedAttention


def plainly(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend query by query, from the softmax's definition."""
    n, m = query.shape[2], key.shape[1]
    rows = []
    for place in range(n):
        seen = m - n + place + 1
        weights = (query[:, :, place] @ key[:, :seen].transpose(1, 2)).exp()
        rows.append(weights / weights.sum(-1, keepdim=True) @ value[:, :seen])
    return torch.stack(rows, dim=2)


@given(
    sets=st.integers(1, 3),
    group=st.integers(1, 3),
    n=st.sampled_from((1, 2, 63, 64, 65, 130)),
    before=st.sampled_from((0, 1, 64, 100)),
)
def test_each_query_sees_the_keys_before_it_and_its_own(sets: int, group: int, n: int, before: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((sets, group, n, 8), (sets, before + n, 8), (sets, before + n, 5))
    )
    assert torch.allclose(attend(query, key, value), plainly(query, key, value), rtol=0, atol=1e-12)


def test_other_devices_attend_alike() -> None:
    """What runs where there is a GPU, run here: a root of 70 tokens, and a branch of 5 after 40 of them."""
    segments = [(0, 70, range(0)), (70, 75, range(40))]
    packing: Any = SimpleNamespace(
        segments=[SimpleNamespace(start=a, end=b, prefix=np.array(prefix, dtype=np.int64)) for a, b, prefix in segments]
    )
    plan = PackedAttention(packing, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(heads, 75, 8, generator=generator) for heads in (4, 2, 2))
    found = plan.attend(0, query, key, value, 0.3).transpose(0, 1)
    root = plan._attend_by_torch(query[:, :70], key[:, :70], value[:, :70], 0, 0.3)
    seen = [torch.cat([states[:, :40], states[:, 70:]], dim=1) for states in (key, value)]
    branch = plan._attend_by_torch(query[:, 70:], *seen, 40, 0.3)
    assert torch.allclose(found, torch.cat([root, branch], dim=1), rtol=0, atol=1e-6)
