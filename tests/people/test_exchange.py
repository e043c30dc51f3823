"""Other tools' JSON both ways, the sheet for work away from the network, and the project's own files."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from ilf_kedro.people import FeedbackAnswer, Item, RankingAnswer, import_records
from ilf_kedro.people.argilla import export_argilla, import_argilla
from ilf_kedro.people.assignment import claim
from ilf_kedro.people.campaign import list_items
from ilf_kedro.people.database import CampaignError, Database
from ilf_kedro.people.exchange import letters
from ilf_kedro.people.label_studio import export_label_studio, import_label_studio, labelling_config
from ilf_kedro.people.records import Record, latest, list_records
from ilf_kedro.people.spreadsheet import check_out, read_sheet, write_sheet
from ilf_kedro.people.submissions import submit
from tests.people.test_records import AWKWARD, filled_campaign
from tests.support.campaigns import (
    METHODS,
    add_annotator,
    ask_feedback,
    ask_incorporated,
    ask_order,
    make_campaign,
)

Reader = Callable[[str, str, list[Item], str], list[Record]]
TOOLS = [(export_label_studio, import_label_studio), (export_argilla, import_argilla)]


@pytest.mark.parametrize(("write", "read"), TOOLS)
def test_answers_come_back_from_another_tool(
    tmp_path: Path, write: Callable[[list[Record], list[Item]], str], read: Reader
) -> None:
    database = filled_campaign(tmp_path)
    records, items = database.do(list_records), database.do(list_items)
    back = read(write(records, items), "file.json", items, "trial")
    wanted = {(each.item_id, each.annotator): each for each in records}  # the newest revision is the last
    assert len(back) == len(wanted)
    for record in back:
        original = wanted[record.item_id, record.annotator]
        assert record.answer == original.answer
        assert (record.status, record.reason, record.comment) == (original.status, original.reason, original.comment)
        assert record.seconds_open == original.seconds_open
    assert json.loads(write(back, items)) == json.loads(write(records, items))


@pytest.mark.parametrize(("write", "read"), TOOLS)
def test_other_tools_are_told_no_method(tmp_path: Path, write: Callable[..., str], read: Reader) -> None:
    items = [*ask_order(2, n_methods=6), *ask_incorporated(1)]
    text = write([], items)
    assert "Text 3 about 1." in text
    assert not any(method in text.replace('"initial_output"', "") for method in (*METHODS[1:], "with_feedback"))
    assert read(text, "file.json", items, "trial") == []


@pytest.mark.parametrize(("write", "read"), TOOLS)
def test_faults_in_another_tools_file_are_named(tmp_path: Path, write: Callable[..., str], read: Reader) -> None:
    database = filled_campaign(tmp_path)
    records, items = database.do(list_records), database.do(list_items)
    unknown = write(records, items).replace("compare:e1", "compare:e9")
    with pytest.raises(CampaignError, match=r"compare:e9.*not in the campaign"):
        read(unknown, "file.json", items, "trial")
    with pytest.raises(CampaignError, match=r"file\.json is no JSON"):
        read("{", "file.json", items, "trial")


def test_label_studios_own_tags_for_orders_are_read() -> None:
    (pair,), (six,) = ask_order(1), ask_order(1, n_methods=6)
    order = ["output_C", "output_A", "output_B", "output_F", "output_E", "output_D"]
    tasks = [
        {
            "data": {"item_id": pair.item_id},
            "annotations": [
                {
                    "completed_by": 7,
                    "result": [{"from_name": "c", "type": "pairwise", "value": {"selected": "right"}}],
                }
            ],
        },
        {
            "data": {"item_id": six.item_id},
            "annotations": [
                {
                    "completed_by": {"id": 8},
                    "result": [{"from_name": "r", "type": "ranker", "value": {"ranker": order}}],
                }
            ],
        },
    ]
    first, second = import_label_studio(json.dumps(tasks), "file.json", [pair, six], "trial")
    assert (first.annotator, second.annotator) == ("label-studio-7", "label-studio-8")
    assert isinstance(first.answer, RankingAnswer)
    assert [first.answer.ranks[key] for key in pair.candidate_ids] == [2, 1]
    assert isinstance(second.answer, RankingAnswer)
    assert [second.answer.ranks[letters(six)[letter]] for letter in "ABCDEF"] == [2, 3, 1, 6, 5, 4]


def test_argillas_ranking_question_is_read_with_ties() -> None:
    (item,) = ask_order(1, n_methods=3)
    ranking = [{"value": "output_B", "rank": 1}, {"value": "output_A", "rank": 2}, {"value": "output_C", "rank": 2}]
    rows = [{"id": item.item_id, "responses": {"ranking": [{"value": ranking, "user_id": "u1"}]}}]
    (record,) = import_argilla(json.dumps(rows), "file.json", [item], "trial")
    assert isinstance(record.answer, RankingAnswer)
    assert [record.answer.ranks[letters(item)[letter]] for letter in "ABC"] == [2, 1, 2]


@pytest.mark.parametrize("item", [ask_feedback(1)[0], ask_order(1, n_methods=6)[0], ask_incorporated(1)[0]])
def test_the_labelling_configuration_has_a_control_for_every_answer(item: Item) -> None:
    root = ET.fromstring(labelling_config(item))
    shown = {each.get("name") for each in root.iter("Text")}
    controls = [each for each in root if each.tag in {"TextArea", "Number", "Choices"}]
    assert {each.get("toName") for each in controls} <= shown
    if item.kind == "rank":
        assert [each.get("toName") for each in controls if each.tag == "Number"] == [f"output_{x}" for x in "ABCDEF"]


def take_sheet(database: Database, annotator: int, n: int) -> list[dict[str, str]]:
    text = write_sheet(database.do(check_out, annotator, n, days=7))
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def fill_sheet(rows: list[dict[str, str]], separator: str = ",") -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def test_a_sheet_is_taken_along_filled_in_and_handed_in(tmp_path: Path) -> None:
    items = [*ask_order(1), *ask_order(1, n_methods=3), *ask_feedback(2), *ask_incorporated(1)]
    database = make_campaign(tmp_path, items)
    anna, ben = add_annotator(database, "anna"), add_annotator(database, "ben")
    rows = take_sheet(database, anna, 9)
    assert [row["kind"] for row in rows] == ["compare", "rank", "feedback", "feedback", "incorporated"]
    assert database.do(claim, ben) is None  # they are anna's for a week
    assert not any(method in str(rows) for method in (*METHODS[1:], "with_feedback"))
    rows[0] |= {"rank_A": "2", "rank_B": "1.0"}  # as spreadsheets write whole numbers
    rows[1] |= {"all_bad": "Yes"}
    rows[2] |= {"feedback": AWKWARD, "comment": "hard"}
    rows[3] |= {"skip_because": "not my language"}
    sheet = fill_sheet(rows, ";")
    assert database.do(read_sheet, anna, sheet, "sheet.csv") == (4, 1)
    assert database.do(read_sheet, anna, sheet, "sheet.csv") == (4, 1)
    pair, three, feedback, skipped = database.do(list_records)
    assert isinstance(pair.answer, RankingAnswer)
    assert [pair.answer.ranks[key] for key in pair.order_shown] == [2, 1]
    assert isinstance(three.answer, RankingAnswer)
    assert three.answer.all_bad
    assert isinstance(feedback.answer, FeedbackAnswer)
    assert (feedback.answer.feedback, feedback.comment) == (AWKWARD, "hard")
    assert (skipped.status, skipped.reason) == ("skipped", "not my language")


def test_faults_in_a_sheet_are_all_named_and_nothing_is_handed_in(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(3))
    anna = add_annotator(database)
    rows = take_sheet(database, anna, 3)
    rows[0] |= {"rank_A": "1", "rank_B": "2"}
    rows[1] |= {"rank_A": "first", "rank_B": "2"}
    rows[2] |= {"rank_A": "1"}
    with pytest.raises(CampaignError) as error:
        database.do(read_sheet, anna, fill_sheet(rows), "sheet.csv")
    assert "sheet.csv:3: 'first' in rank_A" in str(error.value)
    assert "sheet.csv:4: ranks for" in str(error.value)
    assert database.do(list_records) == []
    with pytest.raises(CampaignError, match="no column `task`"):
        database.do(read_sheet, anna, "a,b\n1,2\n", "sheet.csv")


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_spreadsheet_takes_no_text_for_a_formula(tmp_path: Path, start: str) -> None:
    item = ask_feedback(1)[0]
    evil = item.candidates[0].model_copy(
        update={"output": item.candidates[0].output.model_copy(update={"text": f"{start}1+1"})}
    )
    database = make_campaign(tmp_path, [item.model_copy(update={"candidates": (evil,)})])
    (row,) = take_sheet(database, add_annotator(database), 1)
    assert row["output_A"] == f"'{start}1+1"


def answer_all(database: Database, name: str, *answers: FeedbackAnswer | RankingAnswer) -> None:
    annotator = add_annotator(database, name)
    for answer in answers:
        task = database.do(claim, annotator)
        assert task is not None
        database.do(submit, annotator, task.assignment_id, answer, base_revision=0)


def test_records_of_a_reimport_count_as_the_annotators_own(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(2))
    answer_all(database, "anna", FeedbackAnswer(feedback="a"))
    (tmp_path / "again").mkdir()
    again = make_campaign(tmp_path / "again", ask_feedback(2))
    again.do(import_records, database.do(list_records))
    ben = add_annotator(again, "ben")
    task = again.do(claim, ben)
    assert task is not None
    assert task.item.example_id == "e1"
    assert len(latest(again.do(list_records))) == 1
