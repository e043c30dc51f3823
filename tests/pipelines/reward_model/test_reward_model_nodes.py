"""The reward model's nodes, and best-of-N's use of it: which examples are trained on, which reward is whose."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.protocol import Choice
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.finetune.best_of_n import reward_candidates
from ilf_kedro.pipelines.reward_model.nodes import evaluate_predictions, predict_preferences, train_reward_model
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.schemas import Outputs, RewardPredictions
from ilf_kedro.training.options import LoraOptions, TrainingOptions
from ilf_kedro.training.reward_model import reward_examples
from ilf_kedro.training.supervised import training_dtype, training_hash
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.support import example_tables
from tests.support.example_tables import examples
from tests.support.training_records import checkpoint

TEMPLATE = PromptTemplate(text="{{ title }}|{{ post }}|{{ output }}|", positive=("Yes",), negative=("No",))
PAIR_TEMPLATE = PromptTemplate(
    text="{{ title }}|{{ post }}|{{ output_a }}|{{ output_b }}|",
    positive=("A",),
    negative=("B",),
)
OPTIONS = RewardModelOptions()
QUALITY = {"poor": 0.2, "fair": 0.5, "good": 0.9}
TINY = TrainingOptions(batch_size=2, lora=LoraOptions(rank=1))


class RewardModel(ScriptedLanguageModel):
    """Weighs an output by QUALITY and the post's number, and remembers which checkpoint it was given."""

    checkpoint: Checkpoint | None = None

    def __init__(self) -> None:
        super().__init__(weigh=self._quality)
        self.asked: list[str] = []

    def with_checkpoint(self, checkpoint: Checkpoint) -> RewardModel:
        self.checkpoint = checkpoint
        return self

    def _quality(self, prompt: Prompt, choice: Choice) -> float:
        if choice.name == "Yes":
            self.asked.append(prompt.text)
        _, post, output, _ = prompt.text.split("|")
        reward = reward_of(post, output)
        return reward if choice.name == "Yes" else 1 - reward


def reward_of(post: str, output: str) -> float:
    """A reward that tells both inputs and outputs apart."""
    return QUALITY[output] + int(post.removeprefix("post ")) / 100


