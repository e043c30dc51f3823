"""The released reward models' exact input, on a tiny OPT in the same files: conversion, format check, reward."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoTokenizer, OPTForCausalLM

from ilf_kedro.language_models.checkpoints.convert import ConversionError, convert, main
from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models import RewardInput, open_reward_model
from ilf_kedro.reward_models.input_format import InputFormatError
from tests.support.released_opt import write_released

PROMPT = Path(__file__).parents[2] / "conf" / "base" / "prompts" / "reward_model_released_opt.yml"
TEMPLATE = PromptTemplate.model_validate(yaml.safe_load(PROMPT.read_text(encoding="utf-8")))
POLICY = RewardInput("e", {"title": "My cat", "post": "She left on Monday.\n\nWhere do I look?"}, "A cat is gone.")
# The format, written out once more: it is an interface.
EXPECTED = (
    "Title: My cat\n\nText: She left on Monday.\n\nWhere do I look?\n\nTL;DR: A cat is gone.\n\nQuestion: Is the above "
    "an excellent summary of the given text? An excellent summary is coherent, accurate, concise, and detailed. "
    "Answer with Yes or No.\n\nAnswer:"
)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_released(tmp_path_factory.mktemp("opt") / "lmloss-opt-rm-tiny")


@pytest.fixture(scope="module")
def converted(released: Path) -> Path:
    return convert(released, released.with_name("converted"))


def local(directory: Path) -> LocalLanguageModel:
    return LocalLanguageModel(load_model_source("opt-rm", directory, format="plain", dtype="float32"))


def test_conversion_keeps_every_weight_and_leaves_safetensors_only(released: Path, converted: Path) -> None:
    assert (converted / "model.safetensors").is_file()
    assert not list(converted.glob("*.bin"))
    weights = torch.load(released / "pytorch_model.bin", weights_only=True)
    model = OPTForCausalLM.from_pretrained(converted)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, weights[name], atol=0, rtol=0)


def test_the_reward_is_that_of_the_exact_input(converted: Path) -> None:
    """Against transformers' own forward pass on </s> and the text, the answers " Yes" and " No"."""
    tokenizer = AutoTokenizer.from_pretrained(converted)
    ids = [2, *tokenizer(EXPECTED, add_special_tokens=False).input_ids]
    assert tokenizer.convert_ids_to_tokens(ids[-1]) == ":"
    answers = [tokenizer(f" {word}", add_special_tokens=False).input_ids for word in ("Yes", "No")]
    totals = []
    model = OPTForCausalLM.from_pretrained(converted)
    with torch.no_grad():
        for answer in answers:
            logits = model(torch.tensor([ids + answer])).logits[0].double().log_softmax(-1)
            totals.append(sum(logits[len(ids) - 1 + i, token] for i, token in enumerate(answer)))
    expected = torch.stack(totals).softmax(0)[0].item()
    (reward,) = open_reward_model("yes_no", local(converted), TEMPLATE).rewards([POLICY])
    assert reward == pytest.approx(expected, abs=1e-5)


def test_long_posts_are_cut_without_losing_either_end(converted: Path) -> None:
    model = local(converted)
    question = TEMPLATE.render("e", title="t", post="She left. " * 400, output="A cat.")
    formatted = model.formatter.prompt(question, 2)
    assert formatted.n_truncated_tokens > 0
    assert formatted.tokens[0] == 2
    assert model.formatter.tokenizer.convert_ids_to_tokens(formatted.tokens[-1]) == ":"


def test_a_tokenizer_without_the_first_token_is_refused_when_the_model_is_opened(tmp_path: Path) -> None:
    bare = write_released(tmp_path / "bare", add_bos_token=False)
    plain = convert(bare, tmp_path / "plain")
    with pytest.raises(InputFormatError, match=r"begins with '[^']+' \(id \d+\) instead of '</s>' \(id 2\)") as caught:
        open_reward_model("yes_no", local(plain), TEMPLATE)
    assert '"add_bos_token": true' in str(caught.value)
    with_first = convert(bare, tmp_path / "with", add_bos_token=True)
    assert open_reward_model("yes_no", local(with_first), TEMPLATE).rewards([POLICY])


def test_a_text_that_ends_otherwise_is_refused(converted: Path) -> None:
    changed = TEMPLATE.model_copy(update={"text": TEMPLATE.text + " "})
    with pytest.raises(InputFormatError, match=r"ends with 'Ġ'.* instead of ':'"):
        open_reward_model("yes_no", local(converted), changed)


def test_only_a_local_model_can_promise_tokens() -> None:
    with pytest.raises(InputFormatError, match="only a local model"):
        open_reward_model("yes_no", ScriptedLanguageModel(), TEMPLATE)


def test_a_released_directory_as_it_is_says_how_to_convert_it(released: Path) -> None:
    with pytest.raises(ModelDirectoryError, match=r"checkpoints\.convert"):
        load_model_source("opt-rm", released)


class TestRefusals:
    def test_what_is_missing_is_named(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "config.json").write_text("{}")
        assert main([str(tmp_path), str(tmp_path / "out")]) == 1
        assert "lacks pytorch_model.bin (or its index), tokenizer_config.json" in caplog.text

    def test_nothing_is_overwritten(self, released: Path, tmp_path: Path) -> None:
        with pytest.raises(ConversionError, match="exists already"):
            convert(released, tmp_path)

    def test_a_pickle_that_would_run_code_is_not_read_and_nothing_is_left(self, released: Path, tmp_path: Path) -> None:
        class Malicious:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return os.mkdir, (str(tmp_path / "it-ran"),)

        source = tmp_path / "source"
        shutil.copytree(released, source)
        torch.save({"weight": Malicious()}, source / "pytorch_model.bin")
        with pytest.raises(ConversionError, match="pickle"):
            convert(source, tmp_path / "out")
        assert not (tmp_path / "it-ran").exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
