"""Every architecture that transformers has a causal class for: answered as by its own forward pass, or refused."""

from __future__ import annotations

import pytest
import torch

from tests.support.every_architecture import KINDS, examine


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_its_own_forward_pass_or_is_refused(kind, tmp_path):
    torch.set_num_threads(1)
    finding = examine(kind, tmp_path)
    assert finding.right, finding