def comparisons(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Return comparisons (output a, output b, preferred) of post 0, 1, …; odd ones lack a title."""
    titles = [None if i % 2 else f"title {i}" for i in range(len(rows))]
    return example_tables.comparisons(rows, "validation", title=titles)


@pytest.fixture
def base(tiny_model_directory: Path) -> LocalLanguageModel:
    return LocalLanguageModel(ModelSource("tiny", tiny_model_directory, revision="r"))


class TestTraining:
    TABLE = comparisons(("poor", "good", "b"), ("good", "fair", "a"), ("fair", "poor", "a"))

    def train(
        self, base: LocalLanguageModel, path: Path, size: int | None, n: int = 3
    ) -> tuple[Checkpoint, pd.DataFrame]:
        options = RewardModelOptions(train_size=size, training=TINY)
        return train_reward_model(
            base, self.TABLE.head(n), TEMPLATE, PAIR_TEMPLATE, options, 5, TrainingWorkspace(path)
        )

    @pytest.mark.parametrize(("size", "n"), [(2, 2), (None, 3)])
    def test_the_first_comparisons_are_trained_on(
        self, base: LocalLanguageModel, tmp_path: Path, size: int | None, n: int
    ) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        trained, log = self.train(base, tmp_path, size)
        torch.set_num_threads(before)
        expected = reward_examples(self.TABLE.head(n), TEMPLATE)
        assert trained.record.n_examples == len(expected) == 2 * n
        dtype = training_dtype(base.source, TINY)
        assert trained.record.content_hash == training_hash(base.source, expected, TINY, dtype=dtype, seed=5)
        assert list(log["step"]) == list(range(1, n + 1))
        assert log["loss"].between(0, 50).all()

    def test_more_comparisons_than_there_are_is_refused_with_both_numbers(
        self, base: LocalLanguageModel, tmp_path: Path
    ) -> None:
        with pytest.raises(ValueError, match=r"reward_model\.train_size is 4, but the train split has 3 comparisons"):
            self.train(base, tmp_path, 4)
        assert not list(tmp_path.iterdir())

    def test_no_comparisons_at_all_names_the_columns_to_add(self, base: LocalLanguageModel, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"has 0 comparisons; (.|\n)*task.columns.comparison"):
            self.train(base, tmp_path, None, n=0)


class TestPredictions:
    def test_each_reward_is_that_of_its_own_post_and_output(self) -> None:
        model, trained = RewardModel(), checkpoint()
        table = comparisons(("poor", "good", "b"), ("good", "fair", "b"), ("fair", "fair", "a"))
        predictions = predict_preferences(model, trained, OPTIONS, TEMPLATE, PAIR_TEMPLATE, table, model)
        assert model.checkpoint is trained
        assert list(predictions["example_id"]) == list(table["example_id"])
        assert list(predictions["preferred"]) == ["b", "b", "a"]
        for (_, made), (_, asked) in zip(predictions.iterrows(), table.iterrows(), strict=True):
            better, worse = (reward_of(asked["post"], asked[column]) for column in ("chosen", "rejected"))
            a, b = (better, worse) if asked["preferred"] == "a" else (worse, better)
            assert (made["reward_a"], made["reward_b"]) == pytest.approx((a, b))
            log_odds = math.log(a / (1 - a)) - math.log(b / (1 - b))
            assert made["p_a_preferred"] == pytest.approx(1 / (1 + math.exp(-log_odds)))
        assert predictions["p_a_preferred"].iloc[2] == pytest.approx(0.5)

    def test_a_output_is_scored_without_sight_of_the_other_and_a_missing_title_is_empty(self) -> None:
        model = RewardModel()
        table = comparisons(("poor", "good", "b"), ("good", "fair", "a"))
        predict_preferences(model, checkpoint(), OPTIONS, TEMPLATE, PAIR_TEMPLATE, table, model)
        assert model.asked == [
            "title 0|post 0|poor|",
            "title 0|post 0|good|",
            "|post 1|good|",
            "|post 1|fair|",
        ]


class TestUntrained:
    """A model that is used as it is, such as an API's, is asked like a trained one, and never given weights."""

    def test_no_training_is_run_and_the_record_says_so(self, tmp_path: Path) -> None:
        options = RewardModelOptions(trained=False)
        model, workspace = RewardModel(), TrainingWorkspace(tmp_path)
        table = comparisons(("poor", "good", "b"))
        (made, log), (again, _) = (
            train_reward_model(model, table, TEMPLATE, PAIR_TEMPLATE, options, 5, workspace) for _ in range(2)
        )
        assert made == again
        assert (made.record.kind, made.record.n_examples, len(log)) == ("untrained", 0, 0)
        predictions = predict_preferences(model, made, options, TEMPLATE, PAIR_TEMPLATE, table, model)
        assert predictions["reward_a"].iloc[0] < predictions["reward_b"].iloc[0]
        assert model.checkpoint is None
        row, _, _ = evaluate_predictions(predictions, made, options)
        assert row["n_train"].iloc[0] == 0

    def test_a_model_that_cannot_be_trained_is_refused_with_what_to_do(self, tmp_path: Path) -> None:
        table = comparisons(("poor", "good", "b"))
        with pytest.raises(ValueError, match=r"not trained on this machine(.|\n)*reward_model\.trained to false"):
            train_reward_model(RewardModel(), table, TEMPLATE, PAIR_TEMPLATE, OPTIONS, 5, TrainingWorkspace(tmp_path))


def test_a_pairwise_reward_model_tells_both_orders() -> None:
    def likes_the_first(prompt: Prompt, choice: Choice) -> float:
        _, _, first, second, _ = prompt.text.split("|")
        p_first = 0.9 if QUALITY[first] > QUALITY[second] else 0.6 if first == "poor" else 0.3
        return p_first if choice.name == "A" else 1 - p_first

    model = ScriptedLanguageModel(weigh=likes_the_first)
    options = RewardModelOptions(kind="a_b", trained=False)
    table = comparisons(("poor", "good", "b"), ("good", "fair", "b"))
    asked = checkpoint(kind="untrained", method="none")
    made = predict_preferences(model, asked, options, TEMPLATE, PAIR_TEMPLATE, table, model)
    assert made["p_a_shown_first"].tolist() == pytest.approx([0.6, 0.9])
    assert made["p_a_shown_second"].tolist() == pytest.approx([0.1, 0.7])
    # the mean of the log-odds of both orders
    odds = [0.6 / 0.4 * 0.1 / 0.9, 0.9 / 0.1 * 0.7 / 0.3]
    assert made["p_a_preferred"].tolist() == pytest.approx([math.sqrt(each) / (1 + math.sqrt(each)) for each in odds])
    _, _, found = evaluate_predictions(made, asked, options)
    shares = found.set_index("measure")["share"]
    assert shares["shown_first"] == 0.75  # of four answers, one went to the second
    assert shares["same_in_both_orders"] == 0.5


class TestEvaluation:
    @staticmethod
    def evaluate(rows: list[tuple[str, float, float]]) -> tuple[pd.Series, pd.DataFrame]:
        """Evaluate (preferred, reward a, reward b); the probability is a's share of the two rewards."""
        table = pd.DataFrame(rows, columns=["preferred", "reward_a", "reward_b"])
        table["example_id"] = [f"e{i}" for i in range(len(rows))]
        table["p_a_preferred"] = table["reward_a"] / (table["reward_a"] + table["reward_b"])
        table = table.assign(p_a_shown_first=None, p_a_shown_second=None, n_tokens_a=3, n_tokens_b=3)
        predictions = RewardPredictions.validate(table[RewardPredictions.column_names()])
        accuracy, reliability, _ = evaluate_predictions(predictions, checkpoint(n_examples=6), RewardModelOptions())
        return accuracy.iloc[0], reliability

    def test_the_preferred_output_counts_whichever_letter_it_has(self) -> None:
        # right: a over b; right: b over a; wrong: b preferred, a higher; a tie: one half
        row, _ = self.evaluate([("a", 0.9, 0.1), ("b", 0.1, 0.9), ("b", 0.8, 0.2), ("b", 0.5, 0.5)])
        assert (row["n"], row["accuracy"], row["ties"]) == (4, (1 + 1 + 0 + 0.5) / 4, 1)
        assert (row["split"], row["n_train"]) == ("validation", 3)
        assert row["lower"] < row["accuracy"] < row["upper"]

    def test_calibration_is_of_a_being_preferred(self) -> None:
        row, reliability = self.evaluate([("a", 0.75, 0.25)] * 3 + [("b", 0.75, 0.25)] + [("b", 0.15, 0.85)] * 2)
        assert reliability.to_dict("records") == [
            {"p_mean": pytest.approx(0.15), "observed": 0.0, "n": 2},
            {"p_mean": pytest.approx(0.75), "observed": 0.75, "n": 4},
        ]
        assert row["expected_calibration_error"] == pytest.approx(0.15 * 2 / 6)

    def test_too_few_comparisons_carry_a_verdict_and_a_hundred_none(self) -> None:
        few, _ = self.evaluate([("a", 0.9, 0.1)] * 99)
        assert "99 comparisons are too few" in few["calibration_verdict"]
        enough, _ = self.evaluate([("a", 0.9, 0.1)] * 100)
        assert pd.isna(enough["calibration_verdict"])


def candidates(*rows: tuple[str, int, str]) -> pd.DataFrame:
    """Return candidates (example_id, sample index, text), their index not 0, 1, 2, …."""
    table = pd.DataFrame(rows, columns=["example_id", "sample_index", "text"])
    table = table.assign(model="m", raw_text=table["text"], finish_reason="stop", n_tokens=1, seed=0)
    table.index = pd.Index(range(10, 10 - len(rows), -1))
    return Outputs.validate(table[Outputs.column_names()])


def test_an_empty_candidate_gets_the_lowest_reward_and_the_others_keep_theirs() -> None:
    table = candidates(
        ("test-1", 0, "good"), ("test-0", 0, ""), ("test-0", 1, "fair"), ("test-1", 1, ""), ("test-2", 0, "poor")
    )
    model, trained = RewardModel(), checkpoint()
    rewards = reward_candidates(
        model, trained, OPTIONS, TEMPLATE, PAIR_TEMPLATE, table, examples(3, "test", reference=["good", None, ""])
    )
    assert model.checkpoint is trained
    assert len(model.asked) == 4
    human = rewards[rewards["model"] == "reference"]
    assert dict(zip(human["example_id"], human["reward"], strict=True)) == {
        "test-0": pytest.approx(reward_of("post 0", "good")),
        "test-2": 0.0,
    }
    own = rewards[rewards["model"] == "m"].to_dict("records")
    assert {(row["example_id"], row["sample_index"]): row["reward"] for row in own} == {
        ("test-1", 0): pytest.approx(reward_of("post 1", "good")),
        ("test-0", 0): 0.0,
        ("test-0", 1): pytest.approx(reward_of("post 0", "fair")),
        ("test-1", 1): 0.0,
        ("test-2", 0): pytest.approx(reward_of("post 2", "poor")),
    }


def test_where_every_candidate_is_empty_all_rewards_are_the_lowest() -> None:
    table = candidates(("test-0", 0, ""), ("test-0", 1, ""))
    rewards = reward_candidates(
        RewardModel(), checkpoint(), OPTIONS, TEMPLATE, PAIR_TEMPLATE, table, examples(1, "test", reference=[None])
    )
    assert list(rewards["reward"]) == [0.0, 0.0]
