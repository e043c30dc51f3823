"""Feedback and refinement in one text: how it is written, and the strict parser that takes it apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["END", "MARKER", "JointOutput", "JointStatus", "parse_joint_output", "write_joint_output"]

MARKER = "### Improved output"
END = "### End"

JointStatus = Literal["parsed", "no_marker", "several_markers", "no_end", "several_ends", "empty"]


@dataclass(frozen=True, slots=True)
class JointOutput:
    """What a joint text holds; both parts are empty unless `status` is "parsed"."""

    status: JointStatus
    feedback: str = ""
    refinement: str = ""


def write_joint_output(feedback: str, refinement: str) -> str:
    """Return the text that `parse_joint_output` takes apart again: feedback, marker line, refinement, end marker.

    Line breaks and repeated blanks within the two become single blanks.

    Raises:
        ValueError: one of the two is blank, or contains a marker.
    """
    feedback, refinement = " ".join(feedback.split()), " ".join(refinement.split())
    text = f"{feedback}\n{MARKER}\n{refinement}\n{END}"
    if parse_joint_output(text).status != "parsed":
        raise ValueError(f"feedback and refinement must be texts without {MARKER!r} and {END!r} in them")
    return text


def parse_joint_output(text: str) -> JointOutput:
    """Take feedback and refinement from a text with exactly one marker, followed by exactly one end marker.

    Nothing is guessed: the first thing that is wrong is the status, and what stands after the end marker
    is ignored.
    """
    status: JointStatus = "parsed"
    n_markers = text.count(MARKER)
    head, _, tail = text.partition(MARKER)
    refinement, end, _ = tail.partition(END)
    if n_markers != 1:
        status = "several_markers" if n_markers else "no_marker"
    elif not end:
        status = "no_end"
    elif text.count(END) > 1:
        status = "several_ends"
    elif not head.strip() or not refinement.strip():
        status = "empty"
    return JointOutput(status, head.strip(), refinement.strip()) if status == "parsed" else JointOutput(status)
