"""Small campaigns of every kind of item."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pandas as pd

from ilf_kedro.people import Candidate, Database, Item, Passage, RankingAnswer, Settings, create_campaign
from ilf_kedro.people import ask_feedback as _ask_feedback
from ilf_kedro.people import ask_incorporated as _ask_incorporated
from ilf_kedro.people import ask_order as _ask_order
from ilf_kedro.people.annotators import find_by_token, invite

METHODS = ("initial_output", "model_one", "model_two", "model_three", "model_four", "model_five")


def examples(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "example_id": [f"e{index}" for index in range(n)],
            "title": [f"Title {index}" for index in range(n)],
            "post": [f"The post of example {index}." for index in range(n)],
            "initial_output": [f"First try at {index}." for index in range(n)],
            "feedback": [f"Say more about {index}." for index in range(n)],
        }
    )


def ask_feedback(n: int) -> list[Item]:
    table = examples(n)
    return _ask_feedback(table, ["title", "post"], dict(zip(table["example_id"], table["initial_output"], strict=True)))


def ask_order(n: int, n_methods: int = 2) -> list[Item]:
    outputs = {
        method: {f"e{index}": f"Text {number} about {index}." for index in range(n)}
        for number, method in enumerate(METHODS[:n_methods])
    }
    return _ask_order(examples(n), ["title", "post"], outputs, initial_output="initial_output")


def ask_incorporated(n: int) -> list[Item]:
    refinements = [(f"e{index}", "with_feedback", f"More about {index}.") for index in range(n)]
    return _ask_incorporated(examples(n), ["title", "post"], "initial_output", refinements)


def gold_item(name: str = "gold") -> Item:
    """A hidden check whose first candidate is plainly the better."""
    return Item(
        item_id=f"compare:{name}",
        example_id=name,
        kind="compare",
        inputs=(Passage(label="post", text="Which is a sentence?"),),
        candidates=(
            Candidate(candidate_id="right", output=Passage(text="This is a sentence."), sources=("check",)),
            Candidate(candidate_id="wrong", output=Passage(text="sentence a is"), sources=("check",)),
        ),
        gold=RankingAnswer(kind="compare", ranks={"right": 1, "wrong": 2}),
    )


def make_campaign(folder: Path, items: list[Item], **settings: object) -> Database:
    name = str(settings.pop("name", "trial"))
    values = Settings.model_validate({"name": name, **settings})
    return create_campaign(folder / f"{name}.sqlite", values, items, "Read all. Be fair.")


def add_annotator(database: Database, name: str = "anna") -> int:
    def work(connection: sqlite3.Connection) -> int:
        annotator = find_by_token(connection, invite(connection, name))
        assert annotator is not None
        return annotator.annotator_id

    return database.do(work)


def compare_answer(item: Item, *ranks: int, all_bad: bool = False) -> RankingAnswer:
    given = dict(zip(item.candidate_ids, ranks, strict=True)) if ranks else {}
    return RankingAnswer(kind="compare" if item.kind == "compare" else "rank", ranks=given, all_bad=all_bad)
