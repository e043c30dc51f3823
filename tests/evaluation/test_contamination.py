"""Shares and passages, against sets of runs of words made the slow way."""

from __future__ import annotations

import random

import pandas as pd
import pytest

from ilf_kedro.evaluation.contamination import RUN, overlaps
from ilf_kedro.evaluation.feedback_flags import words_of
from tests.support.example_tables import examples


def runs(text: str) -> list[tuple[str, ...]]:
    words = words_of(text)
    return [tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]


def test_shares_are_those_of_runs_that_any_training_text_has() -> None:
    stream = random.Random(3)  # for variety
    vocabulary = ["a", "b", "c"]
    draw = lambda n: " ".join(stream.choices(vocabulary, k=n))  # noqa: E731
    train = examples(12, post=[draw(60) for _ in range(12)], feedback=[draw(9) for _ in range(12)])
    test = examples(6, "test", post=[draw(40) for _ in range(6)], reference=[None, *(draw(20) for _ in range(5))])
    held = {
        run
        for row in train.to_dict("records")
        for name in ("title", "post", "initial_output", "feedback", "reference")
        for run in runs(row[name])
    }
    found = overlaps(train, test)
    assert len(found) == 6 + 5
    for row in found.to_dict("records"):
        of_test = test.set_index("example_id").loc[row["example_id"]]
        text = of_test["title"] + "\n" + of_test["post"] if row["text"] == "input" else of_test["reference"]
        own = runs(text)
        assert row["runs"] == len(own)
        assert row["shared"] == pytest.approx(sum(run in held for run in own) / len(own))
        if row["words"]:
            assert all(run in held for run in runs(row["passage"]))
            assert len(row["passage"].split()) == row["words"]
    assert 0 < found["shared"].max() < 1


def test_the_longest_passage_is_named_with_the_example_that_has_it() -> None:
    passage = "she took the late train to the coast and never wrote a word again"
    train = examples(3, reference=["nothing", f"It is said that {passage.upper()}!", "nothing"])
    test = examples(2, "test", post=[f"Long ago {passage}, my friend.", "short"], reference=[None, None])
    row, short = overlaps(train, test).to_dict("records")
    assert (row["passage"], row["words"], row["train_example_id"]) == (passage, 14, "train-1")
    assert (short["runs"], short["shared"], short["words"]) == (0, 0.0, 0)
    assert pd.isna(short["passage"])


def test_without_a_training_split_nothing_is_shared() -> None:
    found = overlaps(
        examples(1).head(0), examples(2, "test", post=["one two three four five six seven eight nine"] * 2)
    )
    assert found["shared"].tolist() == [0.0] * 4
