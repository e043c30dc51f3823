"""What the cache keeps is read as it was written."""

from __future__ import annotations

from typing import Any

import pytest

from ilf_kedro.language_models.cache.codecs import (
    LOG_LIKELIHOODS,
    NUMBER,
    NUMBERS,
    SCORES,
    VECTOR,
    Codec,
    completion_codec,
    pack_truncated,
    unpack_truncated,
)

CODECS = {
    "completion": completion_codec(1), "number": NUMBER, "numbers": NUMBERS, "vector": VECTOR, "scores": SCORES,
    "log-likelihoods": LOG_LIKELIHOODS,
}  # fmt: skip


@pytest.mark.parametrize("n_truncated_tokens", [0, 7])
@pytest.mark.parametrize("text", ['{"text": "as it was"}', "[-1.5, -0.25]", "0.5"])
def test_an_answer_comes_back_with_the_tokens_cut_from_its_prompt(text: str, n_truncated_tokens: int) -> None:
    assert unpack_truncated(pack_truncated(text, n_truncated_tokens)) == (text, n_truncated_tokens)


def test_answers_that_were_kept_with_truncated_prompts_are_still_read() -> None:
    assert unpack_truncated('{"n_cut": 12, "answer": "[-1.5, -0.25]"}') == ("[-1.5, -0.25]", 12)


@pytest.mark.parametrize("text", ["no JSON", "null", '"abc"', '{"a": 1}', '["a", "b"]', '[["a"], [[1]]]', "{}", ""])
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_kept_text_that_is_no_such_answer_is_said_to_be_none(codec: Codec[Any], text: str) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        codec.read(text)
