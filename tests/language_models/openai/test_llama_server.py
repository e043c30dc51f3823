"""The API backend against a real server, llama.cpp's, with the embedded model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai.errors import ApiRefusedError
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import Capability, Choice, SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.support.llama_server import llama_server

pytestmark = pytest.mark.slow
YES_NO = (Choice("Yes", ("Yes", " Yes", "YES")), Choice("No", ("No", " No", "NO")))
QUESTIONS = ["Is the sky blue?", "Is a cat a plant?", "Can fish swim?"]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with llama_server() as address:
        yield address


def prompts() -> list[Prompt]:
    return [Prompt(f"{question} Answer with Yes or No.", str(index)) for index, question in enumerate(QUESTIONS)]


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_generates_and_keeps(base_url: str, tmp_path: Path, endpoint: str) -> None:
    def make() -> OpenAICompatibleLanguageModel:
        options = ApiOptions(model="smollm2", base_url=base_url, endpoint=endpoint)  # type: ignore[arg-type]
        return OpenAICompatibleLanguageModel(options, cache=CompletionCache(tmp_path / "cache"))

    sampling = SamplingOptions(max_new_tokens=12)
    rows = make().generate(prompts(), range(3), sampling, seed=1)
    assert [len(row) for row in rows] == [3, 3, 3]
    completions = [completion for row in rows for completion in row]
    assert len({completion.text for completion in completions}) > 4
    assert all(completion.n_tokens == 12 for completion in completions if completion.finish_reason == "length")
    assert all(completion.n_tokens <= 12 for completion in completions)
    again = make()
    assert again.generate(prompts(), range(3), sampling, seed=1) == rows
    assert again.spending.requests == 0


def test_greedy_text_repeats_and_stops(base_url: str) -> None:
    model = OpenAICompatibleLanguageModel(ApiOptions(model="smollm2", base_url=base_url))
    sampling = SamplingOptions(temperature=0, max_new_tokens=16)
    sea = [Prompt("Write one sentence about the sea.", "sea")]
    (first,), (second,) = (model.generate(sea, range(1), sampling, seed=seed)[0] for seed in (1, 2))
    assert first.text == second.text
    word = first.text.split()[2]
    stopped = SamplingOptions(temperature=0, max_new_tokens=16, stop=(word,))
    ((cut,),) = model.generate(sea, range(1), stopped, seed=1)
    assert (cut.text, cut.finish_reason) == (first.text.split(word)[0], "stop")


def test_choice_probabilities_are_near_those_of_transformers(base_url: str, embedded_model_directory: Path) -> None:
    """The server computes with 4-bit weights and 8-bit activations, the local backend in fp32."""
    local = pytest.importorskip("ilf_kedro.language_models.local.model")
    source = local.load_model_source("embedded", embedded_model_directory, format="chat", dtype="float32")
    exact = local.LocalLanguageModel(source, cache=None).choice_probabilities(prompts(), YES_NO)
    model = OpenAICompatibleLanguageModel(ApiOptions(model="smollm2", base_url=base_url))
    answers = model.choice_probabilities(prompts(), YES_NO)
    for answer, truth in zip(answers, exact, strict=True):
        assert answer.bound < 0.1
        np.testing.assert_allclose(
            np.exp(answer.log_probabilities), np.exp(truth.log_probabilities), atol=answer.bound + 0.12
        )


def test_echo_is_honestly_absent(base_url: str) -> None:
    model = OpenAICompatibleLanguageModel(ApiOptions(model="smollm2", base_url=base_url, endpoint="completions"))
    assert Capability.LOG_LIKELIHOOD not in model.capabilities


def test_too_long_a_prompt_names_the_remedy(base_url: str) -> None:
    model = OpenAICompatibleLanguageModel(ApiOptions(model="smollm2", base_url=base_url))
    with pytest.raises(ApiRefusedError, match="max_prompt_characters"):
        model.generate([Prompt("word " * 9000)], range(1), SamplingOptions(), seed=1)
