"""The sentences of a page: macros of a Jinja template that stands beside the code that fills them in."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.environment import TemplateModule

from ilf_kedro.report.labels import number, percent, signed, thousands, words_of

__all__ = ["Prose"]

_BLANKS = re.compile(r"[ \t\r\n]+")


class Prose:
    """The macros of a template as functions that return plain text, each run of blanks and line ends as one blank.

    `prose.lead(n=3)` renders the macro `lead`; a value that a macro needs and does not get is an error. The text is
    not escaped: pages do that. The template is read when the first sentence is asked for.
    """

    def __init__(self, package: str, template: str = "section.j2") -> None:
        """Name the template `template` in the folder of `package`."""
        self._package, self._template = package, template

    def __getattr__(self, name: str) -> Callable[..., str]:
        """Return the macro `name`.

        Raises:
            AttributeError: the template has no such macro.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        macro = getattr(self._macros, name, None)
        if macro is None:
            raise AttributeError(f"{self._template} of {self._package} has no macro {name!r}")

        def sentence(*values: object, **named: object) -> str:
            return _BLANKS.sub(" ", str(macro(*values, **named))).strip(" ")

        return sentence

    @cached_property
    def _macros(self) -> TemplateModule:
        environment = Environment(
            loader=PackageLoader(self._package, "."),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701  # plain text: the page that shows it escapes it
        )
        environment.filters |= {
            "number": number,
            "percent": percent,
            "signed": signed,
            "thousands": thousands,
            "words": words_of,
        }
        return environment.get_template(self._template).module
