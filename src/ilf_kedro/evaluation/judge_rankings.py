"""A language model ranks candidates by comparing every two of them, in both orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from ilf_kedro.language_models.protocol import Capability, Choice, LanguageModel, require
from ilf_kedro.prompting import Prompt, PromptTemplate, fill

__all__ = ["copeland_ranks", "judge_ranks"]


def judge_ranks(
    judge: LanguageModel,
    template: PromptTemplate,
    examples: pd.DataFrame,
    texts: Sequence[Sequence[str]],
) -> list[NDArray[np.int64] | None]:
    """Rank the texts of each example by what `judge` prefers; these are a language model's ranks, not people's.

    `examples` are the examples' rows, in the order of `texts`. Every two texts are shown in both
    orders, and only a preference that both orders agree on counts (else each gets ½, as where both are equally
    probable). Ranks are Copeland's: by the share of texts that a text beats, equal shares being ties. Two texts
    on which an answer is undefined (a refusal) are not compared; None for an example of which some text is compared
    with no other.

    Raises:
        MissingCapabilityError: before any request, where the judge cannot weigh choices.
    """
    require(judge, Capability.CHOICE_PROBABILITIES, user="the judge")
    prompts: list[Prompt] = []
    for example, own in zip(examples.to_dict("records"), texts, strict=True):
        for one, other in combinations(own, 2):
            for first, second in ((one, other), (other, one)):
                prompts.append(fill(template, {**example, "output_a": first, "output_b": second}))
    choices = (Choice("first", template.positive), Choice("second", template.negative))
    answers = iter(judge.choice_probabilities(prompts, choices, label="judge of rankings"))
    ranks: list[NDArray[np.int64] | None] = []
    for own in texts:
        wins = np.full((len(own), len(own)), 0.5)
        for row, column in combinations(range(len(own)), 2):
            as_first, as_second = (next(answers).probability(0) - 0.5 for _ in range(2))
            if math.isnan(as_first + as_second):
                wins[row, column] = wins[column, row] = math.nan
            # Both orders agree where p(first) is on opposite sides of ½.
            elif as_first * as_second < 0:
                wins[row, column] = 1.0 if as_first > 0 else 0.0
                wins[column, row] = 1.0 - wins[row, column]
        ranks.append(copeland_ranks(wins))
    return ranks


def copeland_ranks(wins: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return ranks from a matrix of 1 (row beats column), ½, 0 and NaN (not compared).

    The largest share of wins among those compared is rank 1, equal ones are ties; the diagonal does not count.
    None where a row is compared with no other.
    """
    others = np.where(np.eye(len(wins), dtype=bool), math.nan, wins)
    compared = (~np.isnan(others)).sum(axis=1)
    if len(wins) > 1 and not compared.all():
        return None
    shares = np.nansum(others, axis=1) / np.maximum(compared, 1)
    return np.asarray(scipy.stats.rankdata(-np.round(shares, 12), method="min"), dtype=np.int64)
