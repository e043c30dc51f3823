"""Raw SLF5K-shaped files to validated tables, nested subsets and statistics."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from ilf_kedro.language_models.protocol import TokenCounter
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.pipelines.data_prep.records import Record
from ilf_kedro.pipelines.data_prep.validation import Fault, InvalidDataError, find_shared, read_rows
from ilf_kedro.schemas import (
    Comparisons,
    DataFrame,
    Examples,
    RawLines,
    RejectedRows,
    Split,
    Subsets,
    TextStatistics,
    UserError,
)

logger = logging.getLogger(__name__)

_TEXTS = ("title", "post", "tldr_reference", "reference", "initial_output", "feedback")
_TIMED = ("feedback", "reference", "comparison")

SplitTables = tuple[
    DataFrame[Examples],
    DataFrame[Examples],
    DataFrame[Examples],
    DataFrame[Examples],
    DataFrame[Comparisons],
    DataFrame[Comparisons],
    DataFrame[Comparisons],
    DataFrame[Comparisons],
    DataFrame[RejectedRows],
]


def validate_splits(
    train: RawLines, development: RawLines, validation: RawLines, test: RawLines, options: DataPrepOptions
) -> SplitTables:
    """Validate the four raw files together, and tell examples, comparisons and rejected rows apart.

    Returns the examples of the four splits, their comparisons, and one row per fault found. With
    `on_invalid: quarantine` rows with faults are left out of the first eight tables.

    Raises:
        InvalidDataError: there are faults and `on_invalid` is stop, or a split keeps no row at all;
            it lists every fault of every file.
    """
    raws: dict[Split, RawLines] = {
        "train": train,
        "development": development,
        "validation": validation,
        "test": test,
    }
    records, faults = _read_splits(raws)
    _stop_or_warn(records, faults, options)
    examples = [_examples_table(split, kept) for split, kept in records.items()]
    comparisons = [_comparisons_table(split, kept) for split, kept in records.items()]
    for split, example, comparison in zip(raws, examples, comparisons, strict=True):
        logger.info(
            "%s: %d examples, %d with feedback, %d comparisons",
            split,
            len(example),
            example["feedback"].notna().sum(),
            len(comparison),
        )
    return (*examples, *comparisons, _rejected_table(faults))  # type: ignore[return-value]  # mypy cannot count 4 + 4 + 1


def nest_subsets(
    examples: DataFrame[Examples], rejected_rows: DataFrame[RejectedRows], train_sizes: list[int]
) -> DataFrame[Subsets]:
    """Take the first n training examples for each train size, so that smaller subsets nest in larger.

    A size that is too large only because rows of the train split were set aside gets all that are left; it
    keeps its name, and a warning says how many they are.

    Raises:
        UserError: train sizes exceed the number of rows; it names all of these.
    """
    n_rejected = rejected_rows.loc[rejected_rows["split"] == "train", "row"].nunique()
    if too_large := [size for size in train_sizes if size > len(examples) + n_rejected]:
        raise UserError(
            f"train_sizes: found {', '.join(map(str, too_large))}, but the train split has {len(examples)} valid "
            f"examples; expected sizes up to {len(examples)}. Lower them (kedro run --params "
            f"train_sizes=[{len(examples)}]) or add examples to the train file."
        )
    for size in train_sizes:
        if size > len(examples):
            logger.warning(
                "train size %d: only %d examples, because %d row(s) of the train split were set aside",
                size,
                len(examples),
                n_rejected,
            )
    ids = examples.sort_values("position")["example_id"]
    frames = [pd.DataFrame({"train_size": size, "example_id": ids.iloc[:size]}) for size in train_sizes]
    return Subsets.validate(pd.concat(frames, ignore_index=True))


def describe_texts(
    train: DataFrame[Examples],
    development: DataFrame[Examples],
    validation: DataFrame[Examples],
    test: DataFrame[Examples],
    language_model: TokenCounter,
) -> DataFrame[TextStatistics]:
    """Describe how long the texts are (tokens) and how long people took (seconds), by split.

    A column that a split lacks is there with n = 0; standard errors are with n - 1.
    """
    rows: list[dict[str, object]] = []
    for examples in (train, development, validation, test):
        split = examples["split"].iloc[0]
        for text in _TEXTS:
            tokens = pd.Series(language_model.count_tokens(examples[text].dropna().tolist()), dtype=float)
            rows.append({"split": split, "text": text, "unit": "tokens", **_describe(tokens)})
        for text in _TIMED:
            seconds = examples[f"seconds_{text}"].dropna()
            rows.append({"split": split, "text": text, "unit": "seconds", **_describe(seconds)})
    return TextStatistics.validate(pd.DataFrame(rows))


def _read_splits(raws: Mapping[Split, RawLines]) -> tuple[dict[Split, list[Record]], dict[Split, list[Fault]]]:
    """Read all files; return the records without any fault, and all faults in order of their rows."""
    read = {split: read_rows(raw, Record) for split, raw in raws.items()}
    shared = find_shared({split: (raw, read[split][0]) for split, raw in raws.items()})
    records, faults = {}, {}
    for split, (rows, found) in read.items():
        faults[split] = sorted(found + shared[split], key=lambda fault: fault.row)
        rejected = {fault.row for fault in faults[split]}
        records[split] = [row.record for row in rows if row.record and row.number not in rejected]
    return records, faults


def _stop_or_warn(
    records: Mapping[Split, Sequence[Record]], faults: Mapping[Split, Sequence[Fault]], options: DataPrepOptions
) -> None:
    """Refuse faults where the options say so, or where a split would have no rows; else log how many."""
    every = [fault for of_split in faults.values() for fault in of_split]
    if every and options.on_invalid == "stop":
        raise InvalidDataError(
            every,
            "Correct these rows, or go on without them, and have them listed in the data set rejected_rows: "
            "kedro run --params data_prep.on_invalid=quarantine",
        )
    if empty := [split for split, kept in records.items() if not kept]:
        raise InvalidDataError(every, f"No valid row is left of {', '.join(empty)}; each split needs at least one.")
    for split, of_split in faults.items():
        if of_split:
            n_rows = len({fault.row for fault in of_split})
            logger.warning("%s: set aside %d row(s) with %d fault(s)", split, n_rows, len(of_split))


def _examples_table(split: Split, records: Sequence[Record]) -> DataFrame[Examples]:
    columns = set(Examples.column_names())
    rows = [
        {"split": split, "position": position, **record.model_dump(include=columns)}
        for position, record in enumerate(records)
    ]
    return Examples.from_rows(rows)


def _comparisons_table(split: Split, records: Sequence[Record]) -> DataFrame[Comparisons]:
    columns = set(Comparisons.column_names())
    rows = [
        {
            "split": split,
            "position": position,
            "preferred": record.preferred,
            **record.model_dump(include=columns),
        }
        for position, record in enumerate(records)
        if record.preferred
    ]
    return Comparisons.from_rows(rows)


def _rejected_table(faults: Mapping[Split, Sequence[Fault]]) -> DataFrame[RejectedRows]:
    rows = [{"split": split, **asdict(fault)} for split, of_split in faults.items() for fault in of_split]
    return RejectedRows.from_rows(rows)


def _describe(values: pd.Series[float]) -> dict[str, object]:
    """Return the count, mean, standard error, median and maximum; null where they are undefined."""
    return {
        "n": len(values),
        "mean": values.mean(),
        "standard_error": values.sem(),
        "median": values.median(),
        "maximum": values.max(),
    }
