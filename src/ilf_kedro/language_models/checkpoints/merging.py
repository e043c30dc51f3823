"""Adapters as peft has them: put into the weights that they were trained on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint

__all__ = ["merge_adapter", "quiet_peft"]


def merge_adapter(model: Any, adapter: Checkpoint) -> Any:
    """Return the model with a trained adapter added to its weights; these should be float32."""
    from peft import PeftModel

    with quiet_peft():
        return PeftModel.from_pretrained(model, str(adapter.directory)).merge_and_unload()


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Keep peft from warning of what it does itself: it asks transformers for a deprecated attribute."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated")
        yield
