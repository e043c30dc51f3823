"""Rules 13, 21 and 33 of annotation pages: one row per judgement, and exports that come back as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ilf_kedro.people import FeedbackAnswer, IncorporatedAnswer, Item, Record, import_records
from ilf_kedro.people.agreement import adjudication_items, pair_agreements
from ilf_kedro.people.assignment import claim
from ilf_kedro.people.campaign import list_items
from ilf_kedro.people.database import CampaignError, Database
from ilf_kedro.people.records import list_records, parse_lines, to_lines
from ilf_kedro.people.submissions import add_time, skip, submit
from tests.support.campaigns import (
    add_annotator,
    ask_feedback,
    ask_incorporated,
    ask_order,
    compare_answer,
    gold_item,
    make_campaign,
)

AWKWARD = ' \u202eשלום\u202c <b>&amp;</b>\r\n\ttab \u2028 line 👩🏽‍🚀 \x7f\ufeff zero\u200bwidth \\n "quotes" '


def filled_campaign(folder: Path, **settings: object) -> Database:
    """A campaign with every kind of item, three annotators, revisions, skipped tasks, comments and awkward texts."""
    items = [gold_item(), *ask_order(2), *ask_order(2, n_methods=6), *ask_feedback(3), *ask_incorporated(2)]
    database = make_campaign(folder, items, overlap=3, gold_every=3, **settings)
    for number, name in enumerate(("anna", "ben", "chris")):
        annotator = add_annotator(database, name)
        count = 0
        while (task := database.do(claim, annotator)) is not None:
            count += 1
            mine = (annotator, task.assignment_id)
            database.do(add_time, *mine, f"page {name}", active_ms=1234 * count, open_ms=5678 * count)
            n = len(task.item.candidates)
            if task.item.kind in {"compare", "rank"}:
                ranks = [min(n, 1 + (place * (number + 1)) % n) for place in range(n)]
                answer = compare_answer(task.item, *(() if count % 5 == 4 else ranks), all_bad=count % 5 == 4)
            elif task.item.kind == "feedback" and count % 4 == 3 and not task.item.gold:
                database.do(skip, *mine, AWKWARD, base_revision=0)
                continue
            elif task.item.kind == "feedback":
                answer = FeedbackAnswer(
                    feedback=AWKWARD, feedback_class="Coverage", ideal_output=AWKWARD * number or None
                )
            else:
                answer = IncorporatedAnswer(incorporated=number != 1)
            database.do(submit, *mine, answer, base_revision=0, comment=AWKWARD if count % 2 else "")
            if count % 3 == 1:
                database.do(submit, *mine, answer, base_revision=1, comment="second thought")
    return database


def test_export_and_import_are_identical(tmp_path: Path) -> None:
    first = filled_campaign(tmp_path)
    items, answers = to_lines(first.do(list_items)), to_lines(first.do(list_records))
    assert len({record.annotator for record in first.do(list_records)}) == 3
    (tmp_path / "again").mkdir()
    again = make_campaign(tmp_path / "again", parse_lines(items, "items.jsonl", Item), overlap=3, gold_every=3)
    n = again.do(import_records, parse_lines(answers, "answers.jsonl", Record))
    assert n == len(answers.splitlines())
    assert to_lines(again.do(list_items)) == items
    assert to_lines(again.do(list_records)) == answers
    assert again.do(import_records, parse_lines(answers, "answers.jsonl", Record)) == 0


def test_text_comes_back_byte_for_byte(tmp_path: Path) -> None:
    database = filled_campaign(tmp_path)
    records = [json.loads(line) for line in to_lines(database.do(list_records)).splitlines()]
    feedback = [row["answer"]["feedback"] for row in records if row["kind"] == "feedback" and row["answer"]]
    assert feedback
    assert {text.encode() for text in feedback} == {AWKWARD.encode()}


def test_every_row_has_every_column(tmp_path: Path) -> None:
    records = [json.loads(line) for line in to_lines(filled_campaign(tmp_path).do(list_records)).splitlines()]
    assert {tuple(row) for row in records} == {tuple(Record.model_fields)}
    keys = [(row["item_id"], row["annotator"], row["round"], row["revision"]) for row in records]
    assert len(set(keys)) == len(keys)


def test_an_import_names_every_line_at_fault(tmp_path: Path) -> None:
    lines = to_lines(filled_campaign(tmp_path).do(list_records)).splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | {"revision": 0})
    lines[2] = "{broken"
    lines[4] = json.dumps(json.loads(lines[4]) | {"colour": "red"})
    with pytest.raises(CampaignError) as error:
        parse_lines("\n".join(lines), "answers.jsonl", Record)
    message = str(error.value)
    assert "answers.jsonl:2 revision" in message
    assert "answers.jsonl:3 the line" in message
    assert "answers.jsonl:5 colour" in message
    assert "answers.jsonl:1 " not in message


def test_answers_to_other_questions_are_refused_whole(tmp_path: Path) -> None:
    records = filled_campaign(tmp_path).do(list_records)
    (tmp_path / "other").mkdir()
    other = make_campaign(tmp_path / "other", ask_order(2))
    with pytest.raises(CampaignError, match="is not in the campaign"):
        other.do(import_records, records)
    assert other.do(list_records) == []
    known = {item.item_id for item in other.do(list_items)}
    matching = [record for record in records if record.item_id in known]
    assert matching
    assert other.do(import_records, matching) == len(matching)


def test_hidden_checks_are_graded_in_the_export(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, [gold_item(), *ask_order(3)], gold_every=2, overlap=3)
    for name, ranks in [("anna", (1, 2)), ("ben", (2, 1)), ("chris", (1, 1))]:
        annotator = add_annotator(database, name)
        while (task := database.do(claim, annotator)) is not None:
            answer = compare_answer(task.item, *ranks)
            database.do(submit, annotator, task.assignment_id, answer, base_revision=0)
    graded = [record.gold_correct for record in database.do(list_records) if record.gold]
    assert graded == [True, False, False]
    assert all(record.gold_correct is None for record in database.do(list_records) if not record.gold)


def test_agreement_counts_ties_by_half_and_keeps_both_answers(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(1, n_methods=3), overlap=2)
    given = []
    for name, ranks in [("anna", (1, 2, 3)), ("ben", (1, 2, 2))]:
        annotator = add_annotator(database, name)
        task = database.do(claim, annotator)
        assert task is not None
        given.append(compare_answer(task.item, *ranks))
        database.do(submit, annotator, task.assignment_id, given[-1], base_revision=0)
    (pair,) = pair_agreements(database.do(list_records))
    # Of three pairs of candidates two stand the same way round, and one is tied by one annotator alone.
    assert pair.agreement == pytest.approx(2.5 / 3)
    assert pair.answers == tuple(given)


def test_adjudication_shows_disputed_answers_without_names(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(2), overlap=2)
    for name, ranks in [("anna", (1, 2)), ("ben", (2, 1))]:
        annotator = add_annotator(database, name)
        for _ in range(2):
            task = database.do(claim, annotator)
            assert task is not None
            wanted = ranks if task.item.example_id == "e0" else (1, 2)
            database.do(submit, annotator, task.assignment_id, compare_answer(task.item, *wanted), base_revision=0)
    records = database.do(list_records)
    (disputed,) = adjudication_items(database.do(list_items), records)
    assert disputed.example_id == "e0"
    assert len(disputed.opinions) == 2
    assert not any(record.annotator in disputed.model_dump_json() for record in records)
