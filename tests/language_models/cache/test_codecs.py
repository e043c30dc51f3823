"""What the cache keeps is read as it was written."""

from __future__ import annotations

import pytest

from ilf_kedro.language_models.cache.codecs import pack_truncated, unpack_truncated


@pytest.mark.parametrize("n_truncated_tokens", [0, 7])
@pytest.mark.parametrize("text", ['{"text": "as it was"}', "[-1.5, -0.25]", "0.5"])
def test_an_answer_comes_back_with_the_tokens_cut_from_its_prompt(text: str, n_truncated_tokens: int) -> None:
    assert unpack_truncated(pack_truncated(text, n_truncated_tokens)) == (text, n_truncated_tokens)


def test_answers_that_were_kept_with_truncated_prompts_are_still_read() -> None:
    assert unpack_truncated('{"n_cut": 12, "answer": "[-1.5, -0.25]"}') == ("[-1.5, -0.25]", 12)
