"""Says what the task says, where the project says input and output: in a page's own sentences and in its figures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import plotly.graph_objects as go

from ilf_kedro.tasks import Words

__all__ = ["Vocabulary"]

# A name such as task.inputs or initial_outputs is no sentence's word, and a server's input tokens are not the task's.
_GENERAL = re.compile(r"(?<![.\w])(?:(?P<article>[Aa])n )?(?P<word>[Ii]nput|[Oo]utput)(?P<many>s?)\b(?! tokens?\b)")
_WRITTEN = frozenset({"text", "name", "hovertemplate", "ticktext", "categoryarray", "x", "y"})
_VERBATIM = frozenset({"script", "style", "pre", "code", "blockquote"})
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Puts the words of a task in place of the project's general ones."""

    words: Words

    def sentence(self, text: str) -> str:
        """Return a text with the task's words, with the article that they need."""
        return _GENERAL.sub(self._word, text)

    def page(self, html: str) -> str:
        """Return a page in the task's words, but for scripts, code, quotations and elements with `translate="no"`."""
        translator = _Translator(self)
        translator.feed(html)
        translator.close()
        return "".join(translator.parts)

    def figure(self, figure: go.Figure) -> go.Figure:
        """Return a figure with the task's words in its titles, legends, axes and hover texts."""
        return go.Figure(self._translated(figure.to_dict(), "", inside=False))

    def _word(self, match: re.Match[str]) -> str:
        of_input = match["word"].lower() == "input"
        if match["many"]:
            word = self.words.plural_inputs if of_input else self.words.plural_outputs
        else:
            word = self.words.input if of_input else self.words.output
        if match["word"][0].isupper():
            word = word[0].upper() + word[1:]
        if not match["article"]:
            return word
        return f"{match['article']}{'n' if word[0].lower() in 'aeiou' else ''} {word}"

    def _translated(self, value: Any, key: str, *, inside: bool) -> Any:
        inside = inside or key in _WRITTEN
        if isinstance(value, dict):
            return {name: self._translated(each, name, inside=False) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._translated(each, "", inside=inside) for each in value]
        return self.sentence(value) if inside and isinstance(value, str) else value


class _Translator(HTMLParser):
    """Copies a page, and translates the texts that stand in no verbatim element."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._vocabulary = vocabulary
        self._verbatim: list[str] = []  # the open elements from the outermost verbatim one

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append(self.get_starttag_text() or "")
        if tag not in _VOID and (self._verbatim or tag in _VERBATIM or ("translate", "no") in attrs):
            self._verbatim.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"</{tag}>")
        if self._verbatim and tag in self._verbatim:
            while self._verbatim.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.parts.append(data if self._verbatim else self._vocabulary.sentence(data))

    def handle_entityref(self, name: str) -> None:
        self.parts.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.parts.append(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        self.parts.append(f"<!{decl}>")

    def handle_comment(self, data: str) -> None:
        self.parts.append(f"<!--{data}-->")
