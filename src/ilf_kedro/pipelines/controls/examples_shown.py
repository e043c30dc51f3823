"""The one example that the page shows in full: its points, and what became of it by each method."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.report.labels import words_of
from ilf_kedro.schemas.names import WITH_FEEDBACK

__all__ = ["one_example", "points_of_example"]

_CHOSEN_BY = "instruct_rm_ensemble"


def points_of_example(example: pd.Series, points: pd.DataFrame, point_scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row per point of the example's feedback, with its mean p(Yes) by each method."""
    own = points[points["example_id"] == example["example_id"]].set_index("point_index")["point"]
    scores = point_scores[point_scores["example_id"] == example["example_id"]]
    table = pd.DataFrame({"Point of the feedback": own})
    for method, of_method in scores.groupby("method", sort=False):
        table[words_of(str(method))] = of_method.groupby("point_index")["score"].mean()
    return table.reset_index(drop=True)


def one_example(
    example: pd.Series, shuffled: pd.DataFrame, by_model: pd.DataFrame, selections: pd.DataFrame
) -> pd.DataFrame:
    """Return a row per method: the feedback that the refiner was shown, InstructRM's choice, and its score."""
    example_id = example["example_id"]
    seen = {
        WITH_FEEDBACK: example["feedback"],
        "refinement_with_shuffled_feedback": _text(shuffled, example_id),
        "refinement_with_model_feedback": _text(by_model, example_id),
    }
    chosen = selections[(selections["example_id"] == example_id) & (selections["scorer"] == _CHOSEN_BY)]
    return pd.DataFrame(
        {
            "Refinement": [words_of(method) for method in chosen["method"]],
            "Feedback shown": [seen.get(method) for method in chosen["method"]],
            "InstructRM's choice": chosen["text"].to_numpy(),
            "its score": chosen["score"].to_numpy(),
        }
    )


def _text(feedback: pd.DataFrame, example_id: str) -> str | None:
    own = feedback.loc[feedback["example_id"] == example_id, "feedback"]
    return None if own.empty else str(own.iloc[0])
