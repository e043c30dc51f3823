"""Figures of a text that need no language model: its overlap with a reference, and its length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["rouge_l", "words"]


def rouge_l(texts: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
    """Return the F1 of the longest common subsequence of stemmed words (ROUGE-L, Lin 2004), one per text."""
    from rouge_score.rouge_scorer import RougeScorer  # slow to import

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(texts, references, strict=True)
    return np.array([scorer.score(reference, text)["rougeL"].fmeasure for text, reference in pairs], dtype=np.float64)


def words(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of words of each text, where a word is what white space separates."""
    return np.array([len(text.split()) for text in texts], dtype=np.int64)
