"""Sections that an analysis adds to the report, or that make a page of their own.

A pipeline that is not part of the main job (a tournament, a probe) describes what it found as a `Section`;
`render_page` makes a page of it, and the report of the pipeline `full` holds them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import pandas as pd
import plotly.graph_objects as go
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ilf_kedro.report.labels import number, signed
from ilf_kedro.report.sources import origins
from ilf_kedro.report.vocabulary import Vocabulary
from ilf_kedro.schemas.run_record import RunRecord
from ilf_kedro.tasks import Words

__all__ = ["Code", "Figure", "Heading", "Paragraph", "Part", "Section", "Table", "page_environment", "render_page"]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of plain text; `lead` sets off the one sentence that a hurried reader should take away."""

    text: str
    lead: bool = False
    kind: Literal["paragraph"] = field(default="paragraph", init=False)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: Literal["heading"] = field(default="heading", init=False)


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy, such as parameters: shown as they are."""

    text: str
    kind: Literal["code"] = field(default="code", init=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its caption, and the data sets that it was drawn from, by their names in the catalog.

    `name` is unique in its section. Its colours follow the page's (figures.js).
    """

    name: str
    figure: go.Figure
    caption: str
    sources: tuple[str, ...] = field(kw_only=True)
    kind: Literal["figure"] = field(default="figure", init=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption, and the data sets that it was made from, by their names in the catalog.

    Numbers are shown with `digits` (its default, or a column's own), nulls as a dash. The first column heads the rows.
    `prose` lets long texts break.
    """

    frame: pd.DataFrame
    caption: str
    sources: tuple[str, ...] = field(kw_only=True)
    digits: int = 3
    column_digits: Mapping[str, int] = field(default_factory=dict)
    prose: bool = False
    kind: Literal["table"] = field(default="table", init=False)

    @property
    def columns(self) -> list[str]:
        """The columns' headings."""
        return [str(column) for column in self.frame.columns]

    @property
    def numeric(self) -> frozenset[str]:
        """The columns that hold numbers, and are set to the right."""
        return frozenset(
            str(name)
            for name, column in self.frame.items()
            if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        )

    @property
    def rows(self) -> list[list[str]]:
        """The cells as they are shown."""
        shown = [self._shown(str(name), column) for name, column in self.frame.items()]
        return [list(row) for row in zip(*shown, strict=True)]

    def _shown(self, name: str, column: pd.Series) -> list[str]:
        if name not in self.numeric:
            return ["–" if pd.isna(value) else str(value) for value in column]
        default = 0 if pd.api.types.is_integer_dtype(column) else self.digits
        digits = self.column_digits.get(name, default)
        return [number(None if pd.isna(value) else float(value), digits) for value in column]


Part = Paragraph | Heading | Code | Figure | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the report; `name` is its anchor."""

    name: str
    title: str
    parts: tuple[Part, ...]

    @property
    def figures(self) -> dict[str, go.Figure]:
        """The section's figures by their names in the page."""
        return {f"{self.name}-{part.name}": part.figure for part in self.parts if isinstance(part, Figure)}


def render_page(
    title: str, sections: Sequence[Section], run: RunRecord | None = None, words: Words | None = None
) -> str:
    """Return one HTML file with the sections, which loads nothing from elsewhere.

    The record of the run says which versions of their sources the tables and figures show, and which nodes made them;
    without one, only their names are shown. Inputs and outputs are called by the task's `words`.
    """
    template = page_environment().get_template("page.html.j2")
    figures = {name: figure for section in sections for name, figure in section.figures.items()}
    vocabulary = Vocabulary(words or Words())
    assets = page_assets(figures, vocabulary)
    return vocabulary.page(template.render(title=title, sections=sections, origins=origins(run), **assets))


def page_assets(figures: Mapping[str, go.Figure], vocabulary: Vocabulary) -> dict[str, object]:
    """Return what layout.html.j2 needs besides its texts: the figures' data, and Plotly itself."""
    return {
        "figures": {name: _script_json(vocabulary.figure(figure)) for name, figure in figures.items()},
        "plotly_js": Markup(get_plotlyjs()),  # noqa: S704  # the library's own code, not a user's text
    }


@cache
def page_environment(*packages: str) -> Environment:
    """Return jinja2 with the filters and templates of this package and of the named ones, escaping every text."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "ilf_kedro.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "signed": signed}
    return environment


def _script_json(figure: go.Figure) -> Markup:
    """Return a figure as JSON that cannot end the script element that it stands in."""
    text = str(figure.to_json()).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(text)  # noqa: S704  # escaped just above, as JSON inside a script must be
