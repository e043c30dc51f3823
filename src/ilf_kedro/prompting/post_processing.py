"""Turns a raw completion into an output (paper, appendix on post-processing).

The rules are the reference implementation's, save where it was wrong: it drops everything before the first
letter or digit (a "$5" loses its sign) and takes every full stop for an end ("Mr. Smith" becomes "Mr.").
"""

from __future__ import annotations

import re

import sentencex

_OPENING = r"[$€£¥₹₩\"'“‘«‹(\[{@#&]"
# Leading characters that are no words, unless they open the first word: "(so", "$5", "#1", '"Hi'.
_LEADING = re.compile(rf"^(?:(?!{_OPENING}+\w)(?:\W|_))+")
_LABEL_WORDS = 4
_BLANKS = re.compile(r"[^\S\n]+")
_INFORMAL_END = re.compile(r"(?<=[!?])\s+|(?<=[!?][\"”)])\s+")
_OPENING_QUOTATION = re.compile(r"^([\"“][^\"“”]*[.!?][\"”])\s+")
# A full stop that the splitter takes for an abbreviation's: "etc. I left", "Plan A. I left", "OK. We left".
_ABBREVIATION_BEFORE_I = re.compile(r"(?<=\.)\s+(?=I(?:['’](?:m|ve|d|ll))?\s)")
_TITLE = re.compile(r"\b(?:mr|mrs|ms|dr|st|prof|vol|ch|fig|vs)\.$", re.IGNORECASE)
_OK = re.compile(r"(?<=\b[Oo][Kk]\.)\s+(?=[\"“‘(]?[A-Z])")
_END = re.compile(r"[.!?…。！？][\"'”’»›)\]}]*$")


def clean_completion(text: str, *, ended_by_length: bool = False, first_line_only: bool = True) -> str:
    """Return the output in a raw completion; empty where there is nothing but punctuation.

    Leading bullets, dashes and label punctuation go, blanks are folded, the first line is kept, and an
    unfinished last sentence is dropped. A sentence is unfinished if it lacks its end and either the
    completion ended by length or an earlier sentence has its end; where that would leave nothing, the
    text stays.
    """
    text = _LEADING.sub("", text)
    if first_line_only:
        text = _first_line(text)
    text = _BLANKS.sub(" ", text).strip()
    if not any(character.isalnum() for character in text):
        return ""
    return drop_unfinished_sentence(text, ended_by_length=ended_by_length)


def _first_line(text: str) -> str:
    """Return the first line, or the second where the first is a label such as "Output:"."""
    first, _, rest = text.partition("\n")
    is_label = first.rstrip().endswith(":") and len(first.split()) <= _LABEL_WORDS
    return _first_line(_LEADING.sub("", rest)) if is_label and rest.strip() else first


def drop_unfinished_sentence(text: str, *, ended_by_length: bool = False) -> str:
    """Drop the last sentence of `text` where it has no end but should.

    With `ended_by_length` it should always; otherwise only where an earlier sentence has its end. The
    only sentence of a text is never dropped.
    """
    if _END.search(text):
        return text
    sentences = split_sentences(text)
    earlier = sentences[:-1]
    if not earlier or not (ended_by_length or any(_END.search(sentence) for sentence in earlier)):
        return text
    kept = text[: text.rindex(sentences[-1])].rstrip()
    return kept if any(character.isalnum() for character in kept) else text


def split_sentences(text: str) -> list[str]:
    """Split English text into sentences without their surrounding blanks; empty text gives none.

    The splitter knows abbreviations, decimals and ellipses, but expects a capital after an end. Inputs are
    informal, so a "!" or "?" before a blank, and a whole quotation that opens the text, end one as well; so does
    "OK.", and an abbreviation before the pronoun "I", unless it is a title.
    """
    pieces = _OPENING_QUOTATION.split(text)
    sentences = (sentence for piece in pieces if piece for sentence in sentencex.segment("en", piece))
    parts = (
        part
        for sentence in sentences
        for informal in _INFORMAL_END.split(sentence)
        for plain in _OK.split(informal)
        for part in _split_before_i(plain)
    )
    return [stripped for part in parts if (stripped := part.strip())]


def _split_before_i(text: str) -> list[str]:
    parts, begin = [], 0
    for match in _ABBREVIATION_BEFORE_I.finditer(text):
        if not _TITLE.search(text, begin, match.start()):
            parts.append(text[begin : match.start()])
            begin = match.end()
    return [*parts, text[begin:]]
