"""The tables of data_prep hold what the files hold, under the project's names."""

from __future__ import annotations

import json
import logging
import statistics

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from ilf_kedro.pipelines.data_prep import create_pipeline
from ilf_kedro.pipelines.data_prep.nodes import describe_texts, nest_subsets
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.schemas import Comparisons, Examples, RejectedRows, Subsets, TextStatistics, UserError
from ilf_kedro.tasks import Shares
from tests.support.raw_rows import SPLITS, TASK, mapped, raw, raw_splits, row

STOP = DataPrepOptions()
QUARANTINE = DataPrepOptions(on_invalid="quarantine")
KEPT = (
    "tldr_human_reference_summary",
    "summary_prompt",
    "feedback_class",
    "has_additional_feedback",
    "time_spent_in_seconds_feedback",
    "time_spent_in_seconds_ideal_human_summary",
    "time_spent_in_seconds_comparison",
)


class WordCounter:
    """Counts words for tokens, so that expected numbers can be read off the texts."""

    def count_tokens(self, texts: list[str]) -> list[int]:
        return [len(text.split()) for text in texts]


def test_renames_columns_and_keeps_order() -> None:
    files = raw_splits(train=raw("train", row("b"), row("a", comparison_preference="Summary B"), row("c")))
    tables = mapped(*files, options=STOP)
    train = tables[0]
    assert train["example_id"].tolist() == ["b", "a", "c"]
    assert train["position"].tolist() == [0, 1, 2]
    assert train.iloc[1].replace({np.nan: None}).to_dict() == {
        "example_id": "a",
        "input_id": train["input_id"][1],
        "split": "train",
        "position": 1,
        "title": "Title of a",
        "post": "The post of a.",
        "initial_output": "An initial output.",
        "feedback": "It misses the point.",
        "reference": "An ideal output.",
        "annotator": None,
        "group": "AskReddit",
        "other": json.dumps({name: row("a")[name] for name in KEPT}),
    }
    assert tables[4].iloc[1].replace({np.nan: None}).to_dict() == {
        "example_id": "a",
        "input_id": train["input_id"][1],
        "split": "train",
        "position": 1,
        "title": "Title of a",
        "post": "The post of a.",
        "chosen": "Output two.",
        "rejected": "Output one.",
        "preferred": "b",
        "annotator": None,
        "group": "AskReddit",
    }
    assert [table["split"].unique().tolist() for table in tables[:4]] == [[split] for split in SPLITS]


def test_missing_columns_are_null_and_give_no_comparisons() -> None:
    bare = [{"id": f"t{number}", "post": f"Post {number}."} for number in range(3)]
    unjudged = row("v", comparison_preference=None)
    files = raw_splits(test=raw("test", *bare), validation=raw("validation", unjudged))
    tables = mapped(*files, options=STOP)
    assert (
        tables[3].drop(columns=["example_id", "input_id", "split", "position", "post", "other"]).isna().all(axis=None)
    )
    assert [len(table) for table in tables[4:8]] == [2, 2, 0, 0]
    for table, schema in zip(tables, [Examples] * 4 + [Comparisons] * 4 + [RejectedRows], strict=True):
        schema.validate(table)


def test_positions_are_consecutive_after_quarantine_and_counts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    files = raw_splits(train=raw("train", row("a"), row("b", post=" "), row("c"), "{"))
    with caplog.at_level(logging.INFO):
        tables = mapped(*files, options=QUARANTINE)
    assert tables[0]["example_id"].tolist() == ["a", "c"]
    assert tables[0]["position"].tolist() == [0, 1]
    assert tables[4]["position"].tolist() == [0, 1]
    assert tables[8]["row"].tolist() == [2, 4]
    assert set(tables[8]["split"]) == {"train"}
    assert tables[8]["column"].isna().tolist() == [False, True]
    assert "train: set aside 2 rows with 2 faults" in caplog.text
    assert "train: 2 examples, 2 with feedback, 2 comparisons" in caplog.text


def test_subsets_are_nested_prefixes() -> None:
    files = raw_splits(train=raw("train", *(row(name) for name in "zyxwv")))
    tables = mapped(*files, options=STOP)
    train = tables[0]
    subsets = nest_subsets(train.sample(frac=1, random_state=0), tables[8], [1, 3, 5])
    by_size = subsets.groupby("train_size")["example_id"].apply("".join).to_dict()
    assert by_size == {1: "z", 3: "zyx", 5: "zyxwv"}
    Subsets.validate(subsets)


def test_names_every_train_size_that_is_too_large() -> None:
    tables = mapped(*raw_splits(), options=STOP)
    with pytest.raises(UserError, match=r"found 3, 100, but the train split has 2 .*expected sizes up to 2.*Lower"):
        nest_subsets(tables[0], tables[8], [1, 3, 100])


