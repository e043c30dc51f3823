"""Rules 29 and 34 of annotation pages, and what a campaign's file can be instead of one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from ilf_kedro.people import CampaignError, Database, FeedbackAnswer, erase, revoke
from ilf_kedro.people.annotators import acknowledge, find_by_token, get_annotator, invite
from ilf_kedro.people.assignment import claim
from ilf_kedro.people.campaign import add_guidelines
from ilf_kedro.people.records import list_records, to_lines
from ilf_kedro.people.submissions import submit
from tests.support.campaigns import add_annotator, ask_feedback, make_campaign

NAME = "Annabella Unmistakable"


def test_a_second_process_that_would_serve_is_refused(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    lock = database.serve_alone()
    script = (
        "import pathlib, sys; from ilf_kedro.people import Database, CampaignError\n"
        "try: Database(pathlib.Path(sys.argv[1])).serve_alone()\n"
        "except CampaignError as error: sys.exit(str(error))"
    )
    run = subprocess.run([sys.executable, "-c", script, database.path], capture_output=True, text=True, check=False)
    assert "another process serves" in run.stderr
    lock.release()
    assert subprocess.run([sys.executable, "-c", script, database.path], check=False).returncode == 0


def test_an_erased_name_is_gone_from_file_log_and_exports(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(2))
    anna = add_annotator(database, NAME)
    task = database.do(claim, anna)
    assert task is not None
    database.do(submit, anna, task.assignment_id, FeedbackAnswer(feedback="Good."), base_revision=0)

    def holding() -> list[str]:
        return [file.name for file in tmp_path.iterdir() if NAME.encode() in file.read_bytes()]

    assert holding()  # it is in the log or the file until then
    erase(database, NAME)
    assert holding() == []
    records = database.do(list_records)
    assert len(records) == 1
    assert NAME not in to_lines(records)
    with pytest.raises(CampaignError, match="no annotator"):
        database.do(get_annotator, NAME)


def test_erasing_with_the_answers_removes_them(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(2))
    anna = add_annotator(database, NAME)
    task = database.do(claim, anna)
    assert task is not None
    database.do(submit, anna, task.assignment_id, FeedbackAnswer(feedback="unmistakable words"), base_revision=0)
    erase(database, NAME, answers=True)
    assert database.do(list_records) == []
    assert not any(b"unmistakable words" in file.read_bytes() for file in tmp_path.iterdir())
    ben = add_annotator(database, "ben")
    again = database.do(claim, ben)
    assert again is not None
    assert again.item.item_id == task.item.item_id


def test_a_revoked_link_and_an_older_one_open_nothing(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(1))
    old = database.do(invite, "anna")
    new = database.do(invite, "anna")
    assert database.do(find_by_token, old) is None
    assert database.do(find_by_token, new) is not None
    database.do(revoke, "anna")
    assert database.do(find_by_token, new) is None
    assert all(token.encode() not in file.read_bytes() for file in tmp_path.iterdir() for token in (old, new))


def test_new_instructions_must_be_acknowledged_anew(tmp_path: Path) -> None:
    database = make_campaign(tmp_path, ask_feedback(2))
    anna = add_annotator(database)
    database.do(acknowledge, anna, 1)
    assert database.do(add_guidelines, "Be fairer.") == 2
    with pytest.raises(CampaignError, match="now version 2"):
        database.do(acknowledge, anna, 1)
    versions = []
    for version in (None, 2):
        if version:
            database.do(acknowledge, anna, version)
        task = database.do(claim, anna)
        assert task is not None
        database.do(submit, anna, task.assignment_id, FeedbackAnswer(nothing_to_say=True), base_revision=0)
        versions.append(database.do(list_records)[-1].guideline_version)
    assert versions == [1, 2]


def test_a_file_that_is_no_campaign_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE x (y)").connection.commit()
    text = tmp_path / "text.sqlite"
    text.write_text("no database, but long enough to be taken for one " * 30)
    for path, message in [(other, "format is 0"), (text, "cannot be read"), (tmp_path / "none", "is not there")]:
        with pytest.raises(CampaignError, match=message) as error:
            Database(path)
        assert str(path) in str(error.value)


def test_an_existing_campaign_is_not_made_again(tmp_path: Path) -> None:
    make_campaign(tmp_path, ask_feedback(1))
    with pytest.raises(CampaignError, match="is there already"):
        make_campaign(tmp_path, ask_feedback(1))


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = namedtuple("partition", "mountpoint fstype")
    mounts = [partition("/", "ext4"), partition(str(tmp_path), "nfs4")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda *, all: mounts)  # noqa: A006
    with pytest.raises(CampaignError, match="network file system"):
        make_campaign(tmp_path, ask_feedback(1))
