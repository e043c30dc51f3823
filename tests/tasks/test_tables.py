"""Tables of examples and comparisons, the fields seen of their rows, and what a split has."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandera.errors import SchemaError

from ilf_kedro.prompting.messages import Message
from ilf_kedro.schemas import SPLITS, Examples
from ilf_kedro.tasks import Offer, Task, comparisons_table, examples_table, fields_of, map_rows
from tests.support.tasks import row, sources, task

TASK = task(
    inputs={"source": "text", "chat": {"column": "turns", "kind": "messages", "optional": True}},
    columns={
        "example_id": "id",
        "feedback": "note",
        "reference": "ideal",
        "comparison": {"a": "x", "b": "y", "preferred": "better"},
    },
)
TURNS = [{"role": "user", "content": "Ü"}]


def tables(of: Task, **splits: list[dict[str, object]]) -> tuple[dict, dict]:  # type: ignore[type-arg]
    found = map_rows(of, sources(**splits))
    assert not found.every_fault
    examples = {split: examples_table(of, split, found.examples.get(split, [])) for split in SPLITS}
    comparisons = {split: comparisons_table(of, split, found.comparisons.get(split, [])) for split in SPLITS}
    return examples, comparisons


def test_inputs_are_columns_of_the_table_and_survive_parquet(tmp_path: Path) -> None:
    rows = [row(1, turns=TURNS, note=None, seconds=3, x="X", y="Y", better="b"), row(2, turns=None, tags=["a"])]
    examples, comparisons = tables(TASK, train=rows)
    assert list(examples["train"].columns[:6]) == ["example_id", "input_id", "split", "position", "source", "chat"]
    assert list(comparisons["train"]["chosen"]) == ["Y"]
    assert list(comparisons["train"]["source"]) == ["Satz Nummer 1."]
    examples["train"].to_parquet(tmp_path / "t.parquet")
    back = Examples.validate(pd.read_parquet(tmp_path / "t.parquet"))
    first, second = (fields_of(TASK, each) for _, each in back.iterrows())
    assert first["chat"] == (Message("user", "Ü"),)
    assert first["feedback"] is None
    assert first["seconds"] == 3
    assert first["other"] == {"draft": "Sentence 1.", "seconds": 3}
    assert second["chat"] == ()
    assert second["tags"] == ["a"]
    assert second["reference"] == "Sentence number 2."


def test_a_kept_column_that_is_called_like_a_word_is_seen_as_other() -> None:
    examples, _ = tables(task(columns={"example_id": "id"}), train=[row(1, feedback="raw", source="also raw")])
    fields = fields_of(task(), dict(examples["train"].iloc[0]))
    assert fields["feedback"] is None
    assert fields["source"] == "Satz Nummer 1."
    assert fields["other"]["feedback"] == "raw"  # type: ignore[index]


def test_a_split_without_rows_is_an_empty_table() -> None:
    examples, comparisons = tables(TASK, train=[row(1, turns=TURNS, x="X", y="Y", better="a")])
    assert len(examples["test"]) == len(comparisons["test"]) == 0
    assert list(examples["test"].columns) == list(examples["train"].columns)


def test_an_input_column_that_holds_no_text_is_refused() -> None:
    examples, _ = tables(task(), train=[row(1)])
    with pytest.raises(SchemaError, match="columns of inputs hold text"):
        Examples.validate(examples["train"].assign(source=3))


def test_an_offer_counts_what_each_split_has_and_says_what_it_lacks() -> None:
    of = TASK.model_copy(update={"columns": TASK.columns.model_copy(update={"annotator": "who"})})
    train = [
        row(1, turns=TURNS, who="ann", x="X", y="Y", better="a"),
        row(2, text="Satz nummer 1.", turns=TURNS, who="bob", note=None),
    ]
    offer = Offer.of(of, *tables(of, train=train, test=[row(3, note=None, ideal=None)]))
    assert offer.splits["train"].model_dump() == {
        "examples": 2,
        "inputs": 1,
        "feedback": 1,
        "initial_outputs": 0,
        "references": 2,
        "comparisons": 1,
        "annotators": 2,
        "groups": 0,
    }
    assert offer.has("feedback", "train")
    assert not offer.has("feedback", "test")
    assert offer.missing("feedback", "train") is None
    assert offer.missing("feedback", "test") == "no row of test has feedback (task.columns.feedback: note)"
    assert offer.missing("initial_outputs", "train") == (
        "the data have no initial outputs: task.columns.initial_output is null; name the column that has them"
    )
    assert offer.missing("references", "validation") == (
        "there is no validation split; give it rows, or a share in task.splits"
    )
    assert offer.missing("comparisons", "test") == "no row of test has comparisons (task.columns.comparison: x, y)"
    assert Offer.model_validate_json(offer.model_dump_json()) == offer
