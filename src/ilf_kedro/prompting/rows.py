"""Prompts of a table's rows: every slot is filled from the column of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import pandas as pd

from ilf_kedro.prompting.messages import conversation_in, transcript
from ilf_kedro.prompting.prompt import Prompt
from ilf_kedro.prompting.templates import PromptTemplate, TemplateError
from ilf_kedro.schemas import text_or_empty

__all__ = ["FilledPrompts", "fill", "prompts_of", "shown"]


def fill(template: PromptTemplate, row: Mapping[Any, object]) -> Prompt:
    """Fill the template's slots from a row, which has an example_id; a null is the empty text.

    A conversation is shown as a transcript, which knows its turns.

    Raises:
        TemplateError: the template has a slot that the row lacks.
    """
    if unknown := sorted(set(template.slots) - set(row)):
        raise TemplateError(
            f"a prompt shows {', '.join(unknown)}, which the examples that it is asked about do not have "
            f"(they have {', '.join(map(str, row))}); take the slot out of the prompt's file"
        )
    return template.render(str(row["example_id"]), **{slot: shown(row[slot]) for slot in template.slots})


def prompts_of(table: pd.DataFrame, template: PromptTemplate) -> list[Prompt]:
    """Fill the template once for each row of the table.

    Raises:
        TemplateError: the template has a slot for which the table has no column.
    """
    return [fill(template, row) for row in table.to_dict("records")]


class FilledPrompts(Sequence[Prompt]):
    """The prompts of rows, each row's templates together, filled as they are read: never all in memory at once.

    Raises:
        TemplateError: a template has a slot that a row lacks.
    """

    def __init__(self, rows: Sequence[Mapping[Any, object]], *templates: PromptTemplate) -> None:
        self._rows, self._templates = rows, templates

    def __len__(self) -> int:
        return len(self._rows) * len(self._templates)

    @overload
    def __getitem__(self, place: int) -> Prompt: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Prompt]: ...
    def __getitem__(self, place: int | slice) -> Prompt | Sequence[Prompt]:
        """Fill one prompt, or a slice of them."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        row, template = divmod(range(len(self))[place], len(self._templates))
        return fill(self._templates[template], self._rows[row])


def shown(cell: object) -> str:
    """Return a cell as prompts show it: its text, a conversation's transcript, or the empty text for a null."""
    text = text_or_empty(cell)
    messages = conversation_in(text)
    return text if messages is None else transcript(messages)
