"""The two texts that carry every log-probability term, and the spans of their parts.

I₁ asks for a better output with the feedback and holds x, y, f, r; I₂ asks for feedback on an output and
holds x, r, f (x inputs, y initial output, f feedback, r refinement). A language model reads each text once;
a term is a mean over the tokens of a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ilf_kedro.language_models.protocol import TokenLogProbabilities
from ilf_kedro.prompting import Prompt, PromptTemplate, Span, fill, shown
from ilf_kedro.schemas import UserError
from ilf_kedro.scoring.rows import PromptRow

__all__ = ["FEEDBACK_ORDER", "REFINEMENT_ORDER", "MarkedText", "Span", "check_order", "mark", "mean_log_probability"]

REFINEMENT_ORDER = ("initial_output", "feedback", "refinement")  # of I₁, after the inputs
FEEDBACK_ORDER = ("refinement", "feedback")  # of I₂, after the inputs


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A whole text and the character spans of its parts, counted back from its end (negative).

    Counted so, they hold whatever is truncated of the inputs, which stand before them. A span begins with the
    blank before the part's first word. `whole` ends with the last part: a closing line break is outside.
    """

    prompt: Prompt
    parts: Mapping[str, Span]
    whole: Span


def check_order(template: PromptTemplate, order: Sequence[str], name: str) -> None:
    """Check that each slot of `order` stands in the template once, in this order, and after the inputs.

    Raises:
        UserError: naming what the template has instead.
    """
    found = list(template.slots)
    repeated = [slot for slot in order if template.shown.count(slot) > 1]
    if len(found) > len(order) and found[-len(order) :] == list(order) and not repeated:
        return
    more = f", more than once: {', '.join(repeated)}" if repeated else ""
    raise UserError(
        f"the prompt {name} has the slots {', '.join(found) or 'none'} in this order{more}; the log-probability "
        f"scorers need inputs, then {', '.join(order)}, each once, in this order, since what a part's probability is "
        "conditional on is what stands before it. Correct its file."
    )


def mark(template: PromptTemplate, row: PromptRow, parts: Sequence[str]) -> MarkedText:
    """Fill the template with a row, and find `parts`, of which the last must be the last slot in the text."""
    values = {name: text.strip() if name in parts else text for name, text in row.items()}
    prompt = fill(template, values)
    text, found = template.locate({slot: shown(values[slot]) for slot in template.slots}, parts)
    spans = {part: _from_the_end(text, found[part]) for part in parts}
    return MarkedText(prompt, spans, (-len(text), spans[parts[-1]][1]))


def _from_the_end(text: str, span: Span) -> Span:
    start, end = span
    return start - len(text) - (text[start - 1 : start] == " "), end - len(text)


def mean_log_probability(answer: TokenLogProbabilities, *spans: Span) -> float:
    """Return the mean log-probability (nats) of the tokens that have a character in one of the spans; nan if none.

    A token that holds a part's last character and what follows it counts with the part.
    """
    chosen = [
        value
        for value, (begin, end) in zip(answer.log_probabilities, answer.spans, strict=True)
        if any(max(begin, first) < min(end, last) for first, last in spans)
    ]
    return float(np.mean(chosen)) if chosen else float("nan")
