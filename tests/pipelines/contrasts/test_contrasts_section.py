"""What the section says, of data that tell and of data that cannot."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.evaluation.contrasts import contrasts, standings
from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.evaluation.judge_and_people import corrected_win_rates, judge_figures
from ilf_kedro.pipelines.contrasts.judges import judge_parts
from ilf_kedro.pipelines.contrasts.nodes import compare_arms
from ilf_kedro.pipelines.contrasts.options import ContrastsOptions
from ilf_kedro.pipelines.contrasts.section import contrasts_parts
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import Paragraph, Table
from ilf_kedro.schemas import DataFrame, Measurements, UserError

BOOTSTRAP = Bootstrap(resamples=200)
PEOPLE = "ranks:people"
Arms = dict[str, list[float]]


def measured(arms: Arms, measure: str = PEOPLE, judged_by: str = "human:anna") -> DataFrame[Measurements]:
    return Measurements.from_rows(
        {
            "measure": measure,
            "judged_by": judged_by,
            "example_id": f"e{row}",
            "arm": arm,
            "value": value,
            "length": math.nan,
        }
        for arm, values in arms.items()
        for row, value in enumerate(values)
        if not math.isnan(value)
    )


def told(arms: Arms, measure: str = PEOPLE) -> tuple[str, list[Table]]:
    table = measured(arms, measure)
    parts = contrasts_parts(contrasts(table, BOOTSTRAP), standings(table, BOOTSTRAP), 0.95, str)
    assert isinstance(parts[0], Paragraph)
    return parts[0].text, [part for part in parts if isinstance(part, Table)]


WON, LOST = [-1.0], [-2.0]
NAN = math.nan
# What the data are, and the sentence that is true of them.
DEGENERATE: dict[str, tuple[Arms, str, str]] = {
    "won by all of twelve": (
        {"a": WON * 12, "b": LOST * 12},
        PEOPLE,
        "the contrast is clear at 5%. “a” over “b” 1.00 (0.76 to 1.00), p < 0.001.",
    ),
    "lost by all of twelve": (
        {"a": LOST * 12, "b": WON * 12},
        PEOPLE,
        "the contrast is clear at 5%. “b” over “a” 1.00 (0.76 to 1.00), p < 0.001.",
    ),
    "won four times of four": (
        {"a": WON * 4, "b": LOST * 4},
        PEOPLE,
        "the contrast is not clear at 5%. The nearest to it: “a” over “b” 1.00 (0.51 to 1.00), p = 0.125.",
    ),
    "one example": (
        {"a": WON, "b": LOST},
        PEOPLE,
        "(1 input, 1 annotator, 1 judgement): the contrast is not clear at 5%. The nearest to it: “a” over "
        "“b” 1.00 (0.21 to 1.00), p = 1.000.",
    ),
    "all ties": (
        {"a": WON * 12, "b": WON * 12},
        PEOPLE,
        "every comparison is a tie, so nothing is told about which arm is better.",
    ),
    "no example of both arms": ({"a": [-1.0, NAN], "b": [NAN, -1.0]}, PEOPLE, "nothing can be compared."),
    "the same difference in every example": (
        {"a": [0.75] * 8, "b": [0.0] * 8},
        "reward",
        "the contrast is clear at 5%. “a” over “b” +0.750 (no interval), p = 0.008.",
    ),
    "no value of one arm": ({"a": [0.5] * 6, "b": [NAN] * 6}, "reward", "nothing can be compared."),
    "a small difference": (
        {"a": [0.00002, 0.00001, 0.00003, 0.00002, 0.00001, 0.00004, 0.00002], "b": [0.0] * 7},
        "reward",
        "“a” over “b” +0.00002",
    ),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_data_get_the_sentence_that_is_true(case: str) -> None:
    arms, measure, expected = DEGENERATE[case]
    text, tables = told(arms, measure)
    assert expected in text
    shown = " ".join(str(cell) for table in tables for row in table.rows for cell in row)
    for false in ("(0.00 to 0.00)", "(0.000 to 0.000)", "(0.50 to 0.50)", "(1.00 to 1.00)", "nan"):
        assert false not in text + shown


def test_nothing_clear_says_what_would_be() -> None:
    rng = np.random.default_rng(0)
    text, _ = told({"a": list(rng.normal(0.1, 1, 30)), "b": list(rng.normal(0, 1, 30))}, "reward")
    assert "This does not show that arms are equal: at this number and spread of inputs, a difference of 0." in text
    text, _ = told({"a": WON * 3 + LOST * 3, "b": LOST * 3 + WON * 3})
    assert "not even an arm that always wins would be shown" in text


def test_a_judges_numbers_never_stand_without_the_word_judge() -> None:
    rng = np.random.default_rng(1)
    for measure in ("judge:sphinx", "ranks:judge:sphinx"):
        text, (pairs, *_) = told({"a": list(rng.normal(size=12)), "b": list(rng.normal(size=12))}, measure)
        assert "judge sphinx" in text
        assert "Judge's win rate" in pairs.columns
        assert "judge" in pairs.caption


def test_a_pair_of_unknown_models_is_refused_with_those_that_are_known() -> None:
    options = ContrastsOptions(pairs=(("a", "z"),))
    with pytest.raises(UserError, match=r"names z, of which there are no outputs; expected models among a, b"):
        compare_arms(measured({"a": [1.0], "b": [2.0]}), options, ReportingOptions(), 0)


def test_the_same_pair_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="no two are the same"):
        ContrastsOptions(pairs=(("a", "b"), ("b", "a")))


def test_trained_arms_come_first_and_are_set_against_all_others() -> None:
    arms = ["reference", "finetune.base", "finetune.best_of_n", "finetune.refinements.n8"]
    table = measured({arm: [float(place), 1.0] for place, arm in enumerate(arms)}, "reward", "")
    pairs, _ = compare_arms(table, ContrastsOptions(), ReportingOptions(), 0)
    firsts = pd.unique(pairs["arm"])
    assert list(firsts) == ["finetune.refinements.n8", "finetune.best_of_n", "finetune.base"]


def judged(agreeing: bool) -> list[Paragraph | Table]:
    """Twelve inputs that both judged, the judge as people did or at random."""
    rng = np.random.default_rng(2)
    people = rng.choice([-1.0, 1.0], 12)
    judge = people * 2 if agreeing else rng.choice([-1.0, 1.0], 12)
    table = pd.concat(
        [
            measured({"a": list(people[:9]), "b": [0.0] * 9}),
            measured({"a": list(judge), "b": [0.0] * 12}, "judge:sphinx", "judge:sphinx"),
        ]
    )
    both = Measurements.validate(table)
    figures, corrected = judge_figures(both, BOOTSTRAP), corrected_win_rates(both, BOOTSTRAP)
    parts = judge_parts(figures, corrected, 0.95, str)
    return [part for part in parts if isinstance(part, Paragraph | Table)]


def test_a_judge_is_said_to_agree_only_where_chance_would_not() -> None:
    doubt = "these data do not show that it agrees with people more than chance would"
    agreeing, guessing = judged(agreeing=True)[0], judged(agreeing=False)[0]
    assert isinstance(agreeing, Paragraph)
    assert isinstance(guessing, Paragraph)
    assert "says what people say in 100%" in agreeing.text
    assert doubt in guessing.text
    assert doubt not in agreeing.text


def test_what_people_correct_stands_beside_the_judges_own() -> None:
    corrected = judged(agreeing=True)[1]
    assert isinstance(corrected, Table)
    assert {"By people, corrected", "By people alone", "By the judge alone"} <= set(corrected.columns)
    assert "random sample" in corrected.caption
