"""Published data sets and annotation tools' exports are mapped by YAML alone; the rows are our own, in their shape."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ilf_kedro.schemas import RawRows, raw_rows
from ilf_kedro.tasks import Mapped, Task, divide, examples_table, fields_of, map_rows
from ilf_kedro.tasks.reading import read_bytes
from ilf_kedro.verifiers import Row, passes_tests
from tests.support.own_task_page import formats

CONF = Path(__file__).parents[2] / "conf"


def shipped(environment: str) -> Task:
    parameters = yaml.safe_load((CONF / environment / "parameters_task.yml").read_text("utf-8"))
    return Task.model_validate(parameters["task"])


def documented(heading: str) -> Task:
    """The mapping as it stands on docs/own_task.md."""
    return Task.model_validate(yaml.safe_load(formats()[heading])["task"])


def whole(task: Task, rows: dict[str, RawRows], apart: dict[str, RawRows] | None = None) -> Mapped:
    found = map_rows(task, rows, apart)
    assert [f"{each.column}: {each.found}; {each.expected}" for each in found.every_fault] == []
    return found


def turns(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(contents)]


def test_helpsteer3_by_its_shipped_mapping() -> None:
    row = {
        "domain": "stem",
        "language": "english",
        "context": turns("What is mass?", "A property.", "Of what?"),
        "response1": "Of bodies.",
        "response2": "Of matter, which resists being moved.",
        "feedback1": ["Too short.", "It does not explain anything."],
        "feedback2": ["Good."],
    }
    pairs = [
        {**{name: row[name] for name in ("domain", "language", "context", "response1", "response2")}, **scores}
        for scores in (
            {"overall_preference": 2, "individual_preference": [{"score": 2, "reasoning": "More.", "feedback1": None}]},
            {"overall_preference": 0, "individual_preference": []},
            {"overall_preference": -1, "individual_preference": []},
        )
    ]
    found = whole(
        shipped("helpsteer3"),
        {
            "train": raw_rows([row], "feedback/train.jsonl.gz"),
            "validation": raw_rows([], "feedback/validation.jsonl.gz"),
        },
        {"train": raw_rows(pairs, "preference/train.jsonl.gz")},
    )
    examples = found.examples["train"]
    assert [each.feedback for each in examples] == ["Too short.", "It does not explain anything."]
    assert len({each.subject.input_id for each in examples}) == 1
    assert json.loads(examples[0].subject.inputs["request"] or "")[2] == {"role": "user", "content": "Of what?"}
    assert [each.preference.preferred for each in found.comparisons["train"]] == ["b", "a"]
    assert {each.subject.input_id for each in found.comparisons["train"]} == {examples[0].subject.input_id}


def test_ultrafeedback_by_its_shipped_mapping() -> None:
    rows = [
        {
            "source": ("evol_instruct", "sharegpt")[n % 2],
            "instruction": f"Explain how a machine with the number {n} works, and what it is for.",
            "models": ["one", "two"],
            "completions": [
                {"model": name, "response": f"{name} {n}", "critique": f"Say more, {name}.", "overall_score": 5.0}
                for name in ("one", "two")
            ],
            "correct_answers": ["None"],
            "incorrect_answers": ["None"],
        }
        for n in range(200)
    ]
    task = shipped("ultrafeedback")
    found = divide(task, whole(task, {"all": raw_rows(rows, "all")}), 0).mapped
    assert {split: len(each) for split, each in found.examples.items()} == {
        "train": 360,
        "development": 8,
        "validation": 12,
        "test": 20,
    }
    example = found.examples["train"][0]
    assert example.feedback in ("Say more, one.", "Say more, two.")
    assert example.subject.annotator == "GPT-4"


def test_more_posts_by_their_shipped_mapping() -> None:
    prompt = "SUBREDDIT: r/dogs\n\nTITLE: A dog, who eats\n\nPOST: It eats.\n\nPOST: no more.\n\nTL;DR:"
    rows = pa.Table.from_pylist([{"prompt": prompt, "completion": " My dog eats\nall."}])
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    source = read_bytes("data/train-00000-of-00001.parquet", buffer.getvalue())
    (example,) = whole(shipped("more_posts"), {"train": source}).examples["train"]
    assert example.subject.inputs == {"title": "A dog, who eats", "post": "It eats.\n\nPOST: no more."}
    assert (example.reference, example.subject.group, example.feedback) == ("My dog eats\nall.", "dogs", None)


def test_mbpp_by_its_shipped_mapping() -> None:
    row = {
        "task_id": 601,
        "text": "Write a function to double a number.",
        "code": "def double(n):\r\n  return 2 * n",
        "test_list": ["assert double(2) == 4", "assert double(0) == 0"],
        "test_setup_code": "import math",
        "challenge_test_list": [],
    }
    own = {"initial_program": "def double(n):\n  return n", "feedback": "Double it.", "corrected_program": None}
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{**row, "task_id": 11, "text": "Halve a number."}]), buffer)
    task = shipped("code_mbpp")
    rows = {
        "train": raw_rows([{**row, **own}], "train.jsonl"),
        "validation": raw_rows([], "validation"),
        "test": read_bytes("full/test-00000-of-00001.parquet", buffer.getvalue()),
    }
    mapped = whole(task, rows)
    (example,), (held_out,) = mapped.examples["train"], mapped.examples["test"]
    problem = "Write a function to double a number.\nThe program must pass these tests:\nassert double(2) == 4\n"
    assert example.subject.inputs["problem"] == f"{problem}assert double(0) == 0"
    assert (example.subject.example_id, example.feedback) == ("601", "Double it.")
    assert example.reference == held_out.reference == "def double(n):\n  return 2 * n"
    assert held_out.subject.example_id == "11"
    fields = fields_of(task, examples_table(task, "test", mapped.examples["test"]).to_dict("records")[0])
    parameters = yaml.safe_load((CONF / "code_mbpp" / "parameters.yml").read_text("utf-8"))
    arguments = parameters["selection"]["verifier"]["arguments"]
    assert passes_tests(Row(example.reference, fields=fields), **arguments) == 1
    assert passes_tests(Row("def double(n):\n  return n", fields=fields), **arguments) == 0.5


def test_an_argilla_export() -> None:
    task = documented("Argilla")
    record = {
        "id": "a1",
        "fields": {"article": "Rain fell.", "summary": "Rain."},
        "metadata": {},
        "responses": [
            {"user_id": "u1", "status": "submitted", "values": {"feedback": {"value": "Say where."}}},
            {"user_id": "u2", "status": "submitted", "values": {"feedback": {"value": "Say when."}}},
        ],
    }
    waiting = {**record, "id": "a2", "fields": {"article": "Snow fell.", "summary": "Snow."}, "responses": []}
    found = whole(task, {"train": raw_rows([record, waiting], "argilla.jsonl")})
    examples = found.examples["train"]
    assert [(e.subject.example_id, e.subject.annotator, e.feedback) for e in examples] == [
        ("a1-1", "u1", "Say where."),
        ("a1-2", "u2", "Say when."),
    ]
    assert found.n_without_members == 1


def test_a_label_studio_export() -> None:
    task = documented("Label Studio")
    result = [
        {"from_name": "quality", "type": "rating", "value": {"rating": 3}},
        {"from_name": "feedback", "type": "textarea", "value": {"text": ["Wrong tense.", "Wrong noun."]}},
    ]
    rows = [
        {
            "id": 7,
            "data": {"text": "Es regnete.", "translation": "It rain."},
            "annotations": [{"completed_by": 3, "result": result}],
        }
    ]
    source = read_bytes("export.json", json.dumps(rows).encode())
    (example,) = whole(task, {"train": source}).examples["train"]
    assert (example.subject.example_id, example.feedback) == ("7", "Wrong tense.\nWrong noun.")


def test_trl_preferences_plain() -> None:
    task = documented("TRL preferences")
    rows = [{"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}]
    (pair,) = whole(task, {"train": raw_rows(rows, "pairs.jsonl")}).comparisons["train"]
    assert (pair.preference.chosen, pair.preference.rejected) == (" blue.", " green.")


def test_trl_preferences_conversational_with_and_without_their_prompt_apart() -> None:
    prompt, good, bad = turns("What is two and two?"), "Four.", "Five."
    within = documented("TRL preferences, conversational")
    request = within.inputs["request"].model_copy(update={"column": "prompt"})
    apart = within.model_copy(update={"inputs": {"request": request}})
    answers = [[{"role": "assistant", "content": text}] for text in (good, bad)]
    (one,) = whole(
        apart, {"train": raw_rows([{"prompt": prompt, "chosen": answers[0], "rejected": answers[1]}], "p.jsonl")}
    ).comparisons["train"]
    (other,) = whole(
        within, {"train": raw_rows([{"chosen": prompt + answers[0], "rejected": prompt + answers[1]}], "p.jsonl")}
    ).comparisons["train"]
    assert one.preference.chosen == other.preference.chosen == good
    assert one.subject.inputs == other.subject.inputs


def test_csv_of_a_spreadsheet() -> None:
    task = documented("CSV of a spreadsheet")
    source = read_bytes("export.csv", '\ufeffNo.,Question,Answer,Feedback (Ann)\n007,"Why, then?",So.,\n'.encode())
    (example,) = whole(task, {"train": source}).examples["train"]
    assert (example.subject.example_id, example.feedback) == ("007", None)
    assert example.subject.inputs == {"question": "Why, then?"}
