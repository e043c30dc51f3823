"""Small tables for tests."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import Comparisons, Examples, Refinements, Subsets


def examples(n: int = 4, split: str = "train", **columns: object) -> pd.DataFrame:
    """Return n examples, each with every text; `columns` replaces whole columns."""
    ids = [f"{split}-{i}" for i in range(n)]
    table = {
        "example_id": ids,
        "input_id": ids,
        "split": split,
        "position": range(n),
        "title": [f"title {i}" for i in range(n)],
        "post": [f"post {i}" for i in range(n)],
        "reference": [f"human {i}" for i in range(n)],
        "initial_output": [f"initial {i}" for i in range(n)],
        "feedback": [f"feedback {i}" for i in range(n)],
        "annotator": None,
        "group": "dogs",
        "other": "{}",
    }
    return Examples.validate(pd.DataFrame({**table, **columns}))


def comparisons(rows: Sequence[tuple[str, str, str]], split: str = "train", **columns: object) -> pd.DataFrame:
    """Return comparisons (output a, output b, which is preferred) of post 0, 1, …; `columns` replaces whole columns."""
    ids = [f"{split}-{i}" for i in range(len(rows))]
    table = {
        "example_id": ids,
        "input_id": ids,
        "split": split,
        "position": range(len(rows)),
        "title": [f"title {i}" for i in range(len(rows))],
        "post": [f"post {i}" for i in range(len(rows))],
        "chosen": [a if preferred == "a" else b for a, b, preferred in rows],
        "rejected": [b if preferred == "a" else a for a, b, preferred in rows],
        "preferred": [preferred for _, _, preferred in rows],
        "annotator": None,
        "group": "dogs",
    }
    return Comparisons.validate(pd.DataFrame({**table, **columns}))


def subsets(table: pd.DataFrame, *sizes: int) -> pd.DataFrame:
    """Return the nested prefixes of `table`."""
    rows = [(size, example_id) for size in sizes for example_id in table["example_id"].head(size)]
    return Subsets.validate(pd.DataFrame(rows, columns=["train_size", "example_id"]))


WITH_FEEDBACK = PromptTemplate(text="{{ title }}|{{ post }}|{{ initial_output }}|{{ feedback }}|")
WITHOUT_FEEDBACK = PromptTemplate(text="{{ title }}|{{ post }}|{{ initial_output }}|")

SLOTS = ("title", "post", "initial_output", "feedback", "refinement")
YES_NO = PromptTemplate(
    text="1{{ title }}{{ post }}{{ initial_output }}{{ feedback }}>{{ refinement }}",
    positive=("Yes", " Yes"),
    negative=("No", " No"),
)
TRUE_FALSE = PromptTemplate(
    text="2{{ title }}{{ post }}{{ initial_output }}{{ feedback }}>{{ refinement }}",
    positive=("True",),
    negative=("False",),
)


def refinements(texts: dict[str, list[str]], method: str = "refinement_with_feedback") -> pd.DataFrame:
    rows = [
        {
            "example_id": example_id,
            "method": method,
            "sample_index": i,
            "text": text,
            "raw_text": text,
            "finish_reason": "stop",
            "n_tokens": 1,
            "seed": 0,
            "draw_index": i,
            "resampled": False,
            "status": "unique" if text else "empty",
        }
        for example_id, listed in texts.items()
        for i, text in enumerate(listed)
    ]
    return Refinements.validate(pd.DataFrame(rows))