def test_rows_that_were_set_aside_are_missing_from_the_largest_sizes_only(caplog: pytest.LogCaptureFixture) -> None:
    """Two of five rows of train are set aside; those of other splits do not count."""
    train = raw("train", row("a"), row("b", post=" "), row("c"), "{", row("e"))
    tables = mapped(*raw_splits(train=train, test=raw("test", "{", row("t"))), options=QUARANTINE)
    subsets = nest_subsets(tables[0], tables[8], [1, 3, 4, 5])
    by_size = subsets.groupby("train_size")["example_id"].apply("".join).to_dict()
    assert by_size == {1: "a", 3: "ace", 4: "ace", 5: "ace"}
    warnings = [line.getMessage() for line in caplog.records if line.name.endswith("data_prep.nodes")][-2:]
    assert warnings == [
        f"train size {size}: only 3 examples; set aside from the train split: 2 rows" for size in (4, 5)
    ]
    with pytest.raises(UserError, match=r"found 6, but the train split has 3 valid"):
        nest_subsets(tables[0], tables[8], [3, 5, 6])


def test_blanks_around_an_id_are_no_part_of_it() -> None:
    tables = mapped(*raw_splits(train=raw("train", row(" a\t"), row("b\u00a0c "))), options=STOP)
    assert tables[0]["example_id"].tolist() == ["a", "b\u00a0c"]
    assert tables[4]["example_id"].tolist() == ["a", "b\u00a0c"]


def test_describes_tokens_and_seconds() -> None:
    counts = [3, 5, 10]
    rows = [
        row(f"r{n}", post=f"p{n} " + "word " * (n - 1), feedback=..., time_spent_in_seconds_comparison=n * 1.5)
        for n in counts
    ]
    tables = mapped(*raw_splits(train=raw("train", *rows)), options=STOP)
    described = describe_texts(*tables[:4], WordCounter(), TASK).set_index(["split", "text", "unit"])
    post = described.loc[("train", "post", "tokens")]
    assert (post["n"], post["mean"], post["median"], post["maximum"]) == (3, 6.0, 5.0, 10.0)
    assert post["standard_error"] == pytest.approx(statistics.stdev(counts) / 3**0.5)
    assert described.loc[("train", "comparison", "seconds"), "median"] == 7.5
    missing = described.loc[("train", "feedback", "tokens")]
    assert missing["n"] == 0
    assert missing.drop("n").isna().all()
    assert described.loc[("test", "feedback", "tokens"), "mean"] == 4
    assert len(described) == 4 * (5 + 3)


def test_the_pipeline_runs_as_declared() -> None:
    files = raw_splits()
    inputs = {f"raw.{split}": file for split, file in zip(SPLITS, files, strict=True)}
    inputs |= {
        "params:task": TASK,
        "params:data_prep": STOP,
        "params:seed": 0,
        "params:train_sizes": [1, 2],
        "base_model": WordCounter(),
    }
    outputs = ["offer", "rejected_rows", "near_duplicates", "subsets", "text_statistics"]
    outputs += [f"{table}.{split}" for table in ("examples", "comparisons") for split in SPLITS]
    datasets = {name: MemoryDataset(value) for name, value in inputs.items()}
    catalog = DataCatalog(datasets | {name: MemoryDataset() for name in outputs})
    pipeline = create_pipeline(TASK)
    assert pipeline.inputs() == set(inputs)
    assert pipeline.all_outputs() == set(outputs)
    SequentialRunner().run(pipeline, catalog)
    assert catalog.load("comparisons.test")["example_id"].tolist() == ["test-1", "test-2"]
    assert len(catalog.load("subsets")) == 3
    TextStatistics.validate(catalog.load("text_statistics"))


def test_one_file_is_divided_by_the_shares_of_the_task() -> None:
    shares = TASK.model_copy(update={"splits": Shares(train=0.5, test=0.5)})
    rows = raw("all", *(row(f"r{n}", post=f"A post of its own about the number {n}.") for n in range(8)))
    catalog = DataCatalog({"raw.all": MemoryDataset(rows), "params:task": MemoryDataset(shares)})
    for name, value in {"params:data_prep": STOP, "params:seed": 0}.items():
        catalog[name] = MemoryDataset(value)
    pipeline = create_pipeline(shares).only_nodes_with_tags("data_prep").to_outputs("examples.train", "examples.test")
    tables = SequentialRunner().run(pipeline, catalog)
    sizes = {name: len(tables[name].load()) for name in ("examples.train", "examples.test", "examples.validation")}
    assert sizes == {"examples.train": 4, "examples.test": 4, "examples.validation": 0}
