"""Tables of a small run that never happened, for the reporting tests: the columns real, the figures drawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ilf_kedro import schemas
from ilf_kedro.schemas.run_record import (
    ApiSpending,
    DatasetVersion,
    GitState,
    LanguageModelUsed,
    LocalWork,
    NodeCost,
    RunRecord,
)

ROOT = Path(__file__).parents[2]
ARMS = ("refinements", "references", "initial_outputs")
METHODS = ("refinement_with_feedback", "refinement_without_feedback")
SCORERS = ("random", "longest", *(f"instruct_rm_{i}" for i in range(1, 6)), "instruct_rm_ensemble")
POST = (
    "My landlord says that I owe $1.5k for a carpet that was old when I moved in.\n\nI have photos & a receipt, and "
    "<b>he</b> knows it. We talked twice; each time he promised to look at it, and each time a new bill came instead. "
) * 3
SENTENCE = "the author asks whether a landlord may charge for an old carpet and what to do with photos"


@dataclass(frozen=True)
class FakeRun:
    """What the pipelines before reporting would have left, for `n_test` inputs and the given sizes.

    The larger tables are made once for all tests: copy one before you change it.
    """

    n_test: int = 12
    n_train: int = 10
    sizes: tuple[int, ...] = (8, 16, 40)
    n_refinements: int = 5
    seed: int = 0

    @property
    def models(self) -> tuple[str, ...]:
        return (
            "finetune.base",
            *(f"finetune.{arm}.n{size}" for arm in ARMS for size in self.sizes),
            "finetune.best_of_n",
        )

    def text(self, rng: np.random.Generator, low: int = 8, high: int = 30) -> str:
        return " ".join(rng.choice(SENTENCE.split(), size=int(rng.integers(low, high)))).capitalize() + "."

    def examples(self, split: str, n: int, title: str = "Landlord & carpet") -> pd.DataFrame:
        rng = np.random.default_rng([self.seed, len(split)])
        rows = [
            {
                "example_id": f"{split}-{i}",
                "input_id": f"{split}-{i}",
                "split": split,
                "position": i,
                "title": title,
                "post": POST,
                "reference": self.text(rng),
                "initial_output": self.text(rng) if split != "test" else None,
                "feedback": "The output should say that there are photos and a receipt." if split != "test" else None,
                "annotator": None,
                "group": "legaladvice",
                "other": "{}",
            }
            for i in range(n)
        ]
        return schemas.Examples.validate(pd.DataFrame(rows))

    def offer(self) -> pd.DataFrame:
        counts = {"train": self.n_train, "test": self.n_test}
        things = [name for name in schemas.Offers.column_names() if name != "split"]
        return schemas.Offers.from_rows({"split": split, **dict.fromkeys(things, n)} for split, n in counts.items())

    def refinements(self, method: str) -> pd.DataFrame:
        rng = np.random.default_rng([self.seed, len(method)])
        rows = [
            {
                "example_id": f"train-{i}",
                "method": method,
                "sample_index": k,
                "text": self.text(rng) if (i, k) != (0, 3) else "",
                "raw_text": "",
                "finish_reason": "stop",
                "n_tokens": 20,
                "seed": 1,
                "draw_index": k,
                "resampled": False,
                "status": "unique",
            }
            for i in range(self.n_train)
            for k in range(self.n_refinements)
        ]
        return schemas.Refinements.validate(pd.DataFrame(rows))

    @cache  # noqa: B019  # a handful of runs
    def all_refinements(self) -> pd.DataFrame:
        return pd.concat([self.refinements(method) for method in METHODS], ignore_index=True)

    @cache  # noqa: B019  # a handful of runs
    def scores(self) -> pd.DataFrame:
        rng = np.random.default_rng(self.seed)
        refinements = self.all_refinements()
        parts = []
        for scorer in SCORERS:
            score = rng.uniform(0.3, 0.6, len(refinements))
            if scorer == "longest":
                score = refinements["text"].str.split().str.len().to_numpy(dtype=float) * 1.3
            part = refinements[["example_id", "method", "sample_index"]].assign(scorer=scorer, score=score)
            parts.append(part.assign(score=part["score"].where(refinements["text"] != "")))
        return schemas.Scores.validate(pd.concat(parts, ignore_index=True))

    @cache  # noqa: B019  # a handful of runs
    def selections(self) -> pd.DataFrame:
        best = self.scores().sort_values("score", ascending=False).drop_duplicates(["example_id", "method", "scorer"])
        chosen = best.merge(self.all_refinements()[["example_id", "method", "sample_index", "text"]])
        return schemas.Selections.validate(chosen[schemas.Selections.column_names()])

    def outputs(self, model: str) -> pd.DataFrame:
        rng = np.random.default_rng([self.seed, len(model)])
        rows = [
            {
                "example_id": f"test-{i}",
                "model": model,
                "sample_index": 0,
                "text": self.text(rng, 4, 20 + 2 * len(model) % 13),
                "raw_text": "",
                "finish_reason": "stop",
                "n_tokens": 20,
                "seed": 1,
            }
            for i in range(self.n_test)
        ]
        return schemas.Outputs.validate(pd.DataFrame(rows))

    def log_likelihoods(self, model: str) -> pd.DataFrame:
        rng = np.random.default_rng(self.seed)
        n_tokens = rng.integers(20, 48, self.n_test)
        hardness = rng.normal(3.1, 0.3, self.n_test)
        own = np.random.default_rng([self.seed, len(model), 1]).normal(0, 0.02, self.n_test)
        gain = 0.0 if model == "finetune.base" else 0.04 + 0.03 * self.models.index(model) % 0.17
        rows = {
            "example_id": [f"test-{i}" for i in range(self.n_test)],
            "model": model,
            "text_kind": "reference",
            "log_likelihood": -(hardness - gain + own) * n_tokens,
            "n_tokens": n_tokens,
        }
        return schemas.LogLikelihoods.validate(pd.DataFrame(rows))

    def training_log(self, n_steps: int, n_examples: int = 40) -> pd.DataFrame:
        rng = np.random.default_rng([self.seed, n_steps])
        steps = np.arange(1, n_steps + 1)
        loss = 3.4 * steps**-0.1 + rng.normal(0, 0.08, n_steps)
        log = {"step": steps, "epoch": steps / n_steps, "loss": loss, "learning_rate": 2e-4, "gradient_norm": 1.0}
        return schemas.TrainingLog.validate(pd.DataFrame(log | {"n_examples": n_examples, "n_truncated": 2}))

    def rewards(self) -> pd.DataFrame:
        rng = np.random.default_rng(self.seed)
        rows = [
            {"example_id": f"test-{i}", "model": model, "sample_index": 0, "reward": rng.uniform(0.35, 0.6)}
            for model in ("reference", *self.models)
            for i in range(self.n_test)
        ]
        return schemas.Rewards.validate(pd.DataFrame(rows))

    def candidates(self) -> pd.DataFrame:
        """Four candidates of each test post."""
        rng = np.random.default_rng(self.seed)
        rows = [(f"test-{i}", "finetune.best_of_n", k, self.text(rng)) for i in range(self.n_test) for k in range(4)]
        table = pd.DataFrame(rows, columns=["example_id", "model", "sample_index", "text"])
        table = table.assign(raw_text=table["text"], finish_reason="stop", n_tokens=9, seed=0)
        return schemas.Outputs.validate(table)

    def candidate_rewards(self) -> pd.DataFrame:
        """Their rewards, and those of the references."""
        table = self.candidates()[["example_id", "model", "sample_index"]]
        human = table[table["sample_index"] == 0].assign(model="reference")
        both = pd.concat([table, human], ignore_index=True)
        rewards = np.random.default_rng(self.seed).uniform(0.35, 0.6, len(both))
        return schemas.Rewards.validate(both.assign(reward=rewards))

    def verdicts(self, steadiness: float = 0.3) -> pd.DataFrame:
        """Verdicts of a judge that goes by the texts with probability `steadiness`, else by the first place."""
        rng = np.random.default_rng(self.seed)
        rows = []
        for model in self.models:
            for i in range(self.n_test):
                better = rng.choice(["model", "baseline"])
                consistent = rng.random() < steadiness
                for order in ("model_first", "baseline_first"):
                    prefers = better if consistent else order.removesuffix("_first")
                    first = prefers == order.removesuffix("_first")
                    rows.append(
                        (
                            f"test-{i}",
                            model,
                            "reference",
                            order,
                            0.6 if first else 0.4,
                            prefers,
                            "smollm2-135m-instruct",
                            0.8,
                        )
                    )
        return schemas.Verdicts.from_rows(rows)

    def accuracy(self, n: int = 12, confidence: float = 0.9) -> pd.DataFrame:
        from statsmodels.stats.proportion import proportion_confint

        right = round(0.58 * n)
        lower, upper = proportion_confint(right, n, alpha=1 - confidence, method="wilson")
        verdict = f"{n} comparisons are too few to judge calibration by (at least 100 are needed)" if n < 100 else None
        row = {
            "split": "validation",
            "n_train": 40,
            "n": n,
            "accuracy": right / n,
            "standard_error": (right / n * (1 - right / n) / (n - 1)) ** 0.5,
            "lower": lower,
            "upper": upper,
            "confidence": confidence,
            "ties": 0,
            "n_undefined": 0,
            "expected_calibration_error": 0.08,
            "calibration_verdict": verdict,
        }
        return schemas.RewardModelAccuracy.validate(pd.DataFrame([row]))

    def reliability(self) -> pd.DataFrame:
        curve = {
            "p_mean": [0.15, 0.35, 0.55, 0.75, 0.9],
            "observed": [0.25, 0.4, 0.5, 0.7, 0.8],
            "n": [5, 40, 60, 30, 9],
        }
        return schemas.Reliability.validate(pd.DataFrame(curve))

    def breakdown(self) -> pd.DataFrame:
        rows = [
            ("accuracy_by_length", "11 or more shorter", 5, 0.4, 0.24, 0.12, 0.77),
            ("accuracy_by_length", "4 to 10 longer", 7, 0.71, 0.18, 0.36, 0.92),
            ("longer_preferred", "people", 12, 0.58, 0.15, 0.32, 0.81),
            ("longer_preferred", "reward model", 12, 0.83, 0.11, 0.55, 0.95),
        ]
        columns = schemas.RewardModelBreakdown.column_names()
        return schemas.RewardModelBreakdown.validate(pd.DataFrame(rows, columns=columns))

    def text_statistics(self) -> pd.DataFrame:
        rows = [
            (split, text, "tokens", n, 30.5, 1.25, 29.0, 48.0)
            for split, n in (("train", self.n_train), ("development", 8), ("validation", 12), ("test", self.n_test))
            for text in ("title", "post", "reference", "initial_output", "feedback")
        ]
        rows.append(("development", "feedback", "seconds", 0, None, None, None, None))
        columns = schemas.TextStatistics.column_names()
        return schemas.TextStatistics.validate(pd.DataFrame(rows, columns=columns))

    def rejected_rows(self) -> pd.DataFrame:
        return schemas.RejectedRows.from_rows([])

    def published(self) -> pd.DataFrame:
        return schemas.PublishedResults.validate(pd.read_csv(ROOT / "data/01_raw/published_results.csv"))

    @staticmethod
    def api_model(usd: float | None) -> LanguageModelUsed:
        """A model behind an API that was paid for."""
        spending = ApiSpending(
            requests=1234,
            input_tokens=45678,
            output_tokens=9012,
            usd=usd,
            possibly_billed_usd=0.25,
            answers_from_cache=77,
            saved_usd=usd,
            budget=10.0,
            faults={"status 429": 3},
        )
        return LanguageModelUsed(dataset="refiner", name="api-model", revision="api-model", api_spending=spending)

    def run_record(self) -> RunRecord:
        return RunRecord(
            run_id="2026-11-22T17.34.18.123Z",
            outcome="started",
            started=datetime(2026, 11, 22, 17, 34, 18, tzinfo=UTC),
            command="kedro run",
            pipelines=("__default__",),
            environment="base",
            git=GitState(commit="3160b6ec0ffee3160b6ec0ffee3160b6ec0ffee1", clean=False),
            parameters={"seed": 0, "train_sizes": list(self.sizes), "note": "<script>alert(1)</script>"},
            loaded=(DatasetVersion(name="raw.train", content_hash="ab" * 32),),
            saved=(DatasetVersion(name="examples.train", version="2026-11-22T17.34.18.123Z"),),
            language_models=(
                LanguageModelUsed(
                    dataset="judge",
                    name="smollm2-135m-instruct",
                    revision="cd" * 32,
                    local_work=LocalWork(
                        answers_from_cache=17,
                        answers_computed=23,
                        tokens_asked=987654,
                        tokens_computed=123456,
                        inputs_truncated=5,
                    ),
                ),
                LanguageModelUsed(dataset="base_model", name="smollm2-135m-instruct", revision="cd" * 32),
            ),
            libraries={"torch": "2.13.0", "kedro": "1.7.0"},
            python="3.11.2",
            platform="Linux x86_64, 2 CPUs",
            nodes_planned=40,
            nodes=(
                NodeCost(
                    name="validate_splits", seconds=0.41, cpu_seconds=0.4, peak_memory_mb=410, memory_increase_mb=3
                ),
                NodeCost(
                    name="finetune.refinements.n40.train",
                    seconds=61.2,
                    cpu_seconds=118.9,
                    peak_memory_mb=2210,
                    memory_increase_mb=1210,
                ),
            ),
        )
