"""Embedding similarity: the cosine of feedback and refinement, with any embedder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions, load_model_source
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import Capability, MissingCapabilityError
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.scoring import select_best
from ilf_kedro.scoring.embedding_similarity import embedding_similarity_scores
from tests.support.example_tables import examples, refinements
from tests.support.misbehaving_server import MisbehavingServer

ROWS = examples(3, feedback=["say when she left", "name the dog", None])
TABLE = refinements(
    {"train-0": ["she left on monday", "it rains", "say when she left"], "train-1": ["", "a dog"], "train-2": ["x"]}
)


def test_the_most_and_the_least_similar_are_chosen() -> None:
    model = ScriptedLanguageModel()  # texts that share words are near each other
    scores = embedding_similarity_scores(TABLE, ROWS, model)
    wide = scores.pivot(index=["example_id", "sample_index"], columns="scorer", values="score")
    most, least = wide["embedding_similarity_max"], wide["embedding_similarity_min"]
    np.testing.assert_array_equal(most, -least)
    assert most["train-0", 2] == pytest.approx(1, abs=1e-6)  # the same text
    assert list(most.index[most.isna()]) == [("train-1", 0), ("train-2", 0)]
    chosen = select_best(scores, TABLE).set_index(["example_id", "scorer"])["sample_index"]
    assert chosen["train-0", "embedding_similarity_max"] == 2
    assert chosen["train-0", "embedding_similarity_min"] == 1
    assert chosen["train-1", "embedding_similarity_max"] == 1  # the other is undefined
    # each distinct text once: two feedbacks and four refinements, of which one is a feedback too
    assert model.n_questions == 5


def test_the_score_is_the_cosine_of_what_a_server_gives() -> None:
    """Over real HTTP; the server's vector of a text of n characters is (n, 3, 1)."""
    server = MisbehavingServer()
    try:
        options = ApiOptions(model="m", base_url=server.base_url, embedding_model="e")
        scores = embedding_similarity_scores(TABLE, ROWS, OpenAICompatibleLanguageModel(options))
    finally:
        server.close()
    a, b = np.array([len("name the dog"), 3, 1]), np.array([len("a dog"), 3, 1])
    expected = a @ b / math.sqrt((a @ a) * (b @ b))
    row = scores[(scores["example_id"] == "train-1") & (scores["scorer"] == "embedding_similarity_max")]
    assert list(row["score"]) == [pytest.approx(math.nan, nan_ok=True), pytest.approx(expected, abs=1e-6)]


def test_a_local_language_model_that_embeds_will_do(tiny_model_directory: Path) -> None:
    source = load_model_source("tiny", tiny_model_directory, format="plain", dtype="float32")
    model = LocalLanguageModel(source, options=LocalOptions(embeddings=True))
    scores = embedding_similarity_scores(TABLE, ROWS, model)
    assert scores["score"].notna().sum() == 2 * 4
    assert scores["score"].abs().max() == pytest.approx(1, abs=1e-5)


def test_nothing_to_score_asks_nothing() -> None:
    model = ScriptedLanguageModel()
    assert embedding_similarity_scores(refinements({"train-0": ["", ""]}), ROWS, model)["score"].isna().all()
    assert model.n_questions == 0


def test_a_model_that_cannot_embed_is_refused_before_the_first_request() -> None:
    model = ScriptedLanguageModel(capabilities=[Capability.GENERATE])
    with pytest.raises(MissingCapabilityError, match=r"embedding_similarity needs .*'embed'.*sentence_embedder"):
        embedding_similarity_scores(TABLE, ROWS, model)
    assert model.n_questions == 0
