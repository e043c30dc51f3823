"""What the section says of data with and without anything to look at."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.pipelines.audit.nodes import find_flags, find_overlaps
from ilf_kedro.pipelines.audit.section import describe_audit
from ilf_kedro.report.sections import Table
from ilf_kedro.schemas import NearDuplicatePairs, Offers
from tests.support.example_tables import examples

PAIRS = NearDuplicatePairs.from_rows([])


def offer(train: int, test: int) -> pd.DataFrame:
    rest = dict.fromkeys(("inputs", "initial_outputs", "references", "comparisons", "annotators", "groups"), 0)
    rows = [("train", train), ("test", test)]
    return Offers.from_rows([{"split": split, "examples": n, "feedback": n, **rest} for split, n in rows])


def test_the_first_sentence_counts_examples_to_look_at_and_tables_name_them() -> None:
    passage = "one two three four five six seven eight nine"
    train = examples(3, post=[passage, "b", "c"], feedback=["bad", "bad", "bad"])
    test = examples(2, "test", post=[f"And {passage}.", "d"], feedback=["Say more of d.", "Say who it was."])
    section = describe_audit(find_flags(train, test), find_overlaps(train, test), PAIRS, offer(3, 2))
    assert section.parts[0].text == (
        "3 of 5 feedback texts have a flag. "
        "1 of 2 test examples shares a passage of 8 words or more with a training text."
    )
    counts, flags, overlapping = [part for part in section.parts if isinstance(part, Table)]
    assert counts.rows == [["short", "3"], ["repeated", "3"]]
    assert flags.rows[0] == ["train-0", "short", "1 different word", "bad"]
    assert overlapping.rows == [["test-0", "input", "0.40", "9", "train-0", passage]]


def test_data_with_nothing_to_look_at_are_said_to_be_so() -> None:
    train, test = examples(2, feedback=["Say more of a.", "Say who it was."]), examples(0, "test")
    section = describe_audit(find_flags(train, test), find_overlaps(train, test), PAIRS, offer(2, 0))
    assert [part.text for part in section.parts] == ["None of 2 feedback texts has a flag. There is no test split."]
