"""Rows of any source to validated tables by the task's mapping, nested subsets and statistics."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

import pandas as pd

from ilf_kedro.language_models.protocol import TokenCounter
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.schemas import (
    SPLITS,
    Comparisons,
    DataFrame,
    Examples,
    Fault,
    InvalidDataError,
    NearDuplicatePairs,
    Offers,
    RejectedRows,
    RowSource,
    Split,
    Subsets,
    TextStatistics,
    UserError,
    raw_rows,
)
from ilf_kedro.schemas.wording import counted
from ilf_kedro.tasks import Mapped, Offer, Task, comparisons_table, divide, examples_table, map_rows, without_annotators
from ilf_kedro.verifiers.unit_tests import tests_of

logger = logging.getLogger(__name__)

COMPARISONS = "comparisons_of_"
UNDIVIDED = "all"
_TEXTS = ("initial_output", "feedback", "reference")

SplitTables = dict[
    str,
    DataFrame[Examples]
    | DataFrame[Comparisons]
    | DataFrame[Offers]
    | DataFrame[RejectedRows]
    | DataFrame[NearDuplicatePairs],
]


def map_splits(
    task: Task, options: DataPrepOptions, seed: int, *, unit_tests: str | None = None, **sources: RowSource
) -> SplitTables:
    """Map the rows of all splits to examples and comparisons, and tell faulty rows apart.

    `sources` are named by their split, or `all` where the task divides them by shares; files of comparisons alone have
    the prefix `comparisons_of_`. The result has examples_{split} and comparisons_{split} of every split, empty where
    there is none, offer with how many have what, rejected_rows, one row per fault, and near_duplicates. With
    `on_invalid: quarantine` rows with faults are left out of the others, and so are those of `without_annotators`.
    `unit_tests` is the field whose tests the verifier will run: a row whose tests do not parse is faulty.

    Raises:
        InvalidDataError: there are faults and `on_invalid` is stop, or a source keeps no row at all;
            it lists every fault of every file.
    """
    rows = {name: raw_rows(source, f"raw.{name}") for name, source in sources.items()}
    apart = {name.removeprefix(COMPARISONS): rows.pop(name) for name in list(rows) if name.startswith(COMPARISONS)}
    checks = {unit_tests: lambda tests: tests_of(tests, unit_tests)} if unit_tests else None
    mapped = map_rows(task, rows, apart, checks=checks)
    if not task.given_splits:  # faults can leave too little to divide
        _stop_or_warn(mapped, options)
    divided = divide(task, mapped, seed)
    if task.given_splits:  # only now are all faults known
        _stop_or_warn(mapped, options)
    mapped = without_annotators(divided.mapped, options.without_annotators, task.columns.annotator)
    examples = {split: examples_table(task, split, mapped.examples.get(split, ())) for split in SPLITS}
    comparisons = {split: comparisons_table(task, split, mapped.comparisons.get(split, ())) for split in SPLITS}
    offer = Offer.of(task, examples, comparisons)
    _log_offer(offer)
    return {
        **{f"examples_{split}": table for split, table in examples.items()},
        **{f"comparisons_{split}": table for split, table in comparisons.items()},
        "offer": offer.table(),
        "rejected_rows": _rejected_table(mapped),
        "near_duplicates": divided.near_duplicates,
    }


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
                "train size %d: only %d examples; set aside from the train split: %s",
                size,
                len(examples),
                counted(n_rejected, "row"),
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
    task: Task,
) -> DataFrame[TextStatistics]:
    """Describe how long the texts are (tokens) and how long people took (seconds), by split.

    A column that a split lacks is there with n = 0; standard errors are with n - 1.
    """
    rows: list[dict[str, object]] = []
    for split, examples in zip(SPLITS, (train, development, validation, test), strict=True):
        for text in (*task.inputs, *_TEXTS):
            tokens = pd.Series(language_model.count_tokens(examples[text].dropna().tolist()), dtype=float)
            rows.append({"split": split, "text": text, "unit": "tokens", **_describe(tokens)})
        for what, column in task.seconds.items():
            seconds = pd.Series(list(_kept_numbers(examples["other"], column)), dtype=float)
            rows.append({"split": split, "text": what, "unit": "seconds", **_describe(seconds)})
    return TextStatistics.from_rows(rows)


def _stop_or_warn(mapped: Mapped, options: DataPrepOptions) -> None:
    """Refuse faults where the options say so, or where a source would have no rows; else log how many."""
    every = mapped.every_fault
    if every and options.on_invalid == "stop":
        raise InvalidDataError(
            every,
            "Correct these rows, or go on without them, and have them listed in the data set rejected_rows: "
            "kedro run --params data_prep.on_invalid=quarantine",
        )
    if empty := [name for name, kept in mapped.examples.items() if not kept]:
        raise InvalidDataError(every, f"No valid row is left of {', '.join(empty)}; each split needs at least one.")
    for source, faults in mapped.faults.items():
        if faults:
            n_rows = len({(fault.file, fault.row) for fault in faults})
            logger.warning("%s: set aside %s with %s", source, counted(n_rows, "row"), counted(len(faults), "fault"))


def _log_offer(offer: Offer) -> None:
    for split, has in offer.splits.items():
        if has.examples or has.comparisons:
            numbers = (has.examples, has.feedback, has.comparisons)
            logger.info("%s: %d examples, %d with feedback, %d comparisons", split, *numbers)


def _rejected_table(mapped: Mapped) -> DataFrame[RejectedRows]:
    faults: Mapping[str, Iterable[Fault]] = mapped.faults
    rows = [{"split": source, **asdict(fault)} for source, of_source in faults.items() for fault in of_source]
    return RejectedRows.from_rows(rows)


def _kept_numbers(other: pd.Series[str], column: str) -> Iterator[float]:
    """Yield the numbers of a kept column; what is null or no number is left out."""
    for text in other:
        value = json.loads(text).get(column)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value)


def _describe(values: pd.Series[float]) -> dict[str, object]:
    """Return the count, mean, standard error, median and maximum; null where they are undefined."""
    return {
        "n": len(values),
        "mean": values.mean(),
        "standard_error": values.sem(),
        "median": values.median(),
        "maximum": values.max(),
    }


__all__ = ["COMPARISONS", "UNDIVIDED", "Split", "SplitTables", "describe_texts", "map_splits", "nest_subsets"]
