"""Choices from truncated lists: the bound holds against the whole distribution, which the tests know."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.language_models.openai.top_log_probabilities import choice_probabilities_from_top
from ilf_kedro.language_models.protocol import Choice

YES_NO = (Choice("Yes", ("Yes", " Yes", "YES")), Choice("No", ("No", " No", "NO")))
WORDS = ["Yes", " Yes", "YES", "No", " No", "NO", "Maybe", "I", " The", "\n", "</s>", "**"]


def probabilities(top: dict[str, float], choices: tuple[Choice, ...] = YES_NO) -> tuple[list[float], float, float]:
    answer = choice_probabilities_from_top({token: math.log(p) for token, p in top.items()}, choices)
    return [math.exp(value) for value in answer.log_probabilities], answer.covered, answer.bound


def test_sums_over_spellings() -> None:
    values, covered, bound = probabilities({"Yes": 0.4, " Yes": 0.1, "YES": 0.1, " No": 0.2, "Well": 0.2})
    np.testing.assert_allclose(values, [0.75, 0.25])
    assert covered == pytest.approx(0.8)
    assert bound == pytest.approx(0.0, abs=1e-9)  # the list leaves nothing


def test_followed_by_punctuation_is_the_word_and_by_letters_is_another() -> None:
    values, covered, _ = probabilities({"Yes.": 0.3, "Yesterday": 0.4, "No": 0.3})
    np.testing.assert_allclose(values, [0.5, 0.5])
    assert covered == pytest.approx(0.6)


def test_a_beginning_counts_where_it_begins_one_choice_only() -> None:
    choices = (Choice("True", ("True", " True")), Choice("False", ("False", " False")))
    values, covered, bound = probabilities({"Tr": 0.5, "False": 0.25, " ": 0.2, "": 0.05}, choices)
    np.testing.assert_allclose(values, [2 / 3, 1 / 3])
    assert covered == pytest.approx(0.75)
    # The beginning may be of another word, and the blank may go on as either choice.
    assert bound == pytest.approx(2 / 3)


def test_a_missing_choice_is_bounded_by_the_least_listed_and_by_the_rest() -> None:
    values, covered, bound = probabilities(
        {"Yes": 0.9, "Maybe": 0.01}, (Choice("Yes", ("Yes",)), Choice("No", ("No",)))
    )
    np.testing.assert_allclose(values, [0.9 / 0.91, 0.01 / 0.91])  # at most 0.01, the rest would allow 0.09
    assert covered == pytest.approx(0.9)
    assert bound == pytest.approx(0.01 / 0.91)
    values, _, bound = probabilities({"Yes": 0.6, "Maybe": 0.398}, (Choice("Yes", ("Yes",)), Choice("No", ("No",))))
    np.testing.assert_allclose(values, [0.6 / 0.602, 0.002 / 0.602])  # the rest is less than the least
    assert bound == pytest.approx(0.002 / 0.602)


def test_nothing_known_is_even_odds_with_the_largest_bound() -> None:
    values, covered, bound = probabilities({})
    np.testing.assert_allclose(values, [0.5, 0.5])
    assert (covered, bound) == (0.0, 0.5)


@given(st.lists(st.floats(1e-6, 1), min_size=len(WORDS), max_size=len(WORDS)), st.integers(1, len(WORDS)))
def test_the_bound_holds_for_every_truncation(weights: list[float], listed: int) -> None:
    whole = dict(zip(WORDS, np.array(weights) / sum(weights), strict=True))
    top = dict(sorted(whole.items(), key=lambda item: -item[1])[:listed])
    values, _, bound = probabilities(top)
    mass = [sum(whole[word] for word in choice.verbalizers) for choice in YES_NO]
    true = [value / sum(mass) for value in mass]
    assert sum(values) == pytest.approx(1)
    assert max(abs(a - b) for a, b in zip(values, true, strict=True)) <= bound + 1e-9
    if listed == len(WORDS):
        np.testing.assert_allclose(values, true, rtol=1e-6)
