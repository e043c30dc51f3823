"""What a verifier is given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """An output, and the whole row that it was made from.

    `output` is cleaned as the task says, `raw_text` is what the model wrote. `fields` has the row's inputs, hidden ones
    too, the project's words (initial_output, feedback, reference, …) and the columns that the task keeps; what is
    missing is None. `seconds` is the time that the verifier may take.
    """

    output: str
    raw_text: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    seconds: float = math.inf

    def __getitem__(self, name: str) -> object:
        """Return a field.

        Raises:
            KeyError: there is none of this name; it lists those that there are.
        """
        if name not in self.fields:
            raise KeyError(f"the row has no {name!r}; it has {', '.join(self.fields) or 'no fields'}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """Return a field that is text; the empty text for one that is missing."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""
