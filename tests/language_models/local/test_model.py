"""The local backend end to end on a tiny model, against the oracle."""

from __future__ import annotations

import json
import logging
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.language_models.local import runtime
from ilf_kedro.language_models.local.formatting import Formatter
from ilf_kedro.language_models.local.loading import resolve_dtype
from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions, load_model_source
from ilf_kedro.language_models.local.resident import LOADED_MODEL
from ilf_kedro.language_models.protocol import Capability, Choice, MissingCapabilityError, SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.support import naive
from tests.support.training_records import training_record

torch.set_num_threads(1)

YES_NO = (Choice("yes", ("Yes", " Yes", "YES")), Choice("no", ("No", " No", "NO")))
OPTIONS = SamplingOptions(max_new_tokens=8)
STEM = "An input about a cat, a dog and a house by the sea. "
PROMPTS = [
    Prompt(STEM + "Feedback: too long.\n\nOutput:", "a"),
    Prompt("TL;DR:", "b"),
    Prompt(STEM + "Feedback: 🙂 unclear.\n\nOutput:", "c"),
    Prompt(STEM * 4 + "Output:", "d"),
]


@pytest.fixture(scope="module")
def directory(tiny_model_directory, tmp_path_factory):
    """The tiny model with larger weights, so that what it sees matters."""
    target = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(tiny_model_directory, target)
    weights = load_file(target / "model.safetensors")
    save_file(
        {k: v * (1 if "norm" in k else 8) for k, v in weights.items()}, target / "model.safetensors", {"format": "pt"}
    )
    return target


@pytest.fixture(scope="module")
def oracle(directory):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(directory):
    return AutoTokenizer.from_pretrained(directory)


@pytest.fixture(params=["plain", "chat"])
def model(request, directory):
    return local_model(directory, format=request.param)


def local_model(directory, *, format="plain", dtype="float32", **arguments):  # noqa: A002
    return LocalLanguageModel(load_model_source("tiny", directory, format=format, dtype=dtype), **arguments)


def tokens_of(tokenizer, text, format):  # noqa: A002
    if format == "chat":
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
        )
    return tokenizer(text, add_special_tokens=False).input_ids


def texts(completions):
    return [[completion.text for completion in row] for row in completions]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_generation_equals_the_oracle(model, oracle, tokenizer, temperature):
    options = SamplingOptions(max_new_tokens=8, temperature=temperature)
    rows = model.generate(PROMPTS, range(2, 5), options, seed=7)
    for prompt, row in zip(PROMPTS, rows, strict=True):
        tokens = tokens_of(tokenizer, prompt.text, model.source.format)
        for index, completion in zip(range(2, 5), row, strict=True):
            expected, values, reason = naive.generate(
                oracle, tokens, options, frozenset({2}), 7, prompt.example_id, index
            )
            assert completion.text == tokenizer.decode(expected, skip_special_tokens=True)
            assert (completion.n_tokens, completion.finish_reason, completion.seed) == (len(expected), reason, 7)
            np.testing.assert_allclose(completion.token_log_probabilities, values, atol=2e-4)


def test_choices_equal_the_oracle(model, oracle, tokenizer):
    results = model.choice_probabilities(PROMPTS, YES_NO)
    for prompt, result in zip(PROMPTS, results, strict=True):
        tokens = tokens_of(tokenizer, prompt.text, model.source.format)
        sums = []
        for choice in YES_NO:
            total = 0.0
            for spelling in choice.verbalizers:
                added = tokenizer(spelling, add_special_tokens=False).input_ids
                total += np.exp(sum(naive.token_log_probabilities(oracle, tokens + added, len(tokens))))
            sums.append(total)
        np.testing.assert_allclose(np.exp(result.log_probabilities), np.array(sums) / sum(sums), atol=1e-4)
        assert result.covered == pytest.approx(sum(sums), rel=1e-3)
        assert result.bound == 0


