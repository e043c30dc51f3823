"""A language model judges pairs of outputs, in both orders."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ilf_kedro.language_models.protocol import Capability, Choice, LanguageModel, require
from ilf_kedro.prompting import Prompt, PromptTemplate, fill
from ilf_kedro.schemas import DataFrame, Examples, Outputs, Verdicts

__all__ = ["REFERENCE", "judge_outputs", "judged_examples", "preference_over_first"]

REFERENCE = "reference"
ORDERS = ("model_first", "baseline_first")


def judged_examples(examples: DataFrame[Examples], n_judged: int | None = None) -> pd.DataFrame:
    """Return the first `n_judged` examples (all where None) that have a reference, in file order; perhaps none."""
    with_output = examples[examples["reference"].fillna("").str.strip() != ""].sort_values("position")
    return with_output.head(n_judged) if n_judged is not None else with_output


def judge_outputs(
    judge: LanguageModel,
    template: PromptTemplate,
    examples: DataFrame[Examples],
    outputs: DataFrame[Outputs],
    *,
    n_judged: int | None = None,
) -> DataFrame[Verdicts]:
    """Ask `judge` which is better, each model's first output or the human one, in both orders.

    The template's `positive` answer names the output that stands first. A judge that finds both equally
    probable prefers neither, and one that refuses has no verdict. These are a language model's verdicts, not people's.

    Raises:
        MissingCapabilityError: before any request, where the judge cannot weigh choices.
    """
    require(judge, Capability.CHOICE_PROBABILITIES, user="the judge")
    inputs = judged_examples(examples, n_judged)
    if inputs.empty:
        return Verdicts.from_rows([])
    first = outputs.loc[outputs["sample_index"] == 0, ["example_id", "model", "text"]]
    pairs = inputs.merge(first, on="example_id").sort_values(["model", "position"]).drop(columns="position")
    asked = pairs.merge(pd.DataFrame({"order": ORDERS}), how="cross")
    answers = judge.choice_probabilities(_prompts(template, asked), _choices(template), label="judge")
    p_first = [answer.probability(0) for answer in answers]
    verdicts = asked[["example_id", "model", "order"]].assign(
        baseline=REFERENCE,
        judged_by=judge.name,
        p_first=p_first,
        prefers=[_preferred(order, p) for order, p in zip(asked["order"], p_first, strict=True)],
        covered=[answer.covered for answer in answers],
    )
    return Verdicts.validate(verdicts)


def preference_over_first(
    judge: LanguageModel, template: PromptTemplate, examples: DataFrame[Examples], texts: pd.DataFrame
) -> pd.Series[float]:
    """Return how probably each text is better than the first one of its example that is not empty, in [0, 1].

    `texts` has example_id and text; the probability is the mean of both orders. A text like that first one has one
    half, unasked, and an empty one 0; where the judge refused in either order there is no probability.

    Raises:
        MissingCapabilityError: before any request, where the judge cannot weigh choices.
    """
    require(judge, Capability.CHOICE_PROBABILITIES, user="the judge")
    first = texts["text"].where(texts["text"] != "").groupby(texts["example_id"]).transform("first")
    compared = texts[["example_id", "text"]].assign(other=first, place=texts.index)
    compared = compared[(compared["text"] != compared["other"]) & (compared["text"] != "")]
    shown = examples.drop(columns=["reference"])
    described = compared.rename(columns={"other": "reference"}).merge(shown, on="example_id")
    asked = described.merge(pd.DataFrame({"order": ORDERS}), how="cross")
    answers = judge.choice_probabilities(_prompts(template, asked), _choices(template), label="judge")
    p_first = pd.Series([answer.probability(0) for answer in answers], dtype=float)
    better = p_first.where(asked["order"] == ORDERS[0], 1 - p_first)
    both = better.groupby(asked["place"]).agg(lambda of_orders: of_orders.mean(skipna=False))
    preferred = pd.Series(0.5, index=texts.index).where(texts["text"] != "", 0.0)
    preferred.loc[both.index] = both
    return preferred


def _prompts(template: PromptTemplate, asked: pd.DataFrame) -> Sequence[Prompt]:
    prompts = []
    for row in asked.to_dict("records"):
        shown = (row["text"], row["reference"])
        output_a, output_b = shown if row["order"] == ORDERS[0] else shown[::-1]
        prompts.append(fill(template, {**row, "output_a": output_a, "output_b": output_b}))
    return prompts


def _choices(template: PromptTemplate) -> tuple[Choice, Choice]:
    return Choice("first", template.positive), Choice("second", template.negative)


def _preferred(order: str, p_first: float) -> str:
    if math.isnan(p_first):
        return "undefined"
    if p_first == 0.5:
        return "neither"
    return "model" if (p_first > 0.5) == (order == ORDERS[0]) else "baseline"
