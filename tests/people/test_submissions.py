"""Rules 1 to 7, 16 to 18 and 30 of annotation pages: nothing is lost, nothing is doubled, times add up."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from ilf_kedro.people import FeedbackAnswer, IncorporatedAnswer, RankingAnswer
from ilf_kedro.people.assignment import Assignment, claim
from ilf_kedro.people.database import CampaignError, Database
from ilf_kedro.people.records import list_records
from ilf_kedro.people.submissions import ConflictError, add_time, get_draft, history, save_draft, submit
from tests.support.campaigns import add_annotator, ask_feedback, ask_order, compare_answer, make_campaign

FEEDBACK = FeedbackAnswer(feedback="It leaves out the end.")


def first_task(database: Database, annotator: int) -> Assignment:
    task = database.do(claim, annotator)
    assert task is not None
    return task


def test_two_parallel_submits_give_one_row(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    anna = add_annotator(database)
    task = first_task(database, anna)
    others = [Database(database.path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        saved = list(
            pool.map(lambda each: each.do(submit, anna, task.assignment_id, FEEDBACK, base_revision=0), others)
        )
    assert sorted(each.repeated for each in saved) == [False, True, True, True]
    assert len(database.do(list_records)) == 1


def test_a_second_window_with_another_answer_is_told_so(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    anna = add_annotator(database)
    task = first_task(database, anna)
    database.do(submit, anna, task.assignment_id, FEEDBACK, base_revision=0)
    with pytest.raises(ConflictError, match="answered meanwhile"):
        database.do(submit, anna, task.assignment_id, FeedbackAnswer(feedback="Else."), base_revision=0)
    assert [record.answer for record in database.do(list_records)] == [FEEDBACK]


def test_going_back_makes_a_revision_and_both_are_kept(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(2))
    anna = add_annotator(database)
    task = first_task(database, anna)
    database.do(submit, anna, task.assignment_id, FEEDBACK, base_revision=0)
    better = FeedbackAnswer(feedback="It leaves out the end, and the name is wrong.")
    database.do(submit, anna, task.assignment_id, better, base_revision=1)
    assert [(record.revision, record.answer) for record in database.do(list_records)] == [(1, FEEDBACK), (2, better)]
    assert [entry[0] for entry in database.do(history, anna)] == [task.assignment_id]


def test_a_late_draft_never_overrides_a_submission(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    anna = add_annotator(database)
    task = first_task(database, anna)
    assert database.do(save_draft, anna, task.assignment_id, "typed", sequence=1, base_revision=0)
    database.do(submit, anna, task.assignment_id, FEEDBACK, base_revision=0)
    assert not database.do(save_draft, anna, task.assignment_id, "late", sequence=2, base_revision=0)
    assert database.do(get_draft, task.assignment_id) is None
    assert [record.answer for record in database.do(list_records)] == [FEEDBACK]


def test_of_two_drafts_the_one_typed_last_stays_whatever_comes_first(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    anna = add_annotator(database)
    task = first_task(database, anna)
    assert database.do(save_draft, anna, task.assignment_id, "newer", sequence=2, base_revision=0)
    assert not database.do(save_draft, anna, task.assignment_id, "older", sequence=1, base_revision=0)
    assert database.do(get_draft, task.assignment_id) == ("newer", 2)


@pytest.mark.parametrize("blank", ["", "   ", "\n\t"])
def test_blank_feedback_is_not_done(blank: str) -> None:
    with pytest.raises(ValidationError, match="give feedback, or tick"):
        FeedbackAnswer(feedback=blank)
    assert FeedbackAnswer(feedback=blank, nothing_to_say=True).nothing_to_say


def test_an_answer_to_another_question_is_refused(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(1, n_methods=3))
    anna = add_annotator(database)
    task = first_task(database, anna)
    some = task.item.candidate_ids
    for wrong, message in [
        (IncorporatedAnswer(incorporated=True), "kind incorporated"),
        (RankingAnswer(kind="rank", ranks={some[0]: 1}), "needs one"),
        (RankingAnswer(kind="rank", ranks={}), "needs one"),
        (RankingAnswer(kind="rank", ranks={some[0]: 1, some[1]: 2, some[2]: 4}), "rank 4 among 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            database.do(submit, anna, task.assignment_id, wrong, base_revision=0)
    assert database.do(list_records) == []


def test_ties_come_back_as_ties_and_all_bad_is_no_tie(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(3, n_methods=3))
    anna = add_annotator(database)
    given = []
    for ranks, all_bad in [((1, 2, 2), False), ((1, 1, 1), False), ((), True)]:
        task = first_task(database, anna)
        answer = compare_answer(task.item, *ranks, all_bad=all_bad)
        database.do(submit, anna, task.assignment_id, answer, base_revision=0)
        given.append(answer)
    assert [record.answer for record in database.do(list_records)] == given
    tie, bad = given[1:]
    assert tie != bad


def test_nobody_answers_for_another(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    anna, ben = add_annotator(database, "anna"), add_annotator(database, "ben")
    task = first_task(database, anna)
    with pytest.raises(CampaignError, match="not one of yours"):
        database.do(submit, ben, task.assignment_id, FEEDBACK, base_revision=0)


def test_a_resumed_task_counts_once(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    anna = add_annotator(database)
    task = first_task(database, anna)
    times = [("morning", 10_000, 20_000), ("morning", 30_000, 50_000), ("morning", 20_000, 40_000)]
    for page, active, opened in [*times, ("noon", 45_000, 100_000)]:
        database.do(add_time, anna, task.assignment_id, page, active_ms=active, open_ms=opened)
    database.do(submit, anna, task.assignment_id, FEEDBACK, base_revision=0)
    (record,) = database.do(list_records)
    assert (record.seconds_active, record.seconds_open) == (75.0, 150.0)


@pytest.mark.parametrize(("active", "opened"), [(-1, 5), (6, 5)])
def test_impossible_times_are_refused(tmp_path: Path, active: int, opened: int) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    anna = add_annotator(database)
    task = first_task(database, anna)
    with pytest.raises(ValueError, match="ms active of"):
        database.do(add_time, anna, task.assignment_id, "page", active_ms=active, open_ms=opened)


def test_what_was_saved_is_there_after_a_kill(tmp_path: Path) -> None:
    make_campaign(tmp_path, ask_feedback(3)).close()
    script = f"""