def test_a_single_token_choice_is_its_next_token_probability(directory, oracle, tokenizer):
    (result,) = local_model(directory).choice_probabilities(
        PROMPTS[:1], (Choice("A", (" A",)), Choice("B", (" B", "B")))
    )
    values = naive.next_log_probabilities(oracle, tokens_of(tokenizer, PROMPTS[0].text, "plain")).exp()
    a, b1, b2 = (values[tokenizer(word, add_special_tokens=False).input_ids[0]].item() for word in (" A", " B", "B"))
    assert np.exp(result.log_probabilities) == pytest.approx([a / (a + b1 + b2), (b1 + b2) / (a + b1 + b2)], abs=1e-4)


def test_log_likelihoods_equal_the_oracle(model, oracle, tokenizer):
    continuations = [" A cat by the sea.", " Yes", " Unclear 🙂 house", " A cat and a dog."]
    prompts = [PROMPTS[0], PROMPTS[1], PROMPTS[2], PROMPTS[0]]
    results = model.log_likelihood(prompts, continuations)
    for prompt, continuation, result in zip(prompts, continuations, results, strict=True):
        start = len(tokens_of(tokenizer, prompt.text, model.source.format))
        added = tokenizer(continuation, add_special_tokens=False).input_ids
        tokens = tokens_of(tokenizer, prompt.text, model.source.format) + added
        expected = naive.token_log_probabilities(oracle, tokens, start)
        np.testing.assert_allclose(result.log_probabilities, expected, atol=2e-4)
        assert result.spans[0][0] == 0
        assert result.spans[-1][1] == len(continuation)
    assert model.statistics.n_computed < 0.7 * model.statistics.n_asked


def test_a_token_across_the_boundary_counts_with_the_continuation(directory):
    model = local_model(directory)
    (result,) = model.log_likelihood([Prompt("Answer: ")], ["Yes"])
    assert result.spans == ((0, 3),)


def test_texts_do_not_depend_on_order_or_company(directory):
    model = local_model(directory)
    together = texts(model.generate(PROMPTS, range(4), OPTIONS, seed=1))
    backwards = texts(model.generate(PROMPTS[::-1], range(4), OPTIONS, seed=1))[::-1]
    alone = [texts(model.generate([prompt], range(4), OPTIONS, seed=1))[0] for prompt in PROMPTS]
    small = local_model(directory, options=LocalOptions(max_batch_tokens=1, max_batch_samples=1))
    assert together == backwards == alone == texts(small.generate(PROMPTS, range(4), OPTIONS, seed=1))
    later = texts(model.generate(PROMPTS, range(2, 4), OPTIONS, seed=1))
    assert later == [row[2:] for row in together]
    assert texts(model.generate(PROMPTS, range(4), OPTIONS, seed=2)) != together
    assert len(set(together[0])) == 4


