"""Scorers, ensembles and the target that do not go together are refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.wiring.parameter_check import find_faults
from tests.wiring.test_parameter_check import RIGHT

BOTH = {"name": "both", "weights": {"longest": 1.0, "instruct_rm_ensemble": 1.0}}


def faults(**selection: Any) -> list[tuple[str, str]]:
    return [(fault.key, fault.message) for fault in find_faults({**RIGHT, "selection": selection})]


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"scorers": ["random", "log_probability"], "target_scorer": "log_probability_refinement_given_input"},
        {"scorers": ["longest", "instruct_rm", "ensemble"], "ensembles": [BOTH], "target_scorer": "ensemble_both"},
        {"ensembles": [{"name": "unused", "weights": {"classifier": 1.0}}]},
        {"scorers": ["verifier"], "target_scorer": "verifier", "verifier": {"callable": "my/checks.py:right"}},
    ],
)
def test_what_goes_together_is_taken(selection: dict[str, Any]) -> None:
    assert faults(**selection) == []


@pytest.mark.parametrize(
    ("selection", "key", "words"),
    [
        (
            {"target_scorer": "classifier"},
            "selection",
            [
                "target_scorer is classifier",
                "for classifier add classifier to selection.scorers",
                "or name one of random",
            ],
        ),
        (
            {"scorers": ["random"], "target_scorer": "instruct_rm_3"},
            "selection",
            ["for instruct_rm_3 add instruct_rm to selection.scorers"],
        ),
        (
            {"target_scorer": "instruct_rm_ensembel"},
            "selection",
            ["no scorer gives instruct_rm_ensembel (the nearest is instruct_rm_ensemble)"],
        ),
        ({"target_scorer": "ensemble_both", "ensembles": [BOTH]}, "selection", ["add ensemble to selection.scorers"]),
        (
            {"scorers": ["random", "longset"]},
            "selection.scorers[1]",
            ["found 'longset', expected one of classifier, copying", "longest", "random"],
        ),
        ({"scorers": ["random", "random"]}, "selection.scorers", ["each scorer once, found random more often"]),
        ({"scorers": ["instruct_rm", "ensemble"]}, "selection", ["ensembles is empty"]),
        (
            {"scorers": ["instruct_rm", "ensemble"], "ensembles": [BOTH]},
            "selection",
            ["for longest add longest to selection.scorers"],
        ),
        ({"ensembles": [BOTH, BOTH]}, "selection.ensembles", ["found both more often"]),
        (
            {"ensembles": [{"name": "x", "weights": {"length": 1.0}}]},
            "selection.ensembles",
            ["no scorer gives length (the nearest is"],
        ),
        ({"verifier": {"callable": "nothing"}}, "selection.verifier.callable", ["expected package.module:function"]),
        ({"top_k": 0}, "selection.top_k", ["found 0, expected greater than or equal to 1"]),
    ],
)
def test_what_does_not_is_refused_with_a_way_out(selection: dict[str, Any], key: str, words: list[str]) -> None:
    ((found_key, message),) = faults(**selection)
    assert found_key == key
    for word in words:
        assert word in message


def test_methods_may_be_added_but_not_left_out() -> None:
    def found(*methods: str) -> list[str]:
        return [fault.message for fault in find_faults({**RIGHT, "refinement": {"methods": methods}})]

    both = ("refinement_with_feedback", "refinement_without_feedback")
    assert found(*both, "refinement_with_shuffled_feedback", "refinement_with_model_feedback") == []
    assert "found no refinement_without_feedback" in found(both[0])[0]
    assert "found refinement_with_feedback more often" in found(*both, both[0])[0]


def test_the_default_is_what_it_was() -> None:
    assert SelectionOptions().scorers == ("random", "longest", "instruct_rm")
    assert SelectionOptions().target_scorer == "instruct_rm_ensemble"
