"""What was collected goes into the pipelines: rounds, a tournament of scorers, and win rates."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ilf_kedro.datasets.feedback_folder import FeedbackFolder
from ilf_kedro.evaluation.win_rates import win_rates_from_rankings
from ilf_kedro.people import FeedbackAnswer, IncorporatedAnswer, Item, Message, Passage, RankingAnswer
from ilf_kedro.people.answers import Answer
from ilf_kedro.people.assignment import claim
from ilf_kedro.people.campaign import list_items
from ilf_kedro.people.database import Database
from ilf_kedro.people.formats import export
from ilf_kedro.people.project_files import (
    collected_feedback,
    flat,
    incorporations,
    method_ranks,
    ranked_examples,
    round_feedback,
)
from ilf_kedro.people.records import list_records, to_lines
from ilf_kedro.people.submissions import submit
from ilf_kedro.pipelines.tournament.ranked_lines import read_rankings
from ilf_kedro.prompting.messages import messages_from_json
from ilf_kedro.schemas import Rankings
from ilf_kedro.tasks import Task, examples_table, map_rows
from ilf_kedro.tasks.reading.files import read_bytes
from tests.support.campaigns import (
    add_annotator,
    ask_feedback,
    ask_incorporated,
    ask_order,
    examples,
    make_campaign,
)


def answer_all(database: Database, name: str, *answers: Answer) -> None:
    annotator = add_annotator(database, name)
    for answer in answers:
        task = database.do(claim, annotator)
        assert task is not None
        database.do(submit, annotator, task.assignment_id, answer, base_revision=0)


def by_source(item: Item, **ranks: int) -> RankingAnswer:
    given = {each.candidate_id: ranks[each.sources[0]] for each in item.candidates}
    return RankingAnswer(kind="compare" if len(given) == 2 else "rank", ranks=given)


def test_feedback_becomes_the_file_that_a_round_waits_for(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(3), overlap=2)
    said = [FeedbackAnswer(feedback=f"anna on {n}\nsecond line") for n in range(2)]
    answer_all(database, "anna", *said, FeedbackAnswer(nothing_to_say=True))
    answer_all(database, "ben", FeedbackAnswer(feedback="ben on 0"))
    lines = round_feedback(database.do(list_records), database.do(list_items))
    (tmp_path / "round_1.jsonl").write_text(to_lines(lines), encoding="utf-8")
    table = examples(3)
    feedback = FeedbackFolder(tmp_path).collect({"round_1": table})["round_1"]
    assert feedback.tolist() == ["anna on 0\nsecond line", "anna on 1\nsecond line", ""]


def test_first_round_feedback_has_a_row_per_annotator(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(2), overlap=2)
    first = FeedbackAnswer(feedback="Too short.", feedback_class="Coverage", ideal_output="A longer one.")
    answer_all(database, "anna", first, FeedbackAnswer(nothing_to_say=True))
    answer_all(database, "ben", FeedbackAnswer(feedback="Too vague."))
    rows = pd.DataFrame(map(flat, collected_feedback(database.do(list_records), database.do(list_items))))
    assert rows["example_id"].is_unique
    assert rows["group"].tolist() == ["e0", "e1", "e0"]
    assert rows.loc[0, ["post", "initial_output", "feedback", "feedback_class", "reference"]].tolist() == [
        "The post of example 0.",
        "First try at 0.",
        "Too short.",
        "Coverage",
        "A longer one.",
    ]
    assert rows["nothing_to_say"].tolist() == [False, True, False]


def test_first_round_feedback_is_read_by_data_prep(tmp_path: Path) -> None:
    chat = (Message("user", "Is it open?"), Message("assistant", "Yes."), Message("user", "Today?"))
    talk = Passage(label="talk", kind="messages", messages=chat)
    items = [item.model_copy(update={"inputs": (*item.inputs, talk)}) for item in ask_feedback(2)]
    database = make_campaign(tmp_path, items, overlap=2)
    answer_all(database, "anna", FeedbackAnswer(feedback="Too short."), FeedbackAnswer(nothing_to_say=True))
    answer_all(database, "ben", FeedbackAnswer(feedback="Too vague.", ideal_output="Exact."))
    text = database.do(export, "feedback")
    words = ("example_id", "initial_output", "feedback", "reference", "annotator", "group")
    task = Task.model_validate(
        {
            "name": "Answers",
            "inputs": {"post": {"column": "post"}, "talk": {"column": "talk", "kind": "messages"}},
            "columns": {word: word for word in words},
            "seconds": {"feedback": "seconds_feedback"},
        }
    )
    mapped = map_rows(task, {"train": read_bytes("train.jsonl", text.encode())})
    assert not mapped.every_fault
    examples = examples_table(task, "train", mapped.examples["train"])
    assert examples["feedback"].fillna("none").tolist() == ["Too short.", "none", "Too vague."]
    assert examples["input_id"].nunique() == 2
    assert examples["annotator"].nunique() == 2
    assert messages_from_json(examples["talk"].iloc[0]) == chat
    assert examples["reference"].iloc[2] == "Exact."


def test_rankings_are_read_by_the_tournament(tmp_path: Path) -> None:
    items = ask_order(2, n_methods=3)
    database = make_campaign(tmp_path, items)
    ranks = {"initial_output": 2, "model_one": 1, "model_two": 2}
    bad = RankingAnswer(kind="rank", ranks={}, all_bad=True)  # nothing was ranked
    answer_all(database, "anna", by_source(items[0], **ranks), bad)
    lines = to_lines(ranked_examples(database.do(list_records), items)).encode()
    development = pd.DataFrame({"example_id": ["e0", "e1"], "initial_output": ["Text 0 about 0.", "Text 0 about 1."]})
    table = read_rankings(read_bytes("rankings.jsonl", lines), development)
    assert table["ranked_by"].str.startswith("human:annotator-").all()
    found = table.set_index("text")[["rank", "is_initial_output"]].to_dict("index")
    assert found == {
        "Text 0 about 0.": {"rank": 2, "is_initial_output": True},
        "Text 1 about 0.": {"rank": 1, "is_initial_output": False},
        "Text 2 about 0.": {"rank": 2, "is_initial_output": False},
    }


def test_ranks_by_method_give_win_rates_with_identical_outputs_as_ties(tmp_path: Path) -> None:
    items = ask_order(3, n_methods=2)
    same = items[2].candidates[0].model_copy(update={"sources": ("initial_output", "model_one")})
    items[2] = items[2].model_copy(update={"candidates": (same,)})
    database = make_campaign(tmp_path, items)
    wins = [by_source(item, initial_output=2, model_one=1) for item in items[:2]]
    answer_all(database, "anna", *wins)
    rows = [row.model_dump(exclude={"all_bad"}) for row in method_ranks(database.do(list_records), items)]
    rankings = Rankings.from_rows(rows)
    assert len(rankings) == 6
    assert set(rankings["judged_by"]) > {"identical outputs"}
    rates = win_rates_from_rankings(rankings.assign(judged_by="people")).set_index("model")
    assert rates.loc["model_one", "win_rate"] == pytest.approx((1 + 1 + 0.5) / 3)


def test_verdicts_on_refinements_keep_their_method(tmp_path: Path) -> None:
    items = ask_incorporated(2)
    database = make_campaign(tmp_path, items)
    answer_all(database, "anna", IncorporatedAnswer(incorporated=True), IncorporatedAnswer(incorporated=False))
    rows = list(incorporations(database.do(list_records)))
    assert [(row.example_id, row.method, row.incorporated) for row in rows] == [
        ("e0", "with_feedback", True),
        ("e1", "with_feedback", False),
    ]
