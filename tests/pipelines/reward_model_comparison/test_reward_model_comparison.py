"""The comparison of reward models: its namespaces, its tables, and what its section says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.pipelines.reward_model.options import ComparisonOptions, RewardModelOptions
from ilf_kedro.pipelines.reward_model_comparison import create_pipeline, nodes, section
from ilf_kedro.report.sections import Figure, Paragraph, Section, Table, render_page
from ilf_kedro.schemas import PublishedResults, RewardPredictions

CHOSEN = ComparisonOptions(kinds=("yes_no", "a_b"), train_sizes=(4, 8))


def predictions(n_right: int, n: int = 40, *, pairwise: bool = False) -> pd.DataFrame:
    right = np.arange(n) < n_right
    table = pd.DataFrame({"example_id": [f"e{i}" for i in range(n)], "preferred": "a"})
    table["reward_a"], table["reward_b"] = np.where(right, 0.7, 0.3), 0.5
    table["p_a_preferred"] = table["reward_a"]
    table["p_a_shown_first"] = 0.9 if pairwise else np.nan
    table["p_a_shown_second"] = table["reward_a"] if pairwise else np.nan
    table["n_tokens_a"], table["n_tokens_b"] = np.where(np.arange(n) % 2, 30, 10), 20
    return RewardPredictions.validate(table[RewardPredictions.column_names()])


def described(n_right: tuple[int, int, int, int]) -> Section:
    options = RewardModelOptions(comparison=CHOSEN)
    tables = [predictions(right, pairwise=place > 1) for place, right in enumerate(n_right)]
    accuracies, breakdowns = nodes.evaluate(options, *tables)
    assert list(zip(accuracies["kind"], accuracies["n_train"], strict=True)) == [
        ("yes_no", 4),
        ("yes_no", 8),
        ("a_b", 4),
        ("a_b", 8),
    ]
    assert accuracies["accuracy"].tolist() == pytest.approx([right / 40 for right in n_right])
    published = pd.DataFrame(columns=PublishedResults.column_names())
    return section.describe(accuracies, breakdowns, published)


def test_every_kind_and_size_is_a_namespace() -> None:
    pipeline = create_pipeline(CHOSEN)
    spaces = {node.namespace for node in pipeline.nodes} - {"reward_model_comparison"}
    assert spaces == {f"reward_model_comparison.{kind}.n{size}" for kind in ("yes_no", "a_b") for size in (4, 8)}
    assert {
        "section.reward_model_comparison",
        "page.reward_model_comparison",
    } <= pipeline.all_outputs() | pipeline.outputs()
    of_pairs = pipeline.filter(node_namespaces=["reward_model_comparison.a_b.n8"])
    assert "prompt.reward_model_a_b" in of_pairs.inputs()
    assert "prompt.reward_model" not in of_pairs.inputs()


@pytest.mark.parametrize(
    ("n_right", "words"),
    [
        ((20, 22, 20, 21), "Not one of them is shown to be better than a coin"),
        ((20, 32, 20, 30), "The intervals overlap: these data rank no kind above another"),
        ((20, 40, 20, 24), "The first is ahead"),
    ],
)
def test_the_first_sentence_says_what_can_be_concluded(n_right: tuple[int, int, int, int], words: str) -> None:
    lead = described(n_right).parts[0]
    assert isinstance(lead, Paragraph)
    assert words in lead.text
    assert "Of 40 held-out comparisons, reward models trained on 8 are right" in lead.text


def test_the_section_has_the_curve_the_lengths_and_the_position_bias_of_pairs_alone() -> None:
    made = described((20, 30, 24, 36))
    figures = {part.name: part.figure for part in made.parts if isinstance(part, Figure)}
    curve = {trace.name: list(trace.y) for trace in figures["learning-curve"].data}
    assert curve == {"Yes or No": [0.5, 0.75], "A or B": [0.6, 0.9]}
    tables = [part for part in made.parts if isinstance(part, Table)]
    position = tables[-1].frame
    assert position["The reward model"].tolist() == ["prefers the one shown first", "same choice in both orders"] * 2
    assert position["Trained on"].tolist() == [4, 4, 8, 8]
    # shown first, a is always preferred; shown second, b is where the reward model is wrong
    assert position["Share"].tolist() == pytest.approx([(1 + 0.4) / 2, 0.6, (1 + 0.1) / 2, 0.9])
    assert "Position bias of A or B" in render_page("x", [made])
