"""ROUGE-L, lengths and log-likelihoods by hand, and the tables made of them."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.evaluation.log_likelihoods import nll_difference, nll_per_token
from ilf_kedro.evaluation.model_metrics import model_metrics
from ilf_kedro.evaluation.refinement_metrics import refinement_metrics, scorer_agreement
from ilf_kedro.evaluation.text_metrics import rouge_l, words
from ilf_kedro.schemas import LogLikelihoods, Outcomes, Outputs, Rewards, Scores, Selections, UserError
from tests.support import example_tables

BOOTSTRAP = Bootstrap(resamples=200)


def longest_common_subsequence(left: list[str], right: list[str]) -> int:
    """The textbook recursion."""
    if not left or not right:
        return 0
    if left[0] == right[0]:
        return 1 + longest_common_subsequence(left[1:], right[1:])
    return max(longest_common_subsequence(left[1:], right), longest_common_subsequence(left, right[1:]))


WORDS = st.lists(st.sampled_from(["cat", "dog", "hat", "tree"]), min_size=1, max_size=6)


@given(WORDS, WORDS)
def test_rouge_l_is_the_f1_of_the_longest_common_subsequence(text: list[str], reference: list[str]) -> None:
    common = longest_common_subsequence(text, reference)
    expected = 2 * common / (len(text) + len(reference))
    assert rouge_l([" ".join(text)], [" ".join(reference)])[0] == pytest.approx(expected)


def test_rouge_l_of_nothing_is_zero_and_stems_count_as_equal() -> None:
    assert rouge_l(["", "dogs running"], ["a dog", "dog run"]).tolist() == [0.0, 1.0]


@given(st.text())
def test_words_of_any_text(text: str) -> None:
    assert words([text])[0] == len([word for word in text.split() if word])


def log_likelihoods(model: str, values: list[tuple[float, int]]) -> pd.DataFrame:
    rows = [(f"e{i}", model, "reference", value, n) for i, (value, n) in enumerate(values)]
    columns = ["example_id", "model", "text_kind", "log_likelihood", "n_tokens"]
    return LogLikelihoods.validate(pd.DataFrame(rows, columns=columns))


def test_nll_weighs_tokens_not_examples() -> None:
    estimate = nll_per_token(log_likelihoods("m", [(-10.0, 10), (-90.0, 30)]), BOOTSTRAP)
    assert estimate.value == pytest.approx(100 / 40)


def test_nll_difference_is_paired_so_that_a_constant_gain_has_no_spread() -> None:
    base = log_likelihoods("base", [(-10.0, 10), (-90.0, 30), (-20.0, 20)])
    better = log_likelihoods("m", [(-9.0, 10), (-87.0, 30), (-18.0, 20)])
    estimate = nll_difference(better, base, BOOTSTRAP)
    assert estimate.value == pytest.approx(-0.1)
    assert "alike" in estimate.note


def test_nll_difference_refuses_another_tokenizer() -> None:
    with pytest.raises(UserError, match="tokenizer"):
        nll_difference(log_likelihoods("m", [(-9.0, 9)]), log_likelihoods("base", [(-9.0, 10)]), BOOTSTRAP)


def examples() -> pd.DataFrame:
    references = ["one two three", "one two", None]
    return example_tables.examples(3, "test", example_id=["e0", "e1", "e2"], reference=references)


def outputs() -> pd.DataFrame:
    rows = [("e0", 0, "one two three"), ("e0", 1, "four"), ("e1", 0, "one"), ("e2", 0, "")]
    table = pd.DataFrame(rows, columns=["example_id", "sample_index", "text"])
    filled = table.assign(model="finetune.base", raw_text="", finish_reason="stop", n_tokens=1, seed=0)
    return Outputs.validate(filled[Outputs.column_names()])


def test_every_metric_of_every_model_is_an_average_over_examples() -> None:
    rewards = pd.DataFrame(
        [("e0", "finetune.base", 0, 0.2), ("e0", "finetune.base", 1, 0.4), ("e1", "finetune.base", 0, 0.9)],
        columns=["example_id", "model", "sample_index", "reward"],
    )
    outcomes = pd.DataFrame(
        [
            ("e0", "finetune.base", "reference", "j", True, 1.0),
            ("e1", "finetune.base", "reference", "j", False, 0.5),
        ],
        columns=["example_id", "model", "baseline", "judged_by", "agrees", "outcome"],
    )
    table = model_metrics(
        examples(),
        outputs(),
        log_likelihoods("finetune.base", [(-3.0, 3), (-4.0, 2)]),
        Rewards.validate(rewards),
        Outcomes.validate(outcomes),
        count_tokens=lambda texts: [2 * len(text.split()) for text in texts],
        bootstrap=BOOTSTRAP,
    ).set_index(["model", "metric"])
    value = table["value"].to_dict()
    assert value["finetune.base", "nll_per_token"] == pytest.approx(7 / 5)
    assert value["finetune.base", "rouge_l"] == pytest.approx((0.5 + 2 / 3) / 2)
    assert value["finetune.base", "length_words"] == pytest.approx((2 + 1 + 0) / 3)
    assert value["finetune.base", "length_tokens"] == pytest.approx(2 * (2 + 1 + 0) / 3)
    assert value["finetune.base", "reward"] == pytest.approx((0.3 + 0.9) / 2)
    assert value["finetune.base", "win_rate"] == 0.75
    assert value["reference", "length_words"] == 2.5
    assert table.loc[("finetune.base", "length_words"), "n"] == 3
    assert ("reference", "rouge_l") not in value


def scores() -> pd.DataFrame:
    rows = []
    for example, (instruct, longest) in {
        "e0": ([0.1, 0.5, 0.9], [5, 10, 20]),
        "e1": ([0.8, 0.2, 0.2], [7, 7, 7]),
    }.items():
        for i in range(3):
            rows.append((example, "with", i, "instruct_rm_ensemble", instruct[i]))
            rows.append((example, "with", i, "longest", longest[i]))
    return Scores.validate(pd.DataFrame(rows, columns=["example_id", "method", "sample_index", "scorer", "score"]))


def selections() -> pd.DataFrame:
    rows = [
        ("e0", "with", "instruct_rm_ensemble", 2, 0.9, "c"),
        ("e1", "with", "instruct_rm_ensemble", 0, 0.8, "same"),
        ("e0", "with", "longest", 2, 20.0, "c"),
        ("e1", "with", "longest", 1, 7.0, "same"),
        ("e0", "with", "random", 0, 0.3, "a"),
        ("e1", "with", "random", 0, 0.9, "same"),
    ]
    return Selections.from_rows(rows)


def test_refinements_are_compared_by_score_and_length_of_what_was_chosen() -> None:
    table = refinement_metrics(scores(), selections(), BOOTSTRAP)
    value = table.set_index(["chosen_by", "metric"])["value"].to_dict()
    assert value["any", "instruct_rm_ensemble"] == pytest.approx((0.5 + 0.4) / 2)
    assert value["instruct_rm_ensemble", "instruct_rm_ensemble"] == pytest.approx(0.85)
    assert value["longest", "length_tokens"] == pytest.approx(13.5)
    assert value["random", "length_tokens"] == pytest.approx((5 + 7) / 2)
    # e1's lengths are all equal, so that only e0 counts.
    assert value["instruct_rm_ensemble", "length_correlation"] == pytest.approx(1.0)


@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=6), min_size=1))
def test_correlations_with_length_equal_scipys(examples: list[list[tuple[int, int]]]) -> None:
    rows = [
        (f"e{n}", index, scorer, float(value))
        for n, pairs in enumerate(examples)
        for index, pair in enumerate(pairs)
        for scorer, value in zip(("random", "longest"), pair, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["example_id", "sample_index", "scorer", "score"]).assign(method="with")
    expected = [
        scipy.stats.spearmanr(*zip(*pairs, strict=True)).statistic
        for pairs in examples
        if all(len(set(values)) > 1 for values in zip(*pairs, strict=True))
    ]
    metrics = refinement_metrics(Scores.validate(table), Selections.from_rows([]), BOOTSTRAP)
    found = metrics.loc[metrics["metric"] == "length_correlation", "value"].tolist()
    assert found == ([pytest.approx(sum(expected) / len(expected))] if expected else [])


def test_scorers_agree_where_the_texts_do_whatever_their_index() -> None:
    table = scorer_agreement(selections()).set_index(["scorer", "other"])["share"].to_dict()
    assert table == {
        ("instruct_rm_ensemble", "longest"): 1.0,
        ("instruct_rm_ensemble", "random"): 0.5,
        ("longest", "random"): 0.5,
    }


def test_undefined_scores_are_left_out() -> None:
    holes = scores()
    holes.loc[holes["example_id"] == "e1", "score"] = math.nan
    table = refinement_metrics(Scores.validate(holes), selections(), BOOTSTRAP)
    row = table[(table["chosen_by"] == "any") & (table["metric"] == "instruct_rm_ensemble")].iloc[0]
    assert (row["n"], row["value"]) == (1, pytest.approx(0.5))
