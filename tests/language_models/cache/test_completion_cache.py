"""The completion cache: what is committed survives kills, damage, forks and other processes."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.language_models.cache import database
from ilf_kedro.language_models.cache.completion_cache import CacheUnavailableError, CompletionCache, cache_key


@pytest.fixture
def cache(tmp_path: Path) -> CompletionCache:
    return CompletionCache(tmp_path / "new" / "folder" / "completions.sqlite")


def keys(count: int, prefix: str = "k") -> list[str]:
    return [cache_key(prefix=prefix, index=index) for index in range(count)]


def fill(cache: CompletionCache, count: int, size: int = 300) -> dict[str, str]:
    items = {key: json.dumps({"text": key * (size // 64)}) for key in keys(count)}
    cache.put_many(items)
    return items


def test_nothing_is_made_before_the_first_use(cache: CompletionCache) -> None:
    assert cache.size() == 0
    assert cache.get_many([]) == {}
    assert not cache.path.parent.exists()


def test_values_come_back_and_look_ups_are_counted(cache: CompletionCache) -> None:
    cache.put_many({"a": '{"text": "ä 🙂\\u0000"}', "b": "[1]"})
    assert cache.get_many(["b", "a", "c", "a"]) == {"a": '{"text": "ä 🙂\\u0000"}', "b": "[1]"}
    assert (cache.hits, cache.misses) == (3, 1)
    again = CompletionCache(cache.path)
    assert again.get_many(["c"]) == {}
    assert (again.hits, again.misses) == (0, 1)
    statistics = again.statistics()
    assert (statistics.entries, statistics.hits, statistics.misses) == (2, 3, 2)
    assert statistics.hit_rate == pytest.approx(0.6)
    assert statistics.n_bytes == again.size() > 0


def test_hit_rate_is_unknown_before_the_first_look_up(cache: CompletionCache) -> None:
    assert cache.statistics().hit_rate is None


def test_the_first_value_of_a_key_stays(cache: CompletionCache) -> None:
    cache.put_many({"a": "1"})
    cache.put_many({"a": "2", "b": "3"})
    assert cache.get_many(["a", "b"]) == {"a": "1", "b": "3"}


def test_many_keys_at_once(cache: CompletionCache) -> None:
    items = fill(cache, 40_000, size=64)  # more than SQLite's limit on variables of a statement
    assert cache.get_many(list(items)) == items


@given(
    st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_key_does_not_depend_on_the_order_of_parts(parts: dict[str, object]) -> None:
    reordered = dict(reversed(parts.items()))
    assert cache_key(parts=parts) == cache_key(parts=reordered)  # type: ignore[arg-type]
    assert cache_key(parts=parts) != cache_key(parts={**parts, "one more": 1})  # type: ignore[arg-type, dict-item]


def test_key_tells_types_apart_and_refuses_what_json_lacks() -> None:
    distinct = [cache_key(a=value) for value in (1, "1", 1.0, True, None, [1], {"1": 1})]
    assert len(set(distinct)) == len(distinct)
    assert cache_key(a=1, b=2) == cache_key(b=2, a=1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        cache_key(a=float("nan"))
    with pytest.raises(TypeError):
        cache_key(a=object())  # type: ignore[arg-type]


WRITER = """
import sys
from pathlib import Path
from ilf_kedro.language_models.cache.completion_cache import CompletionCache, cache_key
cache = CompletionCache(Path(sys.argv[1]))
for index in range(1_000_000):
    cache.put_many({cache_key(index=index, part=part): "x" * 2000 for part in range(3)})
    print(index, flush=True)
