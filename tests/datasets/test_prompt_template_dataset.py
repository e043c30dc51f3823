"""Prompts in the catalog: loaded from YAML, every fault named with its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DatasetError

from ilf_kedro.datasets import PromptTemplateDataset
from ilf_kedro.prompting import PromptTemplate

GOOD = """
# a comment
positive: ["Yes", " Yes"]
text: |-
  Title: {{ title }}

  {{ post }}
  é 😀
"""


def write(folder: Path, text: str | bytes) -> PromptTemplateDataset:
    file = folder / "question.yml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return PromptTemplateDataset(filepath=str(file))


def test_a_template_is_loaded(tmp_path: Path) -> None:
    loaded = write(tmp_path, GOOD).load()
    text = "Title: {{ title }}\n\n{{ post }}\né 😀"
    assert loaded == PromptTemplate(text=text, positive=("Yes", " Yes"))
    assert loaded.render("1", title="T", post="P").text == "Title: T\n\nP\né 😀"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_byte_order_marks_and_windows_line_ends_make_no_difference(tmp_path: Path, mark: bytes, end: bytes) -> None:
    assert write(tmp_path, mark + GOOD.encode().replace(b"\n", end)).load() == write(tmp_path, GOOD).load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text: 'no field'", r"the text shows no field; expected one or more, such as \{\{ input \}\}"),
        ("text: '{{ post'", r"text, line 1: unexpected end of template.*; expected a Jinja template"),
        ("text: |-\n  {{ post }}\n  {% for turn in post %}", "text, line 2: .*; expected a Jinja template"),
        ("truncate: post\ntext: '{{ post }} {{ post }}'", "must stand only once"),
        ("text: '{{ x }}'\npostive: [Yes]", "unknown key 'postive'; did you mean 'positive'"),
        ("text: '{{ x }}'\nzzz: 1\n1: 2", r"unknown key 'zzz'; known: .*negative, positive.*\n.*unknown key '1'"),
        ("text: '{{ x }}'\npositive: [yes]", "positive.0: found True; .*string"),
        ("positive: [a]", "found neither text nor messages; expected one of them"),
        ("text: '{{ x }}'\nstop: post", "stop: found 'post'; .*tuple"),
        ("", "found neither text nor messages; expected one of them"),
        ("- a list", "line 1: found a list; expected keys with values"),
        ("text: {post", r"cannot be read: line 2: found no YAML: .*(\n.*)*Indent"),
        ("text: !!python/object/apply:os.getcwd []", "cannot be read: could not determine a constructor"),
        (b"text: \xff", "cannot be read: line 1: found bytes that are not UTF-8"),
        ("clean: code\ntext: x\ntext: y", "cannot be read: line 3: the key 'text' stands there twice"),
    ],
)
def test_faults_name_the_file(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=rf"question\.yml[\s\S]*{message}"):
        write(tmp_path, text).load()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    dataset = PromptTemplateDataset(filepath=str(tmp_path / "absent.yml"))
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=r"there is no prompt template .*absent\.yml"):
        dataset.load()


def test_it_is_read_only(tmp_path: Path) -> None:
    dataset = write(tmp_path, GOOD)
    assert dataset.exists()
    with pytest.raises(DatasetError, match=r"read-only; edit .*question.yml"):
        dataset.save(dataset.load())
    assert (tmp_path / "question.yml").read_text(encoding="utf-8") == GOOD


def test_every_prompt_of_the_project_loads(project_root: Path) -> None:
    files = sorted((project_root / "conf").glob("*/prompts/**/*.yml"))
    assert files
    for file in files:
        assert PromptTemplateDataset(filepath=str(file)).load().text
