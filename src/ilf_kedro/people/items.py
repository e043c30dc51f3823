"""What annotators are asked about: items, and how they are made from the project's tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, model_validator

from ilf_kedro.people.answers import Answer, check_answer
from ilf_kedro.prompting.messages import Message, parse_messages, transcript
from ilf_kedro.schemas.base import Options, text_or_empty

__all__ = ["Candidate", "Item", "Kind", "Message", "Origin", "Passage", "ask_feedback", "ask_incorporated", "ask_order"]

Kind = Literal["feedback", "compare", "rank", "incorporated"]
_CANDIDATES = {"feedback": (1, 1), "compare": (1, 2), "rank": (1, 6), "incorporated": (1, 1)}


class Passage(Options):
    """A text with its label, shown as text, as code (highlighted as `language`) or as the turns of a chat.

    `results` is what tests of the code printed; it stands beside it.
    """

    label: str = ""
    kind: Literal["text", "code", "messages"] = "text"
    text: str = ""
    language: str | None = None
    messages: tuple[Message, ...] = ()
    results: str | None = None

    @property
    def plain(self) -> str:
        """The whole passage as one text."""
        return transcript(self.messages) if self.messages else self.text


Text = str | Passage
"""An output: its text alone, or how it is to be shown as well."""


class Candidate(Options):
    """An output to be judged. `sources` say which methods or models wrote it; they never leave the server."""

    candidate_id: Annotated[str, Field(min_length=1)]
    output: Passage
    sources: tuple[str, ...] = ()


class Origin(Options):
    """Where an item's texts are from: the data set, its version, and a hash of what was read."""

    dataset: str
    version: str | None = None
    content_hash: str | None = None