"""


@pytest.mark.parametrize("kill_after", [1, 50, 300])
def test_everything_committed_survives_sigkill(cache: CompletionCache, kill_after: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(cache.path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert writer.stdout is not None
    said = [int(writer.stdout.readline()) for _ in range(kill_after)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    said += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    promised = [cache_key(index=index, part=part) for index in said for part in range(3)]
    assert set(cache.get_many(promised)) == set(promised)
    assert not list(cache.path.parent.glob("*damaged*"))
    # A transaction is whole or absent, the one that was cut included.
    following = [cache_key(index=said[-1] + 1, part=part) for part in range(3)]
    assert len(cache.get_many(following)) in (0, 3)
    cache.put_many({"after": "1"})
    assert cache.get_many(["after"]) == {"after": "1"}


def _write_range(path: Path, start: int) -> None:
    cache = CompletionCache(path)
    for index in range(start, start + 200):
        cache.put_many({f"{index}": f"{start}"})
        cache.get_many([f"{index}"])


def test_two_processes_share_the_file(cache: CompletionCache) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_range, args=(cache.path, start)) for start in (0, 100)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert set(cache.get_many([str(index) for index in range(300)])) == {str(index) for index in range(300)}
    assert cache.statistics().hits == 400 + 300


def test_threads_share_one_object(cache: CompletionCache) -> None:
    def work(number: int) -> None:
        for index in range(50):
            cache.put_many({f"{number}-{index}": "1"})
            cache.get_many([f"{number}-{index}", f"no {number}-{index}"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache.hits, cache.misses) == (300, 300)
    assert cache.statistics().entries == 300


def test_pickles_as_its_path_even_when_open(cache: CompletionCache) -> None:
    cache.put_many({"a": "1"})
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.path == cache.path
    assert copy.hits == 0
    assert copy.get_many(["a"]) == {"a": "1"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_opens_its_own_connection(cache: CompletionCache) -> None:
    cache.put_many({"parent": "1"})
    context = multiprocessing.get_context("fork")
    child = context.Process(target=cache.put_many, args=({"child": "2"},))
    child.start()
    child.join()
    assert child.exitcode == 0
    cache.put_many({"parent again": "3"})
    assert set(cache.get_many(["parent", "child", "parent again"])) == {"parent", "child", "parent again"}


def test_a_file_that_is_no_database_is_set_aside(cache: CompletionCache, caplog: pytest.LogCaptureFixture) -> None:
    cache.path.parent.mkdir(parents=True)
    for number in (1, 2):
        cache.close()
        cache.path.write_bytes(b"not a database at all " * 100)
        for log in cache.path.parent.glob("*-wal"):
            log.unlink()
        with caplog.at_level(logging.WARNING):
            assert cache.get_many(["a"]) == {}
        cache.put_many({"a": "1"})
        assert cache.get_many(["a"]) == {"a": "1"}
        assert cache.path.with_name(f"{cache.path.name}.damaged-{number}").read_bytes().startswith(b"not a database")
        assert f"damaged-{number}" in caplog.text


def test_what_is_readable_of_a_damaged_file_is_rescued(
    cache: CompletionCache, caplog: pytest.LogCaptureFixture
) -> None:
    items = fill(cache, 2000)
    cache.close()
    content = bytearray(cache.path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = os.urandom(20_000)
    cache.path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        found = cache.get_many(list(items))
    assert "set aside" in caplog.text
    assert 1500 < len(found) < 2000
    assert all(items[key] == value for key, value in found.items())
    cache.put_many(items)
    assert cache.get_many(list(items)) == items


@pytest.mark.parametrize("seed", range(8))
def test_a_file_with_flipped_bytes_gives_true_values_or_is_refused(cache: CompletionCache, seed: int) -> None:
    values = {f"key-{index}": f'"value {index}"' for index in range(300)}
    cache.put_many(values)
    cache.close()
    content, rng = bytearray(cache.path.read_bytes()), random.Random(seed)
    for _ in range(400):
        content[rng.randrange(100, len(content) if seed else 4096)] ^= 0xFF  # the first page holds the schema
    cache.path.write_bytes(content)
    try:
        assert cache.get_many([*values]).items() <= values.items()
    except CacheUnavailableError as error:  # the names of its columns are garbled
        assert "columns" in str(error)  # noqa: PT017
        return
    cache.put_many(values)
    assert cache.get_many([*values]) == values


def test_half_a_surrogate_pair_is_kept_as_json_says_it(cache: CompletionCache) -> None:
    cache.put_many({"key": '"Hi \ud83d"'})
    assert json.loads(cache.get_many(["key"])["key"]) == "Hi \ud83d"


def test_a_truncated_file_is_set_aside(cache: CompletionCache) -> None:
    items = fill(cache, 500)
    cache.close()
    content = cache.path.read_bytes()
    cache.path.write_bytes(content[: len(content) // 3])
    found = cache.get_many(list(items))
    assert found.items() <= items.items()
    cache.put_many(items)
    assert cache.get_many(list(items)) == items
    assert list(cache.path.parent.glob("*.damaged-1"))


def test_a_garbled_value_counts_as_missing_and_can_be_written_again(cache: CompletionCache) -> None:
    cache.put_many({"a": "12345", "b": "1"})
    cache.close()
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE completions SET value = '12845' WHERE key = 'a'")
    connection.close()
    assert cache.get_many(["a", "b"]) == {"b": "1"}
    cache.put_many({"a": "12345"})
    assert cache.get_many(["a"]) == {"a": "12345"}


OWN_COLUMNS = "key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL, last_used_day INTEGER NOT NULL"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("CREATE TABLE users (name TEXT)", r"holds the tables \['users'\], which are another program's"),
        ("CREATE TABLE completions (foo TEXT)", r"columns \['foo'\], a completion cache has \['key', 'value'"),
        (f"CREATE TABLE completions ({OWN_COLUMNS}, extra TEXT NOT NULL)", r"'last_used_day', 'extra'\]"),
    ],
)
def test_a_database_of_another_kind_is_refused_and_stays(cache: CompletionCache, made: str, message: str) -> None:
    cache.path.parent.mkdir(parents=True)
    other = sqlite3.connect(cache.path)
    other.execute(made)
    other.commit()
    other.close()
    before = cache.path.read_bytes()
    with pytest.raises(CacheUnavailableError, match=message + ".*name another path"):
        cache.put_many({"a": "1"})
    assert cache.path.read_bytes() == before


def test_an_answer_that_the_file_does_not_take_is_not_lost_in_silence(cache: CompletionCache) -> None:
    cache.put_many({"a": "1"})
    other = sqlite3.connect(cache.path)
    other.execute("CREATE TRIGGER no BEFORE INSERT ON completions BEGIN SELECT RAISE(ABORT, 'no more'); END")
    other.commit()
    other.close()
    with pytest.raises(CacheUnavailableError, match="no more"):
        cache.put_many({"b": "2"})


@pytest.mark.parametrize("values", ["value = x'00ff'", "checksum = 'x'", "value = 5, checksum = 5"])
def test_a_value_of_another_type_counts_as_missing(cache: CompletionCache, values: str) -> None:
    cache.put_many({"a": "1", "b": "2"})
    other = sqlite3.connect(cache.path)
    other.execute(f"UPDATE completions SET {values} WHERE key = 'a'")
    other.commit()
    other.close()
    assert cache.get_many(["a", "b"]) == {"b": "2"}
    cache.put_many({"a": "1"})
    assert cache.get_many(["a"]) == {"a": "1"}


def test_a_locked_file_is_called_so(cache: CompletionCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put_many({"a": "1"})
    cache.close()
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(cache.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CacheUnavailableError, match=r"locked for 0.1 seconds: end that process"):
        cache.get_many(["a"])
    other.execute("ROLLBACK")
    other.close()
    assert cache.get_many(["a"]) == {"a": "1"}


def test_what_nobody_can_read_makes_room_for_a_new_value(cache: CompletionCache) -> None:
    cache.put_many({"a": "1"})
    cache.drop(["a"])
    cache.put_many({"a": "2"})
    assert cache.get_many(["a"]) == {"a": "2"}


def test_a_file_removed_while_open_is_begun_anew(cache: CompletionCache) -> None:
    cache.put_many({"a": "1"})
    for file in cache.path.parent.iterdir():
        file.unlink()
    assert cache.get_many(["a"]) == {}
    cache.put_many({"a": "2"})
    assert CompletionCache(cache.path).get_many(["a"]) == {"a": "2"}


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CacheUnavailableError, match=r"folder.*writable file on a local disk") as caught:
        CompletionCache(tmp_path / "folder").get_many(["a"])
    assert str(tmp_path / "folder") in str(caught.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheUnavailableError):
        CompletionCache(tmp_path / "file" / "below").put_many({"a": "1"})


def test_prune_deletes_what_was_not_used_lately(cache: CompletionCache, monkeypatch: pytest.MonkeyPatch) -> None:
    items = fill(cache, 1000)
    before = cache.size()
    recent = list(items)[:10]
    now = time.time()
    monkeypatch.setattr(database.time, "time", lambda: now + 20 * 86_400)
    cache.get_many(recent)
    monkeypatch.setattr(database.time, "time", lambda: now + 40 * 86_400)
    assert cache.prune(older_than_days=41) == 0
    assert cache.prune(older_than_days=30) == 990
    assert set(cache.get_many(list(items))) == set(recent)
    assert cache.size() < before / 5
    with pytest.raises(ValueError, match="0 or more"):
        cache.prune(-1)
