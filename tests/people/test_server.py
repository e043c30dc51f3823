"""Rules 1, 2, 11, 22, 31 and 35 of annotation pages over real HTTP, and twenty annotators at once."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from ilf_kedro.people import CampaignError, Database, revoke
from ilf_kedro.people.campaign import add_guidelines
from ilf_kedro.people.languages import choose_language, load_languages
from ilf_kedro.people.records import list_records
from ilf_kedro.people.rendering import compare_texts, highlight
from ilf_kedro.people.serving import is_loopback, serve
from tests.support.campaigns import METHODS, ask_feedback, ask_incorporated, ask_order, gold_item, make_campaign
from tests.support.pages import ServedPage

TIME = {"page": "p", "active_ms": 1, "open_ms": 2}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedPage]:
    items = [*ask_order(1, n_methods=6), *ask_order(2), *ask_feedback(2), *ask_incorporated(1)]
    with ServedPage(make_campaign(tmp_path, items, overlap=2)) as page:
        yield page


def next_task(client: httpx2.Client) -> dict[str, object]:
    task = client.post("/api/next", json={}).raise_for_status().json()["task"]
    assert isinstance(task, dict)
    return task


def an_answer(task: dict[str, object]) -> dict[str, object]:
    kind, outputs = task["kind"], task["outputs"]
    assert isinstance(outputs, list)
    if kind == "feedback":
        return {"kind": kind, "feedback": "It says too little."}
    if kind == "incorporated":
        return {"kind": kind, "incorporated": True}
    return {"kind": kind, "ranks": {"ABCDEF"[place]: place + 1 for place in range(len(outputs))}}


def submit(client: httpx2.Client, task: dict[str, object], answer: object = None, **more: object) -> httpx2.Response:
    message = {"task": task["task"], "revision": 0, "answer": answer or an_answer(task), **TIME, **more}
    return client.post("/api/submit", json=message)


def test_the_wire_names_no_method_and_no_other_annotator(served: ServedPage) -> None:
    said = []
    for name in ("Annabella", "Benedikt"):
        client = served.client(name)
        while (reply := client.post("/api/next", json={}).json())["task"]:
            said.append(json.dumps(reply) + submit(client, reply["task"]).text)
        said += [client.get("/api/session").text, client.get("/api/history").text]
    records = served.database.do(list_records)
    secrets = {*METHODS[1:], "with_feedback", "Annabella", "Benedikt", "annotator-"}
    secrets |= {part for record in records for part in (record.annotator, record.item_id, *record.order_shown)}
    assert len(records) == 12
    assert [secret for secret in secrets if secret in "".join(said)] == []


def test_ranks_by_letter_become_ranks_of_what_stood_there(served: ServedPage) -> None:
    client = served.client()
    task = next_task(client)
    shown = ["".join(text for _, text in output["runs"]) for output in task["outputs"]]  # type: ignore[attr-defined]
    submit(client, task)
    (record,) = served.database.do(list_records)
    assert record.answer is not None
    text_of = {key: f"Text {METHODS.index(methods[0])} about 0." for key, methods in record.sources.items()}
    by_rank = sorted(record.answer.ranks, key=record.answer.ranks.get)  # type: ignore[union-attr]
    assert [text_of[key] for key in by_rank] == shown


def test_a_gold_task_looks_like_any_other(tmp_path: Path) -> None:
    with ServedPage(make_campaign(tmp_path, [gold_item(), *ask_order(8)], gold_every=2)) as served:
        client = served.client()
        shapes = set()
        while (reply := client.post("/api/next", json={}).json())["task"]:
            task = reply["task"] | {"initial_output": None}
            shapes.add((frozenset(task), len(task["task"]), len(task["outputs"])))
            submit(client, task)
        assert any(record.gold for record in served.database.do(list_records))
        assert len(shapes) == 1


def test_two_parallel_submits_over_http_give_one_row(served: ServedPage) -> None:
    client = served.client()
    task = next_task(client)
    replies: list[httpx2.Response] = []
    threads = [threading.Thread(target=lambda: replies.append(submit(client, task))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.json()["saved"] for reply in replies] == [True] * 6
    assert sum(not reply.json()["repeated"] for reply in replies) == 1
    assert len(served.database.do(list_records)) == 1
    other = submit(client, task, {"kind": "rank", "ranks": {}, "all_bad": True})
    assert (other.status_code, "answered meanwhile" in other.json()["error"]) == (409, True)


def test_without_a_link_or_with_a_revoked_one_nothing_opens(served: ServedPage) -> None:
    stranger = httpx2.Client(base_url=served.address, headers={"X-Annotation": "1"}, trust_env=False)
    client = served.client()
    assert client.get("/api/session").status_code == 200
    assert stranger.get("/api/session").status_code == 401
    assert stranger.post("/api/next", json={}).status_code == 401
    stranger.get("/enter/some-token-or-other")
    assert stranger.get("/api/session").status_code == 401
    served.database.do(revoke, "anna")
    assert client.post("/api/next", json={}).status_code == 401


def test_other_sites_and_other_names_are_refused(served: ServedPage) -> None:
    client = served.client()
    assert client.post("/api/next", json={}, headers={"X-Annotation": ""}).status_code == 403
    assert client.get("/api/session", headers={"Host": "evil.example"}).status_code == 400


def test_one_annotators_task_is_closed_to_another(served: ServedPage) -> None:
    anna, ben = served.client("anna"), served.client("ben")
    task = next_task(anna)
    assert ben.get(f"/api/task/{task['task']}").status_code == 422
    assert submit(ben, task).status_code == 422
    assert served.database.do(list_records) == []


def test_nothing_is_handed_out_before_the_instructions_are_read(served: ServedPage) -> None:
    client = served.client(read=False)
    assert client.post("/api/next", json={}).json() == {"task": None, "read_first": True}
    client.post("/api/acknowledge", json={"version": 1}).raise_for_status()
    submit(client, next_task(client)).raise_for_status()
    served.database.do(add_guidelines, "Be fairer.")
    assert client.post("/api/next", json={}).json()["task"] is None
    assert client.get("/api/session").json()["instructions"] == {
        "version": 2,
        "text": "Be fairer.",
        "acknowledged": False,
    }


@pytest.mark.parametrize("size", [60_000, 2_000_000])
def test_too_much_text_is_refused_and_the_draft_stays(tmp_path: Path, size: int) -> None:
    with ServedPage(make_campaign(tmp_path, ask_feedback(1))) as served:
        client = served.client()
        task = next_task(client)
        draft = {"task": task["task"], "revision": 0, "sequence": 1, "body": {"feedback": "so far"}}
        client.post("/api/draft", json=draft).raise_for_status()
        reply = submit(client, task, {"kind": "feedback", "feedback": "x" * size})
        assert reply.status_code == 413
        assert "at most" in reply.json()["error"] or "shorten" in reply.json()["error"]
        kept = next_task(client)["draft"]
        assert kept == {"body": '{"feedback": "so far"}', "sequence": 1}


@pytest.mark.parametrize(
    ("message", "status"),
    [({}, 422), ({"answer": {"kind": "feedback"}}, 422), ({"colour": "red"}, 422), ({"active_ms": -1}, 422)],
)
def test_a_broken_message_is_answered_in_one_sentence(
    served: ServedPage, message: dict[str, object], status: int
) -> None:
    client = served.client()
    task = next_task(client)
    reply = submit(client, task, **message) if message else client.post("/api/submit", content=b"{")
    assert reply.status_code == status
    assert "\n" not in reply.json()["error"]
    assert served.database.do(list_records) == []


def test_what_the_page_called_saved_survives_a_kill_of_the_server(tmp_path: Path) -> None:
    make_campaign(tmp_path, ask_feedback(50)).close()
    script = f"""
