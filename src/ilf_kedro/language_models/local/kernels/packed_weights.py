"""Weights laid out once for a CPU's matrix products, where torch would lay them out anew for every product.

While a few samples are decoded, each product has a few rows; then the layout costs more than the product.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PackedLinear", "pack_linear_weights"]

logger = logging.getLogger(__name__)

_PACKED_DTYPES = (torch.float32, torch.bfloat16)
_TRIAL_ROWS = (1, 5)


class PackedLinear(nn.Module):
    """Computes what an nn.Linear does, from weights in oneDNN's own layout; for inference alone.

    In bfloat16 the results are the same bit for bit, in float32 to rounding.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())  # noqa: SLF001
        self.bias = linear.bias

    @property
    def weight(self) -> Tensor:
        """The plain weights, laid out anew: for the rare model that reads them instead of calling the layer."""
        return self.packed.to_dense()

    def forward(self, rows: Tensor) -> Tensor:
        """Return rows (..., in_features) times the weights, shape (..., out_features)."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, "none", [], "")  # noqa: SLF001
        return product


@torch.inference_mode()
def pack_linear_weights(model: nn.Module) -> int:
    """Put a PackedLinear in the place of every nn.Linear below a model on a CPU, and return how many.

    The plain weights are let go of, but for an LM head that shares them with the embeddings. Nothing is packed
    where this build of torch has no such layout, or a trial of each shape finds other products.
    """
    packed = 0
    trusted: dict[tuple[torch.dtype, int, int], bool] = {}
    for parent in list(model.modules()):
        for name, linear in list(parent.named_children()):
            if type(linear) is not nn.Linear or not _can_pack(linear):
                continue
            replacement = PackedLinear(linear)
            shape = (linear.weight.dtype, linear.in_features, linear.out_features)
            if shape not in trusted:
                trusted[shape] = _agree(replacement, linear)
            if trusted[shape]:
                setattr(parent, name, replacement)
                packed += 1
    logger.debug("%d layers have weights in oneDNN's layout", packed)
    return packed


def _can_pack(linear: nn.Linear) -> bool:
    operators: Any = torch.ops.mkldnn  # private, so a torch without them must not be the end of it
    known = hasattr(operators, "_reorder_linear_weight") and hasattr(operators, "_linear_pointwise")
    here = linear.weight.device.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return known and here and linear.weight.dtype in _PACKED_DTYPES


def _agree(packed: PackedLinear, linear: nn.Linear) -> bool:
    """Tell whether both give the same products, to rounding, of a few rows."""
    generator = torch.Generator().manual_seed(0)
    for n in _TRIAL_ROWS:
        rows = torch.randn(n, linear.in_features, generator=generator).to(linear.weight.dtype)
        expected = linear(rows)
        tolerance = 1e-5 if linear.weight.dtype == torch.float32 else 1e-2
        try:
            difference = (packed(rows) - expected).abs().max()
        except RuntimeError:
            return False
        if not difference <= tolerance * expected.abs().max().clamp(min=1e-6):
            return False
    return True