def test_stop_strings_cut_the_text(directory):
    model = local_model(directory)
    (whole,) = model.generate(PROMPTS[:1], range(1), OPTIONS, seed=1)
    words = whole[0].text
    stop = words[len(words) // 2 : len(words) // 2 + 2]
    (cut,) = model.generate(PROMPTS[:1], range(1), OPTIONS.model_copy(update={"stop": (stop,)}), seed=1)
    assert cut[0].text == words[: words.find(stop)]
    assert cut[0].finish_reason == "stop"


def test_nothing_is_loaded_or_tokenised_where_the_cache_has_the_answers(directory, tmp_path, monkeypatch):
    def ask(model):
        return (
            model.generate(PROMPTS, range(2), OPTIONS, seed=1),
            model.choice_probabilities(PROMPTS, YES_NO),
            model.log_likelihood(PROMPTS, [" a", " b", " a", " c d"]),
            model.log_likelihood(PROMPTS, [" a", " b", " a", " c d"], include_prompt=True),
        )

    first = local_model(directory, cache=CompletionCache(tmp_path / "cache"))
    answers = ask(first)
    assert (first.statistics.hits, first.statistics.misses) == (0, 20)
    LOADED_MODEL.release()

    def refuse(*arguments):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(runtime, "load_model", refuse)
    with monkeypatch.context() as tokenising:
        tokenising.setattr(Formatter, "tokenise", refuse)
        tokenising.setattr(Formatter, "bare", refuse)
        again = local_model(directory, cache=CompletionCache(tmp_path / "cache"))
        assert ask(again) == answers
    assert (again.statistics.hits, again.statistics.misses) == (20, 0)
    with pytest.raises(AssertionError, match="weights were loaded"):
        again.generate(PROMPTS, range(2), OPTIONS, seed=2)


@pytest.fixture(scope="module")
def ask(directory, tmp_path_factory):
    """Asks a question of which a cache has the answer, or that question changed; returns how many it had."""
    file = tmp_path_factory.mktemp("cache") / "cache"

    def ask(revision=None, prompt=PROMPTS[1], sample_indices=range(1), options=OPTIONS, seed=1, **source):
        model = local_model(directory, cache=CompletionCache(file), **source)
        if revision:
            model = model.with_checkpoint(Checkpoint(directory, training_record(content_hash=revision, kind="full")))
        model.generate([prompt], sample_indices, options, seed=seed)
        return model.statistics.hits

    assert ask() == 0
    return ask


@pytest.mark.parametrize(
    "change",
    [
        {"format": "chat"},
        {"dtype": "bfloat16"},
        {"options": OPTIONS.model_copy(update={"temperature": 0.9})},
        {"prompt": Prompt("TL;DR:", "another example")},
        {"prompt": Prompt("TL;DR!", "b")},
        {"sample_indices": range(1, 2)},
        {"seed": 2},
        {"revision": "0"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_question_is_asked_anew(ask, change):
    assert ask() == 1
    assert ask(**change) == 0


def test_cut_inputs_are_counted_where_their_answers_come_from_the_cache_too(directory, tmp_path):
    post = "word " * 3000
    prompt = Prompt(f"Summarise: {post} TL;DR:", "long", (11, 11 + len(post)))

    def counted() -> tuple[int, int]:
        model = local_model(directory, cache=CompletionCache(tmp_path / "cache"))
        model.generate([prompt, PROMPTS[0]], range(2), OPTIONS, seed=0)
        model.choice_probabilities([prompt, prompt], YES_NO)
        return model.statistics.n_truncated, model.statistics.n_truncated_tokens

    first = counted()
    assert first[0] == 3
    assert counted() == first


def test_an_answer_that_is_hardly_covered_is_undefined_unless_the_options_say_less(directory, caplog):
    (answer,) = local_model(directory, options=LocalOptions(least_covered=0)).choice_probabilities(PROMPTS[:1], YES_NO)
    assert answer.defined
    assert 0 < answer.covered < 0.01
    assert caplog.text == ""
    (strict,) = local_model(directory).choice_probabilities(PROMPTS[:1], YES_NO)
    assert not strict.defined
    assert strict.log_probabilities == answer.log_probabilities
    assert "1 of 1 answers are undefined" in caplog.text


def test_inputs_beyond_the_context_are_cut_and_counted(directory, caplog):
    post = "word " * 3000
    prompt = Prompt(f"Summarise: {post} TL;DR:", "long", (11, 11 + len(post)))
    model = local_model(directory)
    with caplog.at_level(logging.WARNING):
        model.generate([prompt, prompt, PROMPTS[0]], range(1), OPTIONS, seed=0)
        model.log_likelihood([prompt], [" an output"])
    assert model.statistics.n_truncated == 3
    assert model.statistics.n_truncated_tokens > 2000
    assert sum("are truncated" in record.message for record in caplog.records) == 1


def test_embeddings_are_offered_by_option_alone(directory, oracle, tokenizer):
    model = local_model(directory)
    assert Capability.EMBED not in model.capabilities
    with pytest.raises(MissingCapabilityError, match="embeddings: true"):
        model.embed(["a"])
    model = local_model(directory, options=LocalOptions(embeddings=True))
    assert Capability.EMBED in model.capabilities
    vectors = model.embed(["a cat", "a dog by the sea"])
    ids = torch.tensor([tokenizer("a dog by the sea").input_ids])
    with torch.inference_mode():
        expected = oracle.model(ids).last_hidden_state[0].mean(0).numpy()
    np.testing.assert_allclose(vectors[1], expected / np.linalg.norm(expected), atol=1e-5)


def test_tokens_are_counted_without_special_ones(directory, tokenizer):
    assert local_model(directory).count_tokens(["", "a cat"]) == [0, len(tokenizer.tokenize("a cat"))]


def test_an_adapter_is_merged_on_loading(directory, tokenizer, tmp_path):
    from peft import LoraConfig, get_peft_model

    base = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    model = local_model(directory)
    trained = model.with_checkpoint(Checkpoint(tmp_path / "adapter", training_record(content_hash="ab" * 32)))
    (result,) = trained.log_likelihood(PROMPTS[:1], [" a cat"])
    tokens = tokens_of(tokenizer, PROMPTS[0].text + " a cat", "plain")
    start = len(tokens_of(tokenizer, PROMPTS[0].text, "plain"))
    with torch.inference_mode():
        logits = adapted(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
    expected = [logits[place - 1, tokens[place]].item() for place in range(start, len(tokens))]
    np.testing.assert_allclose(result.log_probabilities, expected, atol=2e-4)
    assert (trained.name, trained.revision) == ("tiny+abababab", "ab" * 32)
    (untrained,) = model.log_likelihood(PROMPTS[:1], [" a cat"])
    assert np.abs(np.subtract(untrained.log_probabilities, expected)).max() > 0.01


def test_a_whole_trained_model_replaces_the_base(directory, tiny_model_directory):
    trained = local_model(directory).with_checkpoint(
        Checkpoint(tiny_model_directory, training_record(content_hash="cd" * 32, kind="full"))
    )
    other = local_model(tiny_model_directory)
    assert trained.log_likelihood(PROMPTS[:1], [" a"]) == other.log_likelihood(PROMPTS[:1], [" a"])


def test_one_model_is_in_memory_at_a_time(directory, tiny_model_directory, monkeypatch):
    loads, alive = [], []
    real = runtime.load_model

    def load(source, *arguments):
        assert LOADED_MODEL._held is None, "the other model is still in memory"
        loads.append(source.directory.name)
        return real(source, *arguments)

    LOADED_MODEL.release()
    monkeypatch.setattr(runtime, "load_model", load)
    one, two = local_model(directory), local_model(tiny_model_directory)
    for model in (one, one, two, two, one):
        model.generate(PROMPTS[:1], range(1), OPTIONS, seed=len(alive))
    assert loads == ["tiny", "tiny-random-llama", "tiny"]


def test_the_revision_follows_every_identifying_file(directory, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    before = load_model_source("x", copy).revision
    assert before == load_model_source("another name", directory, format="chat").revision
    (copy / "notes.md").write_text("not part of the model")
    assert load_model_source("x", copy).revision == before
    (copy / "modeling.py").write_text("A = 1")
    with_code = load_model_source("x", copy).revision
    assert with_code != before
    (copy / "modeling.py").write_text("A = 2")
    assert load_model_source("x", copy).revision not in {before, with_code}
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-5}))
    assert load_model_source("x", copy).revision != before


def test_a_missing_or_incomplete_directory_says_what_to_do(directory, tmp_path):
    with pytest.raises(ModelDirectoryError, match=r"nowhere is the directory of a .* does not exist.*make install"):
        load_model_source("x", tmp_path / "nowhere")
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelDirectoryError, match=r"lacks \*.safetensors; found .*config.json"):
        load_model_source("x", copy)


def test_automatic_dtype_follows_the_device():
    assert resolve_dtype("auto", "cuda") == "bfloat16"
    assert resolve_dtype("auto", "mps") == "float32"
    assert resolve_dtype("float32", "cuda") == "float32"
    assert resolve_dtype("auto", "cpu") in {"bfloat16", "float32"}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_embedded_model_answers_as_the_oracle(embedded_model_directory, dtype):
    oracle = AutoModelForCausalLM.from_pretrained(embedded_model_directory, dtype=getattr(torch, dtype)).eval()
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_directory)
    model = local_model(embedded_model_directory, format="chat", dtype=dtype)
    exact = dtype == "float32"
    for options in (SamplingOptions(temperature=0, max_new_tokens=24), SamplingOptions(max_new_tokens=24)):
        rows = model.generate(PROMPTS, range(2), options, seed=3)
        for prompt, row in zip(PROMPTS, rows, strict=True):
            tokens = tokens_of(tokenizer, prompt.text, "chat")
            for index, completion in enumerate(row):
                expected, _, _ = naive.generate(oracle, tokens, options, frozenset({2}), 3, prompt.example_id, index)
                if exact:
                    assert completion.text == tokenizer.decode(expected, skip_special_tokens=True)
    results = model.log_likelihood(PROMPTS, [" A cat."] * 4)
    for prompt, result in zip(PROMPTS, results, strict=True):
        start = len(tokens_of(tokenizer, prompt.text, "chat"))
        tokens = tokens_of(tokenizer, prompt.text, "chat") + tokenizer(" A cat.").input_ids
        expected = naive.token_log_probabilities(oracle, tokens, start)
        np.testing.assert_allclose(result.log_probabilities, expected, atol=2e-4 if exact else 0.3)


def test_weights_that_are_not_the_models_are_refused_by_name(directory, tmp_path):
    def damage(name, change):
        target = tmp_path / name
        shutil.copytree(directory, target)
        change(target / "model.safetensors")
        model = LocalLanguageModel(load_model_source(name, target, dtype="float32"))
        with pytest.raises(ModelDirectoryError) as caught:
            model.generate([Prompt("x", "e")], range(1), OPTIONS, seed=1)
        return str(caught.value)

    def rewrite(change):
        def apply(file):
            weights = load_file(file)
            change(weights)
            save_file(weights, file, {"format": "pt"})

        return apply

    gate = "model.layers.0.mlp.gate_proj.weight"
    assert f"lacks the tensors {gate}" in damage("missing", rewrite(lambda weights: weights.pop(gate)))
    assert "does not know what.weight" in damage("more", rewrite(lambda w: w.update({"what.weight": torch.ones(2)})))
    assert gate in damage("shape", rewrite(lambda weights: weights.update({gate: torch.ones(3, 3)})))
    assert f"(NaN) in {gate}" in damage("nan", rewrite(lambda weights: weights[gate][2].fill_(float("nan"))))
    whole = (directory / "model.safetensors").read_bytes()
    for name, content in {"cut": whole[:-100], "empty": b"", "pickle": pickle.dumps({"a": 1})}.items():
        assert f"{name}/model.safetensors is no whole safetensors file" in damage(
            name, lambda file, content=content: file.write_bytes(content)
        )


def test_code_of_a_models_directory_never_runs(directory, tmp_path, monkeypatch):
    """Transformers would ask on the terminal whether to run it; nobody is asked here."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked the user"))
    target = tmp_path / "model"
    shutil.copytree(directory, target)
    (target / "evil.py").write_text("raise SystemExit('ran')\n")
    config = json.loads((target / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    (target / "config.json").write_text(json.dumps(config))
    model = LocalLanguageModel(load_model_source("evil", target, dtype="float32"))
    with pytest.raises(ModelDirectoryError, match=r"config.json asks for code .* never run here"):
        model.generate([Prompt("x", "e")], range(1), OPTIONS, seed=1)
