"""Sentences from templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import Environment, UndefinedError, nodes

import ilf_kedro
from ilf_kedro.report.prose import Prose


@pytest.fixture
def prose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prose:
    package = tmp_path / "prose_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "section.j2").write_text(
        "{% macro share(part, n) %}\n{{ part | percent }} of\n  {{ n }}\u00a0posts <b>\n{% endmacro %}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return Prose("prose_of_a_test")


def test_a_macro_is_a_sentence_on_one_line_and_is_not_escaped(prose: Prose) -> None:
    assert prose.share(0.5, n=12) == "50% of 12\u00a0posts <b>"


def test_a_value_that_is_not_given_is_refused(prose: Prose) -> None:
    with pytest.raises(UndefinedError, match="n"):
        prose.share(0.5)


def test_a_macro_that_does_not_exist_is_named(prose: Prose) -> None:
    with pytest.raises(AttributeError, match=r"section\.j2 of prose_of_a_test has no macro 'shape'"):
        prose.shape()


FOLDERS = {file.parent for file in Path(ilf_kedro.__file__).parent.glob("*/*/*.j2")}
PACKAGES = sorted(folder for folder in FOLDERS if (folder / "__init__.py").exists())


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_a_package_uses_each_of_its_macros_and_no_other(package: Path) -> None:
    parsed = [Environment().parse(file.read_text("utf-8")) for file in package.glob("*.j2")]
    macros = {each.name for file in parsed for each in file.find_all(nodes.Macro) if not each.name.startswith("_")}
    code = "\n".join(file.read_text("utf-8") for file in package.glob("*.py"))
    assert macros == set(re.findall(r"_PROSE\.(\w+)\(", code))
