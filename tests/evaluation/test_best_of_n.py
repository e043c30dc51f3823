"""Best-of-N against every subset, one by one."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.evaluation.best_of_n import best_of_n, expected_best, kl_bound, rank_among
from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.evaluation.text_metrics import rouge_l
from ilf_kedro.schemas import Outputs, Rewards
from tests.support.example_tables import examples


def over_subsets(values: list[float], rewards: list[float], n: int) -> float:
    """The mean over all subsets of n samples of the value of its best, ties to the earlier sample."""
    best = [max(subset, key=lambda i: (rewards[i], -i)) for subset in combinations(range(len(values)), n)]
    return sum(values[i] for i in best) / len(best)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=1, max_size=7))
def test_the_expectation_is_the_mean_over_all_subsets(samples: list[tuple[int, int]]) -> None:
    values, rewards = [float(value) for value, _ in samples], [float(reward) for _, reward in samples]
    found = expected_best(values, rewards)
    assert found == pytest.approx([over_subsets(values, rewards, n) for n in range(1, len(samples) + 1)], abs=1e-12)


def test_it_is_unbiased() -> None:
    """Over many draws of 8 samples, the estimate for n = 3 has the mean of the maximum of 3 uniform numbers, ¾."""
    random = np.random.default_rng(0)
    draws = random.random((4000, 8))
    estimates = np.array([expected_best(row, row)[2] for row in draws])
    assert abs(estimates.mean() - 0.75) < 4 * estimates.std() / math.sqrt(len(estimates))


def test_sixty_four_samples_are_exact_at_both_ends() -> None:
    values = np.random.default_rng(1).random(64)
    found = expected_best(values, values)
    assert found[0] == pytest.approx(values.mean(), rel=1e-12)
    assert found[-1] == values.max()
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize(("values", "rewards"), [([], []), ([1.0], [1.0, 2.0])])
def test_columns_that_do_not_fit_are_refused(values: list[float], rewards: list[float]) -> None:
    with pytest.raises(ValueError, match="as many values as rewards"):
        expected_best(values, rewards)


def test_the_bound_is_that_of_the_best_of_n_of_distinct_samples() -> None:
    """The exact divergence of the best of n from a uniform choice among very many outcomes."""
    assert kl_bound(1) == 0
    size = 200_000
    for n in (2, 8, 64):
        ends = np.arange(size + 1) / size
        p = np.diff(ends**n)
        exact = float(np.sum(p[p > 0] * np.log(p[p > 0] * size)))
        assert kl_bound(n) == pytest.approx(exact, abs=1e-4)
    with pytest.raises(ValueError, match="n >= 1"):
        kl_bound(0)


def test_a_rank_counts_what_is_better_and_half_of_what_is_equal() -> None:
    assert rank_among(0.5, [0.9, 0.5, 0.5, 0.1]) == 1 + 1 + 1
    assert rank_among(0.9, [0.1, 0.2]) == 1
    assert rank_among(0.0, [0.1, 0.2]) == 3


TEXTS = {"test-0": ["a cat left", "nothing at all", "a cat left home"], "test-1": ["dogs", "dogs bark", "bark"]}
REWARDS = {"test-0": [0.2, 0.9, 0.4], "test-1": [0.5, 0.5, 0.1]}
HUMAN = {"test-0": ("a cat left home", 0.5), "test-1": ("dogs bark", 0.05)}


def tables(with_human: bool = True) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    rows = [(e, "m", i, t) for e, texts in TEXTS.items() for i, t in enumerate(texts)]
    candidates = pd.DataFrame(rows, columns=["example_id", "model", "sample_index", "text"])
    candidates = candidates.assign(raw_text="", finish_reason="stop", n_tokens=1, seed=0)
    scored = [(e, "m", i, r) for e, rewards in REWARDS.items() for i, r in enumerate(rewards)]
    scored += [(e, "reference", 0, reward) for e, (_, reward) in HUMAN.items() if with_human]
    rewards = pd.DataFrame(scored, columns=["example_id", "model", "sample_index", "reward"])
    texts = [text for text, _ in HUMAN.values()] if with_human else None
    return Outputs.validate(candidates), Rewards.validate(rewards), examples(2, "test", reference=texts)


def test_the_table_has_the_mean_over_posts_for_every_n() -> None:
    candidates, rewards, inputs = tables()
    found = best_of_n(candidates, rewards, inputs, Bootstrap(resamples=50)).set_index(["metric", "n"])
    assert set(found.index) == {(m, n) for m in ("reward", "rouge_l") for n in (1, 2, 3)} | {("human_rank", 3)}
    for n in (1, 2, 3):
        by_reward = [over_subsets(REWARDS[e], REWARDS[e], n) for e in TEXTS]
        assert found.loc[("reward", n), "value"] == pytest.approx(sum(by_reward) / 2)
        overlaps = {e: list(rouge_l(TEXTS[e], [HUMAN[e][0]] * 3)) for e in TEXTS}
        by_overlap = [over_subsets(overlaps[e], REWARDS[e], n) for e in TEXTS]
        assert found.loc[("rouge_l", n), "value"] == pytest.approx(sum(by_overlap) / 2)
        assert found.loc[("reward", n), "kl_bound"] == pytest.approx(math.log(n) - (n - 1) / n)
    rank = found.loc[("human_rank", 3)]
    assert rank["value"] == (2 + 4) / 2
    assert rank["standard_error"] == pytest.approx(np.std([2, 4], ddof=1) / math.sqrt(2))
    assert rank["n_inputs"] == 2


def test_a_split_without_references_has_the_reward_alone() -> None:
    found = best_of_n(*tables(with_human=False), Bootstrap(resamples=50))
    assert set(found["metric"]) == {"reward"}


def test_candidates_that_were_not_rewarded_are_none() -> None:
    candidates, rewards, inputs = tables()
    some = rewards.copy()
    some.loc[(some["model"] == "m") & (some["sample_index"] == 2), "reward"] = math.nan
    found = best_of_n(candidates, Rewards.validate(some), inputs, Bootstrap(resamples=50)).set_index(["metric", "n"])
    fewer = best_of_n(
        Outputs.validate(candidates[candidates["sample_index"] < 2]),
        Rewards.validate(rewards[(rewards["model"] != "m") | (rewards["sample_index"] < 2)]),
        inputs,
        Bootstrap(resamples=50),
    ).set_index(["metric", "n"])
    pd.testing.assert_frame_equal(found, fewer)
