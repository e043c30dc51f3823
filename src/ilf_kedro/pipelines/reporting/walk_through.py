"""One training example from input to selected refinement, and one test input as every model answered it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ilf_kedro.evaluation.judging import REFERENCE
from ilf_kedro.report.labels import in_order, model_label, words_of
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    Outcomes,
    Outputs,
    Refinements,
    Rewards,
    Scores,
    Selections,
    text_or_empty,
)
from ilf_kedro.schemas.names import WITH_FEEDBACK

__all__ = ["Candidate", "ExampleWalk", "WalkedExample", "WrittenOutput", "first_test_example", "walk_through"]

_SHOWN_SCORERS = ("instruct_rm_ensemble", "longest", "random")
_VERDICTS = {
    1.0: "better than the human one",
    0.5: "undecided: no one verdict in both orders",
    0.0: "worse than the human one",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A refinement with its scores, in the order of the scorers shown, and which scorers chose it."""

    method: str
    number: int
    text: str
    scores: tuple[float | None, ...]
    chosen_by: tuple[str, ...]
    is_target: bool


@dataclass(frozen=True, slots=True)
class ExampleWalk:
    """A training example on its way through the loop."""

    example_id: str
    inputs: tuple[tuple[str, str], ...]
    initial_output: str
    feedback: str
    reference: str
    scorers: tuple[str, ...]
    target_scorer: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class WrittenOutput:
    """What one model wrote, its reward, and the judge's verdict on it in words."""

    model: str
    text: str
    reward: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class WalkedExample:
    """A test input and the outputs of it."""

    example_id: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[WrittenOutput, ...]


def walk_through(
    train: DataFrame[Examples],
    refinements: DataFrame[Refinements],
    scores: DataFrame[Scores],
    selections: DataFrame[Selections],
    target_scorer: str,
) -> ExampleWalk | None:
    """Follow the first example that was refined: not one chosen for its looks. None where there is none."""
    refined = train[train["example_id"].isin(refinements["example_id"])].sort_values("position")
    if refined.empty:
        return None
    example = refined.iloc[0]
    example_id = str(example["example_id"])
    shown = [scorer for scorer in (target_scorer, *_SHOWN_SCORERS) if scorer in set(scores["scorer"])]
    shown = list(dict.fromkeys(shown))
    return ExampleWalk(
        example_id=example_id,
        inputs=_inputs(refined),
        initial_output=text_or_empty(example["initial_output"]),
        feedback=text_or_empty(example["feedback"]),
        reference=text_or_empty(example["reference"]),
        scorers=tuple(words_of(scorer) for scorer in shown),
        target_scorer=words_of(target_scorer),
        candidates=_candidates(
            refinements[refinements["example_id"] == example_id],
            scores[scores["example_id"] == example_id],
            selections[selections["example_id"] == example_id],
            shown,
            target_scorer,
        ),
    )


def first_test_example(
    test: DataFrame[Examples],
    outputs: DataFrame[Outputs],
    rewards: DataFrame[Rewards],
    outcomes: DataFrame[Outcomes],
    best_of_n: int,
) -> WalkedExample | None:
    """Show the first test input with the first output of every model; None where there are no outputs."""
    inputs = test[test["example_id"].isin(outputs["example_id"])].sort_values("position")
    if inputs.empty:
        return None
    example = inputs.iloc[0]
    example_id = str(example["example_id"])
    first = outputs[(outputs["example_id"] == example_id) & (outputs["sample_index"] == 0)]
    texts = {REFERENCE: text_or_empty(example["reference"])} | _by_model(first, "text", example_id)
    of_first = rewards[rewards["sample_index"] == 0]
    reward_of, outcome_of = _by_model(of_first, "reward", example_id), _by_model(outcomes, "outcome", example_id)
    written = tuple(
        WrittenOutput(
            model=model_label(model, best_of_n),
            text=str(texts[model]),
            reward=float(reward_of[model]) if model in reward_of else None,
            verdict=_VERDICTS[float(outcome_of[model])] if model in outcome_of else "",
        )
        for model in in_order(texts)
        if texts[model] or model != REFERENCE
    )
    return WalkedExample(example_id, _inputs(inputs), written)


def _inputs(examples: DataFrame[Examples]) -> tuple[tuple[str, str], ...]:
    """Return the first example's inputs that are not empty, each with its name."""
    shown = examples[Examples.input_names(examples)].iloc[0].map(text_or_empty)
    return tuple((str(name).replace("_", " "), text) for name, text in shown.items() if text)


def _candidates(
    refinements: pd.DataFrame, scores: pd.DataFrame, selections: pd.DataFrame, scorers: list[str], target: str
) -> tuple[Candidate, ...]:
    keys = ["method", "sample_index"]
    score_of = scores.set_index([*keys, "scorer"])["score"].dropna().to_dict()
    chosen = selections.groupby(keys)["scorer"].agg(list).to_dict()
    candidates = []
    for row in refinements.sort_values(keys).to_dict("records"):
        key = (row["method"], row["sample_index"])
        choosers = chosen.get(key, [])
        candidates.append(
            Candidate(
                method=words_of(row["method"]),
                number=int(row["sample_index"]) + 1,
                text=row["text"],
                scores=tuple(score_of.get((*key, scorer)) for scorer in scorers),
                chosen_by=tuple(words_of(scorer) for scorer in choosers),
                is_target=row["method"] == WITH_FEEDBACK and target in choosers,
            )
        )
    return tuple(candidates)


def _by_model(table: pd.DataFrame, column: str, example_id: str) -> dict[str, str | float]:
    rows = table[table["example_id"] == example_id]
    return dict(zip(rows["model"].astype(str), rows[column], strict=True))
