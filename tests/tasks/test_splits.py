"""Shares are kept, inputs stay whole, groups in proportion, and near-duplicates do not stand on both sides."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from ilf_kedro.schemas import SPLITS, UserError, raw_rows
from ilf_kedro.tasks import Divided, Task, divide, map_rows
from ilf_kedro.tasks.near_duplicates import near_duplicates, similarity
from tests.support.tasks import row, sources, task

SHARES = {"train": 0.6, "development": 0.1, "validation": 0.1, "test": 0.2}
WORDS = [f"word{n}" for n in range(2000)]


def text(seed: object, n: int = 60) -> str:
    draw = random.Random(str(seed))
    return " ".join(draw.choice(WORDS) for _ in range(n))


def divided(of: Task, rows: list[dict[str, object]], seed: int = 0) -> Divided:
    found = map_rows(of, sources(all=rows))
    assert not found.every_fault
    return divide(of, found, seed)


def ids(found: Divided) -> dict[str, list[str]]:
    return {split: [each.subject.example_id for each in found.mapped.examples[split]] for split in SPLITS}


def test_shares_are_kept_and_every_example_is_in_one_split() -> None:
    found = ids(divided(task(splits=SHARES), [row(n, text=text(n)) for n in range(200)]))
    assert {split: len(each) for split, each in found.items()} == {
        "train": 120,
        "development": 20,
        "validation": 20,
        "test": 40,
    }
    assert len({each for of_split in found.values() for each in of_split}) == 200


def test_splits_follow_from_the_seed_and_the_inputs_alone() -> None:
    rows = [row(n, text=text(n)) for n in range(50)]
    shares = task(splits=SHARES)
    first = ids(divided(shares, rows))
    assert ids(divided(shares, rows[::-1])) == first
    assert ids(divided(shares, rows, seed=1)) != first
    assert first["train"] != sorted(first["train"], key=lambda name: int(name[1:]))  # a prefix is a sample


def test_all_rows_of_one_input_are_on_one_side() -> None:
    rows = [row(n, text=text(n // 4)) for n in range(120)]
    found = divided(task(splits=SHARES), rows)
    side: dict[str, set[str]] = {}
    for split in SPLITS:
        for each in found.mapped.examples[split]:
            side.setdefault(each.subject.input_id, set()).add(split)
    assert len(side) == 30
    assert all(len(splits) == 1 for splits in side.values())
    assert len(found.near_duplicates) == 0


def test_comparisons_go_where_their_input_goes() -> None:
    columns = {"example_id": "id", "comparison": {"a": "x", "b": "y"}}
    found = divided(task(splits=SHARES, columns=columns), [row(n, text=text(n), x="X", y="Y") for n in range(40)])
    for split in SPLITS:
        of_examples = [each.subject.example_id for each in found.mapped.examples[split]]
        assert [each.subject.example_id for each in found.mapped.comparisons[split]] == of_examples


def test_by_group_every_group_is_divided_in_proportion() -> None:
    grouped = task(splits={**SHARES, "by": "group"}, columns={"example_id": "id", "group": "kind"})
    sizes = {"a": 100, "b": 50, "c": 10}
    names = [name for name, n in sizes.items() for _ in range(n)]
    rows = [row(n, text=text(n), kind=name) for n, name in enumerate(names)]
    found = divided(grouped, rows)
    for group, n in sizes.items():
        counts = Counter(
            split for split in SPLITS for each in found.mapped.examples[split] if each.subject.group == group
        )
        for split, share in SHARES.items():
            assert abs(counts[split] - share * n) <= 2
    assert {split: len(each) for split, each in ids(found).items()} == {
        "train": 96,
        "development": 16,
        "validation": 16,
        "test": 32,
    }


def test_a_group_with_one_input_cannot_be_divided() -> None:
    grouped = task(splits={**SHARES, "by": "group"}, columns={"example_id": "id", "group": "kind"})
    rows = [row(n, text=text(n), kind="many") for n in range(20)] + [row(99, kind="single")]
    with pytest.raises(UserError, match=r'1 group\(s\) of kind have one input alone.*"single" \(all.jsonl:21\)'):
        divided(grouped, rows)


def test_a_share_that_leaves_a_split_empty_is_refused() -> None:
    with pytest.raises(UserError, match=r"validation \(0.05\) would have none of the 6 inputs; expected shares of at"):
        divided(task(splits={"train": 0.75, "validation": 0.05, "test": 0.2}), [row(n, text=text(n)) for n in range(6)])


def changed(words: str, places: int) -> str:
    each = words.split()
    for place in range(places):
        each[place * 7] = "changed"
    return " ".join(each)


def test_similarity_is_the_share_of_runs_of_three_words_in_common() -> None:
    assert similarity("a b c d", "a b c d") == 1
    assert similarity("a b c d", "A  b c E") == 1 / 3
    assert similarity("a b", "a b") == 1
    assert similarity("a b", "a c") == 0
    assert similarity(text(1), text(2)) == 0


def test_pairs_above_a_threshold_are_found_among_many_others() -> None:
    texts = {f"t{n}": text(n) for n in range(300)}
    texts |= {f"near{n}": changed(text(n), 2) for n in range(100)}
    found = near_duplicates(texts, 0.7)
    expected = {f"near{n}": f"t{n}" for n in range(100)}
    assert {pair.second: pair.first for pair in found} == expected
    assert all(pair.similarity == similarity(texts[pair.first], texts[pair.second]) for pair in found)


def test_near_duplicates_of_given_splits_are_reported_and_above_a_threshold_refused() -> None:
    train = [row(1, text=text(1)), row(2, text=text(2)), row(3, text=text(3))]
    test = [row(4, text=changed(text(1), 1) + " x" * 0), row(5, text=changed(text(2), 4)), row(6, text=text(6))]
    of = task(near_duplicates={"report": 0.6, "refuse": 0.85})
    found = divide(of, map_rows(of, sources(train=train, test=test)), 0)
    assert list(zip(found.near_duplicates["example_id"], found.near_duplicates["other_example_id"], strict=True)) == [
        ("r4", "r1"),
        ("r5", "r2"),
    ]
    (fault,) = found.mapped.faults["test"]
    assert (fault.row, fault.column) == (1, "text")
    assert "nearly the same (0.9" in fault.found
    assert fault.found.endswith("as in train.jsonl:1")
    assert [each.subject.example_id for each in found.mapped.examples["test"]] == ["r5", "r6"]
    lenient = task(near_duplicates={"report": 0.6, "refuse": None})
    assert not divide(lenient, map_rows(lenient, sources(train=train, test=test)), 0).mapped.every_fault


def test_by_shares_near_duplicates_stay_together() -> None:
    rows = [row(n, text=text(n // 2) if n % 2 == 0 else changed(text(n // 2), 1)) for n in range(60)]
    found = divided(task(splits=SHARES, near_duplicates={"refuse": 0.85}), rows)
    assert len(found.near_duplicates) == 0
    for split in SPLITS:
        numbers = {int(each.subject.example_id[1:]) for each in found.mapped.examples[split]}
        assert all(n ^ 1 in numbers for n in numbers)


@pytest.mark.slow
def test_twenty_thousand_rows_are_mapped_and_split_in_ten_seconds_of_processor_time() -> None:
    rows = [row(n, text=text(n, 120)) for n in range(20_000)]
    source = {"all": raw_rows(rows, "all.jsonl")}
    of = task(splits=SHARES)
    begin = time.process_time()
    found = divide(of, map_rows(of, source), 0)
    assert time.process_time() - begin < 10
    assert len(found.mapped.examples["train"]) == 12_000
