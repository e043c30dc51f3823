"""What configurations say, with the defaults of their architectures and inside wrappers."""

from __future__ import annotations

import ast
import json
import shutil

import pytest
from transformers import AutoConfig, AutoTokenizer

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.checkpoints.configuration import context_length, has_dropout, training_config
from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.language_models.local.loading import load_tokenizer


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("llama", {"max_position_embeddings": 4096}, 4096),
        ("gpt2", {"n_positions": 1024}, 1024),
        ("mpt", {"max_seq_len": 777}, 777),
        ("gemma3", {"text_config": {"max_position_embeddings": 131072}}, 131072),
        ("mamba", {}, 2048),
        ("doge", {"max_position_embeddings": 8192, "keep_window_size": 512}, 512),
    ],
)
def test_the_context_is_what_the_text_model_sees(kind, settings, expected, tmp_path):
    AutoConfig.for_model(kind, **settings).save_pretrained(tmp_path)
    assert context_length(tmp_path) == expected


def test_training_switches_off_what_dropout_a_configuration_has(tmp_path):
    AutoConfig.for_model("gpt2").save_pretrained(tmp_path / "gpt2")
    AutoConfig.for_model("llama").save_pretrained(tmp_path / "llama")
    assert has_dropout(tmp_path / "gpt2")
    assert not has_dropout(tmp_path / "llama")
    config = training_config(tmp_path / "gpt2")
    assert (config.resid_pdrop, config.embd_pdrop, config.attn_pdrop) == (0, 0, 0)
    assert config.layer_norm_epsilon == 1e-5


def test_a_configuration_that_is_none_is_refused_by_its_file(tmp_path):
    (tmp_path / "config.json").write_text("{half")
    with pytest.raises(ModelDirectoryError, match=r"config.json cannot be read as a model's configuration"):
        context_length(tmp_path)


def test_tokens_without_an_embedding_are_refused_unless_they_are_never_written(tiny_model_directory, tmp_path):
    def source(token, *, special):
        directory = tmp_path / token.strip("[]")
        shutil.copytree(tiny_model_directory, directory)
        tokenizer = AutoTokenizer.from_pretrained(directory)
        tokenizer.add_tokens([token], special_tokens=special)
        tokenizer.save_pretrained(directory)
        return ModelSource("tiny", directory, "revision")

    assert load_tokenizer(source("[PAD]", special=True), None)
    with pytest.raises(ModelDirectoryError, match=r"no embedding for \(it has 49152\): 'newword'"):
        load_tokenizer(source("newword", special=False), None)


def test_code_beside_a_tokenizer_never_runs(tiny_model_directory, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked the user"))
    directory = tmp_path / "model"
    shutil.copytree(tiny_model_directory, directory)
    (directory / "evil.py").write_text("raise SystemExit('ran')\n")
    config = json.loads((directory / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "EvilTok", "auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelDirectoryError, match="never run here"):
        load_tokenizer(ModelSource("evil", directory, "revision"), None)


def test_no_call_of_this_package_trusts_remote_code(project_root):
    """Left out, transformers would ask on a terminal."""
    calls = [
        (file.name, node)
        for file in (project_root / "src").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"from_pretrained", "from_config"}
        and ast.unparse(node.func.value).lower().startswith("auto")
    ]
    assert {file for file, _ in calls} >= {"weights.py", "configuration.py", "loading.py", "convert.py", "embedded.py"}
    for file, call in calls:
        chosen = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert chosen.get("trust_remote_code") == "False", file