import pathlib
from ilf_kedro.people import Database
from tests.support.pages import ServedPage
served = ServedPage(Database(pathlib.Path({str(tmp_path / "trial.sqlite")!r})))
print(served.link(), flush=True)
served._thread.join()
"""
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    link = process.stdout.readline().strip()
    saved = []
    killer = threading.Timer(0.7, process.kill)
    with httpx2.Client(headers={"X-Annotation": "1"}, follow_redirects=True, trust_env=False) as client:
        client.base_url = link.split("/enter/")[0]
        client.get(link)
        killer.start()
        try:
            while True:
                task = next_task(client)
                answer = {"kind": "feedback", "feedback": f"number {len(saved)}"}
                if submit(client, task, answer).json().get("saved"):
                    saved.append(answer["feedback"])
        except (httpx2.TransportError, httpx2.HTTPStatusError, AssertionError):
            pass
    process.wait()
    kept = [record.answer.feedback for record in Database(tmp_path / "trial.sqlite").do(list_records)]  # type: ignore[union-attr]
    assert saved
    # The last one may be on disk although its reply was lost; none is missing, none is there twice.
    assert kept[: len(saved)] == saved
    assert len(kept) - len(saved) in (0, 1)


def test_a_server_for_others_does_not_start_without_links(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    with pytest.raises(CampaignError, match=r"--host 0\.0\.0\.0 lets others"):
        serve(database, host="0.0.0.0")
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.1.2.3", "name")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.slow
def test_twenty_annotators_lose_nothing_and_wait_little(tmp_path: Path) -> None:
    items = [*ask_order(60, n_methods=6), *ask_order(60), *ask_feedback(60)]
    waits: list[float] = []
    with ServedPage(make_campaign(tmp_path, items, overlap=2)) as served:
        clients = [served.client(f"annotator {number}") for number in range(20)]

        def timed(client: httpx2.Client, path: str, message: object) -> httpx2.Response:
            began = time.perf_counter()
            reply = client.post(path, json=message).raise_for_status()
            waits.append(time.perf_counter() - began)
            return reply

        def work(client: httpx2.Client) -> None:
            while task := timed(client, "/api/next", {}).json()["task"]:
                for sequence in (1, 2):
                    draft = {"task": task["task"], "revision": 0, "sequence": sequence, "body": {"comment": "draft"}}
                    timed(client, "/api/draft", draft)
                message = {"task": task["task"], "revision": 0, "answer": an_answer(task), **TIME}
                timed(client, "/api/submit", message)

        threads = [threading.Thread(target=work, args=[client]) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        records = served.database.do(list_records)
    pairs = {(record.item_id, record.annotator) for record in records}
    assert len(records) == len(pairs) == 360
    assert statistics.median(waits) < 0.2


@pytest.mark.parametrize(
    "code", ["def f(x):\n\treturn 'é' # no\n", "\n\n x = 1\r\n", "", "print(`unclosed", "a\x0cb\u2028"]
)
@pytest.mark.parametrize("language", ["python", "text", "no such language", None, "javascript"])
def test_highlighted_code_is_the_code(code: str, language: str | None) -> None:
    assert "".join(text for _, text in highlight(code, language)) == code


def test_highlighting_tells_a_keyword_from_a_comment() -> None:
    runs = dict(map(reversed, highlight("def f(): # why\n    return 'x'", "python")))  # type: ignore[arg-type]
    assert (runs["# why"], runs["'x'"], runs["f"]) == ("comment", "string", "name")


@pytest.mark.parametrize(
    ("old", "new"), [("a b c", "a c d"), ("", "new"), ("old", ""), ("x " * 4000, "x " * 3999 + "y ")]
)
def test_changes_hold_both_texts(old: str, new: str) -> None:
    runs = compare_texts(old, new)
    assert "".join(text for kind, text in runs if kind != "added") == old
    assert "".join(text for kind, text in runs if kind != "removed") == new


def test_a_language_file_of_ones_own_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    english = (Path(load_languages.__code__.co_filename).parent / "en.yml").read_text(encoding="utf-8")
    (tmp_path / "fr.yml").write_text(english.replace("language: English", "language: Français"), encoding="utf-8")
    words = load_languages(tmp_path)
    assert (sorted(words), words["fr"]["language"]) == (["de", "en", "fr"], "Français")
    broken = english.replace("saved: Saved.\n", "").replace("{done} done, {left} left", "{done} fait") + "colour: red\n"
    (tmp_path / "fr.yml").write_text(broken.replace('answer_yes: "Yes"', "answer_yes: yes"), encoding="utf-8")
    with pytest.raises(CampaignError) as error:
        load_languages(tmp_path)
    for fault in (
        "saved is missing",
        "colour is unknown",
        "progress needs {done} {left}",
        "answer_yes is True, no text",
    ):
        assert fault in str(error.value)


def test_the_language_is_the_annotators_else_the_browsers() -> None:
    known = load_languages()
    assert choose_language("de", "en-GB", known, "en") == "de"
    assert choose_language(None, "fr-FR, de-AT;q=0.8, en;q=0.5", known, "en") == "de"
    assert choose_language(None, "", known, "de") == "de"
