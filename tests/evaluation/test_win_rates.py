"""Win rates against the reference implementation's figures, and by hand."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.evaluation.win_rates import (
    ConsistentVerdicts,
    consistent_verdicts,
    judge_agreement,
    outcomes_from_ranks,
    outcomes_from_verdicts,
    tells_models_apart,
    win_rates,
    win_rates_from_rankings,
)
from ilf_kedro.schemas import Rankings, Verdicts

CASES = json.loads((Path(__file__).parents[1] / "reference" / "method_cases.json").read_text())["win_rates"]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_rankings_give_the_references_win_rates(case: dict) -> None:
    rows = [
        {"example_id": str(i), "judged_by": "people", "method": method, "rank": rank}
        for i, ranks in enumerate(case["ranks"])
        for method, rank in zip(case["methods"], ranks, strict=True)
    ]
    table = win_rates_from_rankings(Rankings.validate(pd.DataFrame(rows))).set_index(["model", "baseline"])
    for model, baseline in permutations(case["methods"], 2):
        row = table.loc[(model, baseline)]
        name = f"{model}_vs_{baseline}"
        assert row["n"] == len(case["ranks"])
        assert row["win_rate"] == pytest.approx(case["win"][f"{name}_win_rate_mean"], abs=1e-12)
        assert row["standard_error"] == pytest.approx(case["se"][f"{name}_win_rate_standard_error"], abs=1e-12)
        assert row["ties"] == pytest.approx(case["ties"][f"{name}_ties_mean"], abs=1e-12)


def test_lower_ranks_win_and_equal_ones_tie() -> None:
    assert outcomes_from_ranks([1, 2, 3], [2, 2, 1]).tolist() == [1.0, 0.5, 0.0]


def test_rankings_count_only_examples_that_have_both() -> None:
    rankings = pd.DataFrame(
        [("1", "m", "a", 1), ("1", "m", "b", 2), ("2", "m", "a", 1)],
        columns=["example_id", "judged_by", "method", "rank"],
    )
    table = win_rates_from_rankings(Rankings.validate(rankings))
    assert table["n"].tolist() == [1, 1]
    assert table["standard_error"].isna().all()


def verdicts(pairs: list[tuple[str, str]], model: str = "m") -> pd.DataFrame:
    """Verdicts from (preferred with the model first, preferred with the baseline first) per example."""
    rows = [
        {
            "example_id": f"e{i}",
            "model": model,
            "baseline": "reference",
            "order": order,
            "p_first": 0.6,
            "prefers": prefers,
            "judged_by": "judge",
            "covered": 1.0,
        }
        for i, pair in enumerate(pairs)
        for order, prefers in zip(("model_first", "baseline_first"), pair, strict=True)
    ]
    return Verdicts.validate(pd.DataFrame(rows))


def test_a_win_counts_only_where_both_orders_agree() -> None:
    pairs = [("model", "model"), ("model", "baseline"), ("baseline", "model"), ("baseline", "baseline")]
    pairs += [("neither", "neither"), ("model", "neither")]
    outcomes = outcomes_from_verdicts(verdicts(pairs)).sort_values("example_id")
    assert outcomes["outcome"].tolist() == [1.0, 0.5, 0.5, 0.0, 0.5, 0.5]
    assert outcomes["agrees"].tolist() == [True, False, False, True, False, False]
    row = win_rates(outcomes).iloc[0]
    assert (row["n"], row["win_rate"], row["ties"]) == (6, 0.5, pytest.approx(4 / 6))
    assert row["standard_error"] == pytest.approx(np.std([1, 0.5, 0.5, 0, 0.5, 0.5], ddof=1) / np.sqrt(6))


def test_a_judge_that_always_takes_the_first_never_agrees() -> None:
    table = verdicts([("model", "baseline")] * 20)
    outcomes = outcomes_from_verdicts(table)
    agreement = judge_agreement(table, confidence=0.95).set_index("model")
    assert agreement.loc["all", "agreement"] == 0
    assert not tells_models_apart(agreement.loc["all", "lower"])
    assert win_rates(outcomes)["win_rate"].tolist() == [0.5]


def test_a_coin_is_not_taken_for_a_judge_and_a_reader_is() -> None:
    rng = np.random.default_rng(5)
    sides = np.array(["model", "baseline"])
    coin = verdicts([tuple(pair) for pair in sides[rng.integers(0, 2, (40, 2))]])
    reader = verdicts([(side, side) for side in sides[rng.integers(0, 2, 40)]])
    assert not tells_models_apart(judge_agreement(coin, confidence=0.95)["lower"].iloc[0])
    assert tells_models_apart(judge_agreement(reader, confidence=0.95)["lower"].iloc[0])


def test_agreement_is_given_per_model_and_for_all() -> None:
    both = pd.concat([verdicts([("model", "model")] * 3, "m1"), verdicts([("model", "baseline")] * 3, "m2")])
    table = judge_agreement(Verdicts.validate(both), confidence=0.95).set_index("model")
    assert table["agreement"].to_dict() == {"all": 0.5, "m1": 1.0, "m2": 0.0}
    assert table.loc["all", ["n_pairs", "n_examples"]].tolist() == [6, 3]


def test_a_pair_with_an_undefined_verdict_is_left_out_and_counted() -> None:
    table = verdicts([("model", "model"), ("undefined", "model"), ("baseline", "undefined"), ("neither", "model")])
    outcomes = outcomes_from_verdicts(table).sort_values("example_id")
    assert outcomes["outcome"].tolist() == [1.0, 0.5]
    overall = judge_agreement(table, confidence=0.95).set_index("model").loc["all"]
    assert (overall["n_pairs"], overall["agreement"], overall["n_undefined"]) == (2, 0.5, 2)


def test_a_judge_without_any_verdict_has_no_agreement() -> None:
    table = verdicts([("undefined", "undefined")] * 3)
    overall = judge_agreement(table, confidence=0.95).set_index("model").loc["all"]
    assert (overall["n_pairs"], overall["n_undefined"]) == (0, 3)
    assert np.isnan(overall["agreement"])
    assert win_rates(outcomes_from_verdicts(table)).empty


def test_steady_verdicts_for_the_human_and_for_the_longer_output_are_counted() -> None:
    # References have three words. By hand: m wins with 5 words and with 2, the human wins against 2, 5 and 3.
    written = [(1, "a b c d e", True), (1, "a b", True), (0, "a b", True), (0, "a b c d e", True), (0, "a b c", True)]
    written.append((0.5, "a b c d", False))
    ids = [f"e{i}" for i in range(len(written))]
    frame = pd.DataFrame(written, columns=["outcome", "text", "agrees"]).assign(example_id=ids, model="m")
    longer_sample = frame.assign(sample_index=1, text="a b c d e f g h")
    outputs = pd.concat([frame.assign(sample_index=0), longer_sample])
    examples = pd.DataFrame({"example_id": ids, "reference": "x y z"})
    outcomes = frame.drop(columns="text")
    assert consistent_verdicts(outcomes, outputs, examples) == ConsistentVerdicts(
        n=5, for_human=3, n_unequal=4, for_longer=2
    )
    assert consistent_verdicts(outcomes.tail(1), outputs, examples) == ConsistentVerdicts(0, 0, 0, 0)


def test_a_pair_judged_in_one_order_only_is_refused() -> None:
    half = verdicts([("model", "model")]).head(1)
    with pytest.raises(ValueError, match=r"both orders.*e0"):
        outcomes_from_verdicts(half)
