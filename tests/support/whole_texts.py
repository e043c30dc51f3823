"""The oracle of the log-probability terms: every whole text by itself, its tokens picked by where its pieces stand."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ilf_kedro.prompting import PromptTemplate
from tests.support import naive

Span = tuple[int, int]


class Oracle:
    """Runs a model's plain forward passes over whole texts."""

    def __init__(self, directory: Path, format: str) -> None:  # noqa: A002
        self.model, self.tokenizer = _load(directory)
        self.chat = format == "chat"

    def terms(
        self, refining: PromptTemplate, commenting: PromptTemplate, row: pd.Series, refinement: str
    ) -> dict[str, float]:
        """Return the seven terms of one refinement by name."""
        first, second = self._read(refining, row, refinement), self._read(commenting, row, refinement)
        return {
            "refinement_given_feedback": _mean(first, "refinement"),
            "refinement_given_input": _mean(second, "refinement"),
            "feedback_given_refinement": _mean(second, "feedback"),
            "joint_refinement_last": _mean(first, "whole"),
            "joint_feedback_last": _mean(second, "whole"),
            "words_refinement_last": _mean(first, "feedback", "refinement"),
            "words_feedback_last": _mean(second, "refinement", "feedback"),
        }

    def _read(
        self, template: PromptTemplate, row: pd.Series, refinement: str
    ) -> tuple[dict[str, Span], list[Span], list[float]]:
        text, pieces = _fill(template, row, refinement)
        shift = 0
        if self.chat:
            message = text
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": message}], tokenize=False, add_generation_prompt=True
            )
            shift = text.index(message)
        encoded = self.tokenizer(text, add_special_tokens=not self.chat, return_offsets_mapping=True)
        offsets = [(begin - shift, end - shift) for begin, end in encoded.offset_mapping]
        values = naive.token_log_probabilities(self.model, encoded.input_ids, 1)
        return pieces, offsets[1:], values


@lru_cache(maxsize=1)
def _load(directory: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(directory)


def _fill(template: PromptTemplate, row: pd.Series, refinement: str) -> tuple[str, dict[str, Span]]:
    """Put the text together piece by piece; the blank before a piece is its own."""
    values = {**row.to_dict(), "refinement": refinement}
    text, pieces = "", {}
    for number, part in enumerate(re.split(r"\{\{ (\w+) \}\}", template.text)):
        if number % 2 == 0:
            text += part
            continue
        begin = len(text) - text.endswith(" ")
        value = values[part] if isinstance(values[part], str) else ""
        text += value.strip() if part in ("feedback", "refinement") else value
        pieces[part] = (begin, len(text))
    return text, {**pieces, "whole": (0, max(end for _, end in pieces.values()))}


def _mean(read: tuple[dict[str, Span], list[Span], list[float]], *parts: str) -> float:
    pieces, offsets, values = read
    chosen = [
        value
        for (begin, end), value in zip(offsets, values, strict=True)
        if any(set(range(begin, end)) & set(range(*pieces[part])) for part in parts)
    ]
    return float(np.mean(chosen))
