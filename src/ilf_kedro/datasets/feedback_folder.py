"""A folder of feedback files that people fill in: what is to be annotated is written there, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ilf_kedro.datasets._paths import write_whole
from ilf_kedro.schemas import RoundExamples, UserError, printable
from ilf_kedro.schemas.wording import counted
from ilf_kedro.tasks.reading.json_rows import json_lines_rows
from ilf_kedro.tasks.values import CellError, as_text

__all__ = ["FeedbackFolder", "FeedbackNeededError"]


class FeedbackNeededError(UserError):
    """People must fill in a file before the run can go on, or what they filled in has faults."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one file holds: the feedback by example, or what is wrong, or that nobody has filled it in."""

    path: Path
    n: int
    feedback: dict[str, str]
    faults: tuple[str, ...] = ()
    waits: bool = False


class FeedbackFolder:
    """Holds one JSON-lines file per name: a line has example_id, the inputs, initial_output and feedback.

    Where `nothing_to_say` is true, the feedback may be empty. `kedro annotate export --format rounds` writes such
    files.
    A file is written once, with empty feedback; from then on it is the annotators' and is never written again.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def collect(self, questions: dict[str, pd.DataFrame]) -> dict[str, pd.Series[str]]:
        """Return the feedback on every row of the tables `questions`, each by its file's name.

        A table has the columns example_id, initial_output and the inputs, and each example once. Missing files are
        written, all of them before anything is refused.

        Raises:
            FeedbackNeededError: naming each file that waits for feedback, and every fault in the others.
        """
        readings = [self._read(name, table) for name, table in questions.items()]
        if any(reading.waits or reading.faults for reading in readings):
            raise FeedbackNeededError(_message(readings))
        return {
            name: table["example_id"].map(reading.feedback)
            for (name, table), reading in zip(questions.items(), readings, strict=True)
        }

    def _read(self, name: str, table: pd.DataFrame) -> _Reading:
        path = self.directory / f"{name}.jsonl"
        if path.is_dir():
            return _Reading(path, len(table), {}, ("it is a folder; expected a file of JSON lines, so move it away",))
        if not path.is_file():
            rows = (
                table[["example_id", *RoundExamples.input_names(table), "initial_output"]]
                .assign(feedback="")
                .to_dict("records")
            )
            lines = [json.dumps(_without_nan(row), ensure_ascii=False) for row in rows]
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, ("\n".join(lines) + "\n").encode())
            return _Reading(path, len(table), {}, waits=True)
        text = path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        rows_read, broken = json_lines_rows(path.name, text)
        faults = [f"line {fault.row}: found {fault.found}; expected {fault.expected}" for fault in broken]
        feedback: dict[str, str] = {}
        silent: set[str] = set()
        outputs = dict(zip(table["example_id"], table["initial_output"], strict=True))
        for row in rows_read:
            faults += (f"line {row.number}: {fault}" for fault in _take(row.values, outputs, feedback, silent))
        faults += [f"no line has the example {missing!r}" for missing in outputs if missing not in feedback]
        empty = [example_id for example_id, text in feedback.items() if not text and example_id not in silent]
        if not faults and len(empty) == len(outputs):
            return _Reading(path, len(table), {}, waits=True)
        faults += [f"the feedback on the example {example_id!r} is empty" for example_id in empty]
        return _Reading(path, len(table), feedback, tuple(faults))


def _take(
    row: Mapping[str, object], outputs: Mapping[str, str], feedback: dict[str, str], silent: set[str]
) -> Iterator[str]:
    """Take one line's feedback, or say what is wrong with it."""
    example_id = row.get("example_id")
    try:
        text = as_text(row.get("feedback", ""), "feedback") or ""
    except CellError as error:
        yield f"feedback: {error}"
        return
    if not isinstance(example_id, str) or "feedback" not in row:
        yield "it has no texts example_id and feedback"
    elif example_id not in outputs:
        yield f"there is no example {printable(repr(example_id))} in this round"
    elif example_id in feedback:
        yield f"the example {example_id!r} stands there twice"
    else:
        feedback[example_id] = text.strip()
        if row.get("nothing_to_say") is True:
            silent.add(example_id)
        if row.get("initial_output", outputs[example_id]) != outputs[example_id]:
            yield (
                f"the feedback is on another output of {example_id!r} than the model's present one (options, seed or "
                "model have changed since the file was written)"
            )


def _message(readings: list[_Reading]) -> str:
    lines = []
    for reading in readings:
        if reading.waits:
            lines.append(f"{reading.n} outputs wait for feedback in {reading.path}")
        elif reading.faults:
            lines.append(f"{reading.path} has {counted(len(reading.faults), 'fault')}:")
            lines += [f"  {fault}" for fault in reading.faults]
    return (
        "feedback by people is needed before the run can go on:\n  "
        + "\n  ".join(lines)
        + '\nRead each input and its initial_output, write what is wrong or missing into "feedback" (one to three '
        "sentences), save the file, and run the same command again. To have a file written afresh, move it away."
    )


def _without_nan(row: dict[object, object]) -> dict[str, str]:
    return {str(key): value if isinstance(value, str) else "" for key, value in row.items()}
