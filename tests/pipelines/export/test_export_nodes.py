"""What is exported, record by record; that trl trains on it is in test_export_trl.py."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pandera.errors
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro_datasets.pandas import JSONDataset
from kedro_datasets.text import TextDataset

from ilf_kedro.pipelines.export import create_pipeline
from ilf_kedro.pipelines.export.nodes import (
    export_chat,
    export_openai_chat,
    export_preferences,
    export_privileged,
    export_reward_pairs,
    export_supervised,
)
from ilf_kedro.pipelines.export.options import ExportOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import Message, PromptTemplate, messages_to_json
from ilf_kedro.schemas import ChatRecords, Selections, Targets, UserError
from tests.support import example_tables
from tests.support.example_tables import examples

ROOT = Path(__file__).parents[3]
POLICY = PromptTemplate(text="{{ title }}/{{ post }} TL;DR:")
PRIVILEGED = PromptTemplate(text="was {{ initial_output }}; they said {{ feedback }}")
RANDOM = SelectionOptions(target_scorer="random")


def targets(*texts: str) -> pd.DataFrame:
    rows = [(f"train-{i}", None if i else "T", f"post {i}", text) for i, text in enumerate(texts)]
    return Targets.validate(pd.DataFrame(rows, columns=["example_id", "title", "post", "target"]))


def selections(**texts: str) -> pd.DataFrame:
    rows = [(i.replace("_", "-"), "refinement_with_feedback", "random", 0, 0.5, text) for i, text in texts.items()]
    others = [("train-0", "refinement_without_feedback", "random", 0, 0.5, "X"), ("train-0", *rows[0][1:2], "longest")]
    rows += [others[0], (*others[1], 0, 0.5, "Y")]
    return Selections.from_rows(rows)


def comparisons(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return example_tables.comparisons(rows, example_id=[f"c{i}" for i in range(len(rows))], title="T", post="p")


def test_targets_become_completions_and_conversations() -> None:
    supervised = export_supervised(targets("A.", "B."), POLICY)
    assert supervised.to_dict("records")[0] == {
        "example_id": "train-0",
        "prompt": "T/post 0 TL;DR:",
        "completion": " A.",
    }
    messages = [{"role": "user", "content": "/post 1 TL;DR:"}, {"role": "assistant", "content": "B."}]
    lines = [json.loads(line) for line in export_chat(targets("A.", "B."), POLICY).splitlines()]
    assert lines[1] == {"messages": messages, "example_id": "train-1"}


def test_conversations_keep_their_turns() -> None:
    talk = [Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Why?")]
    rows = targets("A.").assign(post=messages_to_json(talk))
    (line,) = export_chat(rows, PromptTemplate(text="{{ post }}")).splitlines()
    turns = [("user", "Hi"), ("assistant", "Yes?"), ("user", "Why?"), ("assistant", "A.")]
    assert json.loads(line)["messages"] == [{"role": role, "content": content} for role, content in turns]


def test_openai_s_conversations_hold_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    lines = [json.loads(line) for line in export_openai_chat(targets("A.", "B."), POLICY).splitlines()]
    assert [list(line) for line in lines] == [["messages"], ["messages"]]
    assert "no fewer than 10 conversations, and the file has 2" in caplog.text
    caplog.clear()
    export_openai_chat(targets(*"abcdefghij"), POLICY)
    assert not caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        "a text",
        [],
        [{"role": "user", "content": "q"}],
        [{"role": "assistant", "content": "a"}, {"role": "user", "content": "q"}],
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": ""}],
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "name": "x"}],
    ],
)
def test_what_is_no_conversation_is_refused(wrong: object) -> None:
    with pytest.raises(pandera.errors.SchemaError, match="assistant's message"):
        ChatRecords.validate(pd.DataFrame({"messages": [wrong], "example_id": ["a"]}))


def test_the_chosen_refinement_is_preferred_to_the_initial_output(caplog: pytest.LogCaptureFixture) -> None:
    table = examples(4)
    chosen = selections(train_0="Better.", train_1="", train_2=" initial 2", train_3="Best.")
    pairs = export_preferences(table, chosen, POLICY, RANDOM)
    assert list(pairs["example_id"]) == ["train-0", "train-3"]
    assert list(pairs.loc[0, ["prompt", "chosen", "rejected"]]) == ["title 0/post 0 TL;DR:", " Better.", " initial 0"]
    assert "2 of 4 examples give no preference pairs" in caplog.text
    with pytest.raises(UserError, match="no preference pairs"):
        export_preferences(table, selections(train_0=""), POLICY, RANDOM)


def test_comparisons_are_ordered_by_preference_with_the_prompt_apart_and_within() -> None:
    explicit, implicit = export_reward_pairs(comparisons(("x", "y", "a"), ("x", "y", "b"), ("z", "z ", "a")), POLICY)
    assert explicit[["chosen", "rejected"]].to_numpy().tolist() == [[" x", " y"], [" y", " x"]]
    assert implicit["chosen"].tolist() == ["T/p TL;DR: x", "T/p TL;DR: y"]
    assert (implicit["rejected"] == explicit["prompt"] + explicit["rejected"]).all()


def test_only_the_teacher_sees_the_feedback() -> None:
    table = examples(3, feedback=["too long", None, " "])
    records = export_privileged(table, POLICY, PRIVILEGED)
    assert records.to_dict("records") == [
        {
            "example_id": "train-0",
            "prompt": "title 0/post 0 TL;DR:",
            "privileged_context": "was initial 0; they said too long",
            "teacher_prompt": "title 0/post 0 TL;DR:\n\nwas initial 0; they said too long",
        }
    ]
    with pytest.raises(UserError, match="all 1 examples have no initial output, or no feedback"):
        export_privileged(examples(1, feedback=None), POLICY, PRIVILEGED)


def test_openai_s_files_are_written_where_asked() -> None:
    plain = create_pipeline(["refinements"], 8, ExportOptions())
    asked = create_pipeline(["refinements"], 8, ExportOptions(openai_chat=True))
    assert asked.all_outputs() - plain.all_outputs() == {"export.openai_chat.refinements"}
    assert "finetune.refinements.n8.targets" in plain.inputs()


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=4))
def test_any_text_comes_back_from_its_line(texts: list[str]) -> None:
    """As the catalog saves them, whatever line ends, quotes or slashes a text has."""
    written = [f"{text}x" for text in texts]
    supervised = export_supervised(targets(*written), POLICY)
    file = str(_FOLDER / "records.jsonl")
    JSONDataset(filepath=file, save_args=SAVE).save(supervised)
    assert lines_of(Path(file).read_bytes()) == supervised.to_dict("records")
    pd.testing.assert_frame_equal(JSONDataset(filepath=file, load_args=LOAD).load(), supervised, check_dtype=False)

    text = export_chat(targets(*written), POLICY)
    TextDataset(filepath=file, fs_args=FS).save(text)
    assert TextDataset(filepath=file, fs_args=FS).load() == text
    assert [line["messages"][1]["content"] for line in lines_of(Path(file).read_bytes())] == written


def lines_of(content: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in content.decode("utf-8").removesuffix("\n").split("\n")]


_ENTRIES = yaml.safe_load((ROOT / "conf/base/catalog_export.yml").read_text("utf-8"))
SAVE, LOAD = _ENTRIES["_lines"]["save_args"], _ENTRIES["_lines"]["load_args"]
FS = _ENTRIES["_text"]["fs_args"]


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _FOLDER
    _FOLDER = tmp_path_factory.mktemp("export")