class Item(Options):
    """One question to annotators, about one example.

    feedback and incorporated have one candidate, compare has two, rank two to six. Methods that wrote the very same
    text share a candidate; where that leaves one of a comparison, the item is a tie that nobody is asked about.
    `gold` is the right answer of a hidden check. `opinions` are other people's answers, for adjudication.
    """

    item_id: Annotated[str, Field(min_length=1)]
    example_id: str
    kind: Kind
    inputs: tuple[Passage, ...]
    candidates: tuple[Candidate, ...]
    initial_output: Passage | None = None
    feedback: str | None = None
    gold: Answer | None = None
    overlap: Annotated[int, Field(ge=1)] | None = None
    opinions: tuple[Answer, ...] = ()
    origin: Origin | None = None

    @model_validator(mode="after")
    def _check(self) -> Item:
        fewest, most = _CANDIDATES[self.kind]
        if not fewest <= len(self.candidates) <= most:
            raise ValueError(f"{len(self.candidates)} candidates; {self.kind} takes {fewest} to {most}")
        if len(set(self.candidate_ids)) < len(self.candidates):
            raise ValueError("two candidates with one candidate_id")
        if self.kind in {"compare", "rank"} and self.initial_output and self.initial_output.plain in self.texts:
            raise ValueError("initial_output is one of the candidates; showing it would tell which, so leave it out")
        if self.kind == "incorporated" and not self.feedback:
            raise ValueError("no feedback; incorporated asks whether a refinement does what feedback says")
        for answer in (self.gold, *self.opinions):
            if answer is not None:
                check_answer(answer, self.kind, self.candidate_ids)
        return self

    @property
    def candidate_ids(self) -> tuple[str, ...]:
        """The candidates' identifiers, in the order of the key, which nobody is shown."""
        return tuple(candidate.candidate_id for candidate in self.candidates)

    @property
    def texts(self) -> tuple[str, ...]:
        """The candidates' texts."""
        return tuple(candidate.output.plain for candidate in self.candidates)

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to ask: one text cannot be compared with itself."""
        return self.kind in {"feedback", "incorporated"} or len(self.candidates) > 1


def ask_feedback(
    examples: pd.DataFrame,
    inputs: Sequence[str],
    outputs: Mapping[str, Text],
    *,
    source: str = "initial_output",
    origin: Origin | None = None,
    code: str | None = None,
) -> list[Item]:
    """Return one feedback item per example that has an output.

    `examples` has example_id and the `inputs`: texts, or lists of chat messages ({role, content}). `outputs` is by
    example_id, and `source` what wrote them; `code` names the language of outputs that are code.
    """
    return [
        Item(
            item_id=f"feedback:{example_id}",
            example_id=example_id,
            kind="feedback",
            inputs=_inputs(row, inputs),
            candidates=(_candidate(output, (source,), code),),
            origin=origin,
        )
        for example_id, row in _rows(examples)
        if (output := outputs.get(example_id))
    ]


def ask_order(
    examples: pd.DataFrame,
    inputs: Sequence[str],
    outputs: Mapping[str, Mapping[str, Text]],
    *,
    kind: Literal["compare", "rank"] | None = None,
    initial_output: str | None = None,
    origin: Origin | None = None,
    code: str | None = None,
) -> list[Item]:
    """Return one item per example that every method has an output for; `kind` is compare for two, rank for more.

    `outputs` is what each method wrote, by example_id. `initial_output` names the column that changes are from; where
    it is one of the outputs, it is not shown as such.
    """
    kind = kind or ("compare" if len(outputs) == 2 else "rank")
    items = []
    for example_id, row in _rows(examples):
        texts = {method: text for method, of in outputs.items() if (text := of.get(example_id, ""))}
        if len(texts) < len(outputs):
            continue
        sources: dict[Passage, list[str]] = {}
        for method, text in texts.items():
            sources.setdefault(_output(text, code), []).append(method)
        initial = text_or_empty(row[initial_output]) if initial_output else ""
        items.append(
            Item(
                item_id=f"{kind}:{example_id}",
                example_id=example_id,
                kind=kind,
                inputs=_inputs(row, inputs),
                candidates=tuple(_candidate(text, tuple(methods), code) for text, methods in sources.items()),
                initial_output=_output(initial, code) if initial and _output(initial, code) not in sources else None,
                origin=origin,
            )
        )
    return items


def ask_incorporated(
    examples: pd.DataFrame,
    inputs: Sequence[str],
    initial_output: str,
    refinements: Iterable[tuple[str, str, Text]],
    *,
    origin: Origin | None = None,
    code: str | None = None,
) -> list[Item]:
    """Return one item per refinement of an example with feedback: does it do what the feedback asks for?

    `refinements` are (example_id, method, text).
    """
    rows = {example_id: row for example_id, row in _rows(examples) if text_or_empty(row["feedback"])}
    return [
        Item(
            item_id=f"incorporated:{example_id}:{identify(method, _output(text, code).model_dump_json())}",
            example_id=example_id,
            kind="incorporated",
            inputs=_inputs(row, inputs),
            candidates=(_candidate(text, (method,), code),),
            initial_output=_output(text_or_empty(row[initial_output]), code),
            feedback=text_or_empty(row["feedback"]),
            origin=origin,
        )
        for example_id, method, text in refinements
        if (row := rows.get(example_id)) is not None and text
    ]


def identify(*parts: str) -> str:
    """Return a short identifier that tells nothing of the parts and is the same on every machine."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _rows(examples: pd.DataFrame) -> list[tuple[str, Mapping[str, object]]]:
    rows = examples.to_dict("records")
    return [(str(row["example_id"]), {str(name): value for name, value in row.items()}) for row in rows]


def _inputs(row: Mapping[str, object], columns: Sequence[str]) -> tuple[Passage, ...]:
    return tuple(passage for column in columns if (passage := _input(column, row[column])) is not None)


def _input(label: str, value: object) -> Passage | None:
    if isinstance(value, list | tuple) and value:
        turns = value if isinstance(value[0], Message) else parse_messages(list(value))
        return Passage(label=label, kind="messages", messages=tuple(turns))
    return Passage(label=label, text=text) if (text := text_or_empty(value)) else None


def _output(output: Text, code: str | None) -> Passage:
    if isinstance(output, Passage):
        return output
    return Passage(text=output, kind="code" if code else "text", language=code)


def _candidate(output: Text, sources: tuple[str, ...], code: str | None) -> Candidate:
    passage = _output(output, code)
    return Candidate(candidate_id=identify(passage.model_dump_json()), output=passage, sources=sources)