import os, pathlib, signal
from ilf_kedro.people import Database, FeedbackAnswer
from ilf_kedro.people.assignment import claim
from ilf_kedro.people.submissions import submit
from tests.support.campaigns import add_annotator
database = Database(pathlib.Path({str(tmp_path / "trial.sqlite")!r}))
anna = add_annotator(database)
task = database.do(claim, anna)
database.do(submit, anna, task.assignment_id, FeedbackAnswer(feedback="saved"), base_revision=0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == -9
    (record,) = Database(tmp_path / "trial.sqlite").do(list_records)
    assert record.answer == FeedbackAnswer(feedback="saved")


def test_twenty_writers_meet_no_lock_and_lose_nothing(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(100))
    annotators = [add_annotator(database, f"annotator {number}") for number in range(20)]
    connections = [Database(database.path) for _ in annotators]

    def work(pair: tuple[Database, int]) -> int:
        mine, annotator = pair
        n = 0
        while (task := mine.do(claim, annotator)) is not None:
            mine.do(save_draft, annotator, task.assignment_id, "draft", sequence=1, base_revision=0)
            mine.do(submit, annotator, task.assignment_id, FEEDBACK, base_revision=0)
            n += 1
        return n

    with ThreadPoolExecutor(20) as pool:
        counts = list(pool.map(work, zip(connections, annotators, strict=True)))
    records = database.do(list_records)
    assert sum(counts) == 100
    assert len({record.item_id for record in records}) == len(records) == 100


def test_work_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO annotators (pseudonym) VALUES ('half')")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        database.do(work)
    assert database.do(lambda connection: connection.execute("SELECT count(*) FROM annotators").fetchone()[0]) == 0
