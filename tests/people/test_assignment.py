"""Rules 8 to 12 and 35 of annotation pages: claims, leases, overlap, blinding, hidden checks."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ilf_kedro.people.assignment import claim, extend, measure_progress, reopen_skipped
from ilf_kedro.people.blinding import place
from ilf_kedro.people.database import CampaignError, Database
from ilf_kedro.people.records import list_records
from ilf_kedro.people.submissions import skip, submit
from tests.support.campaigns import add_annotator, ask_order, compare_answer, gold_item, make_campaign


def answer_next(database: Database, annotator: int, at: float | None = None) -> str | None:
    task = database.do(claim, annotator, at=at)
    if task is None:
        return None
    answer = compare_answer(task.item, 1, 2)
    database.do(submit, annotator, task.assignment_id, answer, base_revision=0)
    return task.item.item_id


def test_ten_at_once_and_overlap_one_give_one_winner(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(1))
    annotators = [add_annotator(database, f"annotator {number}") for number in range(10)]
    others = [Database(database.path) for _ in annotators]  # as ten processes have it
    with ThreadPoolExecutor(10) as pool:
        tasks = list(pool.map(lambda pair: pair[0].do(claim, pair[1]), zip(others, annotators, strict=True)))
    assert sum(task is not None for task in tasks) == 1


def test_an_abandoned_task_goes_to_the_next_and_finished_work_never(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(1), lease_seconds=60)
    anna, ben = add_annotator(database, "anna"), add_annotator(database, "ben")
    first = database.do(claim, anna, at=0.0)
    assert first is not None
    assert database.do(claim, ben, at=59.0) is None
    second = database.do(claim, ben, at=61.0)
    assert second is not None
    assert second.item.item_id == first.item.item_id
    database.do(submit, ben, second.assignment_id, compare_answer(second.item, 1, 2), base_revision=0)
    assert database.do(claim, anna, at=1e12) is None
    # What anna finishes late is kept as well: work is never thrown away.
    database.do(submit, anna, first.assignment_id, compare_answer(first.item, 2, 1), base_revision=0)
    assert len(database.do(list_records)) == 2


def test_work_on_a_task_lets_its_lease_begin_anew(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(1), lease_seconds=60)
    anna, ben = add_annotator(database, "anna"), add_annotator(database, "ben")
    task = database.do(claim, anna, at=0.0)
    assert task is not None
    database.do(extend, task.assignment_id, at=50.0)
    assert database.do(claim, ben, at=100.0) is None
    assert database.do(claim, ben, at=111.0) is not None


def test_asking_again_gives_the_open_task_again(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(3))
    anna = add_annotator(database)
    tasks = {database.do(claim, anna) for _ in range(5)}
    assert len(tasks) == 1


def test_overlap_comes_through_the_normal_queue(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(8), overlap=3, overlap_share=0.5, seed=4)
    annotators = [add_annotator(database, f"annotator {number}") for number in range(5)]
    busy = annotators
    while busy:
        busy = [annotator for annotator in busy if answer_next(database, annotator)]
    answers = Counter(record.item_id for record in database.do(list_records))
    assert sorted(answers.values()) == [1, 1, 1, 1, 3, 3, 3, 3]
    pairs = [(record.item_id, record.annotator) for record in database.do(list_records)]
    assert len(set(pairs)) == len(pairs)


def test_the_order_is_drawn_per_annotator_and_logged_as_shown(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(30, n_methods=4), overlap=2, seed=11)
    shown: dict[int, list[tuple[str, ...]]] = {}
    for annotator in (add_annotator(database, "anna"), add_annotator(database, "ben")):
        while (task := database.do(claim, annotator)) is not None:
            answer = compare_answer(task.item, 1, 2, 3, 4)
            database.do(submit, annotator, task.assignment_id, answer, base_revision=0)
            shown.setdefault(annotator, []).append(task.order_shown)
    anna, ben = shown.values()
    assert anna != ben
    assert [record.order_shown for record in database.do(list_records)] == anna + ben
    for record in database.do(list_records):
        assert record.order_shown == place(11, record.annotator, record.item_id, sorted(record.sources))


def test_every_place_is_equally_likely() -> None:
    first = Counter(place(0, "anna", f"item {number}", "abcd")[0] for number in range(4000))
    # Binomial(4000, 1/4) has a standard deviation of 27.4; five of them.
    assert all(abs(count - 1000) < 137 for count in first.values())


def test_hidden_checks_come_at_drawn_places_once_in_a_block(tmp_path: Path) -> None:
    golds = [gold_item(f"gold {number}") for number in range(6)]
    database = make_campaign(tmp_path, [*golds, *ask_order(60)], gold_every=10, overlap=2)
    places = {}
    for name in ("anna", "ben"):
        annotator = add_annotator(database, name)
        seen = []
        while (item_id := answer_next(database, annotator)) is not None:
            seen.append("gold" in item_id)
        places[name] = [number for number, is_gold in enumerate(seen) if is_gold]
        assert [number // 10 for number in places[name]] == [0, 1, 2, 3, 4, 5]
    assert places["anna"] != places["ben"]


def test_a_hidden_check_that_is_skipped_comes_back(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, [gold_item(), *ask_order(12)], gold_every=2)
    anna = add_annotator(database)
    n_skipped = 0
    for _ in range(40):
        if (task := database.do(claim, anna)) is None:
            break
        if task.item.gold and n_skipped < 3:
            n_skipped += 1
            revision = n_skipped - 1
            database.do(skip, anna, task.assignment_id, "unclear", base_revision=revision)
            continue
        base = n_skipped if task.item.gold else 0
        database.do(submit, anna, task.assignment_id, compare_answer(task.item, 1, 2), base_revision=base)
    assert n_skipped == 3
    assert [record.status for record in database.do(list_records) if record.gold] == ["skipped"] * 3 + ["submitted"]
    assert database.do(claim, anna) is None


def test_a_skipped_task_goes_to_others_and_is_reopened_on_request(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_order(1))
    anna, ben = add_annotator(database, "anna"), add_annotator(database, "ben")
    task = database.do(claim, anna)
    assert task is not None
    with pytest.raises(ValueError, match="why"):
        database.do(skip, anna, task.assignment_id, "  ", base_revision=0)
    database.do(skip, anna, task.assignment_id, "I know the author", base_revision=0)
    assert database.do(claim, anna) is None
    assert database.do(claim, ben) is not None
    (record,) = database.do(list_records)
    assert (record.status, record.reason, record.answer) == ("skipped", "I know the author", None)
    assert database.do(reopen_skipped) == 1
    assert database.do(claim, anna, at=1e12) is not None  # ben's lease is over


def test_progress_never_tells_a_check_from_a_task(tmp_path: Path) -> None:
    golds = [gold_item(f"gold {number}") for number in range(9)]
    database = make_campaign(tmp_path, [*golds, *ask_order(20)], gold_every=4)
    anna = add_annotator(database)
    seen = []
    while True:
        progress = database.do(measure_progress, anna)
        seen.append((progress.done, progress.left))
        database.do(claim, anna)
        assert database.do(measure_progress, anna) == progress
        if answer_next(database, anna) is None:
            break
    total = len(seen) - 1
    assert total > 22
    assert seen == [(done, total - done) for done in range(total + 1)]


def test_a_campaign_that_asks_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="no item of trial asks anything"):
        make_campaign(tmp_path, [gold_item()])
