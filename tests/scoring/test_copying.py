"""The share of copied words, against shares counted by hand."""

from __future__ import annotations

import math

from ilf_kedro.scoring.copying import copying_scores
from tests.support.example_tables import examples, refinements


def test_words_of_title_and_post_count_in_any_case_and_repetitions_each() -> None:
    table = refinements({"train-1": ["Post 1 was good", "title, TITLE", "nothing of it", "…", ""]})
    scores = list(copying_scores(table, examples(2))["score"])
    assert scores[:3] == [2 / 4, 1.0, 0.0]
    assert all(math.isnan(score) for score in scores[3:])
