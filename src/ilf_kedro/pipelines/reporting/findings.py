"""The report's first paragraph: honest sentences made from the tables."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from ilf_kedro.evaluation.win_rates import ALL_MODELS, ConsistentVerdicts, tells_models_apart
from ilf_kedro.pipelines.reporting.trainings import Training
from ilf_kedro.report.labels import arm_and_size, in_order, number_or_none
from ilf_kedro.report.prose import Prose
from ilf_kedro.schemas import DataFrame, JudgeAgreement, ModelMetrics, RewardModelAccuracy
from ilf_kedro.schemas.run_record import RunRecord

__all__ = [
    "FEW_INPUTS",
    "consistent_sentence",
    "judge_sentence",
    "likelihood_sentence",
    "opening",
    "reward_model_sentence",
    "weak_models",
]

_PROSE = Prose(__package__, "findings.j2")
FEW_INPUTS = 100
ENOUGH_COVERED = 0.5  # of a judge's probability on the two answers: below it, the report warns
_DEMONSTRATION_MODELS = ("smollm2-135m", "tiny-random")


def opening(
    metrics: DataFrame[ModelMetrics],
    agreement: DataFrame[JudgeAgreement],
    verdicts: ConsistentVerdicts,
    accuracy: DataFrame[RewardModelAccuracy],
    trainings: Sequence[Training],
    *,
    n_test: int,
    confidence: float,
) -> list[str]:
    """Return the sentences of the first paragraph, the judge's worth first."""
    sentences = [
        judge_sentence(agreement, verdicts, confidence) if len(agreement) else "",
        likelihood_sentence(metrics, trainings, confidence),
        reward_model_sentence(accuracy),
        _extent(agreement, trainings, n_test),
    ]
    return [sentence for sentence in sentences if sentence]


def judge_sentence(agreement: DataFrame[JudgeAgreement], verdicts: ConsistentVerdicts, confidence: float) -> str:
    """Say whether the judge can tell the models apart, and from what one knows that."""
    overall = agreement[agreement["model"] == ALL_MODELS]
    if overall.empty:
        return _PROSE.nothing_judged()
    row = overall.iloc[0]
    if row["n_pairs"] == 0:
        return _PROSE.no_verdicts(row)
    coverage = _PROSE.coverage(row, little=row["covered"] < ENOUGH_COVERED)
    if tells_models_apart(float(row["lower"])):
        return _PROSE.judge_tells(row, confidence, consistent_sentence(verdicts), coverage)
    if row["agreement"] > 0.5:
        return _PROSE.judge_not_known(row, confidence, coverage)
    return _PROSE.judge_cannot_tell(row, confidence, coverage)


def consistent_sentence(verdicts: ConsistentVerdicts) -> str:
    """Say how many of the verdicts that both orders agree on went to the reference, and to the longer one."""
    return _PROSE.consistent(verdicts)


def likelihood_sentence(metrics: DataFrame[ModelMetrics], trainings: Sequence[Training], confidence: float) -> str:
    """Say for each arm at its largest size whether it finds the references more probable than before."""
    differences = metrics[metrics["metric"] == "nll_minus_base"]
    largest = {trained[0]: model for model in in_order(differences["model"]) if (trained := arm_and_size(model))}
    if not largest:
        return ""
    rows = {str(row["model"]): row for row in differences.to_dict("records")}
    used = {training.model: training.n_examples for training in trainings}
    changes = [_change(arm, used.get(model), rows[model]) for arm, model in largest.items()]
    return _PROSE.likelihood(changes, confidence)


def reward_model_sentence(accuracy: DataFrame[RewardModelAccuracy]) -> str:
    """Say how often the reward model is right, and whether a coin might be."""
    if accuracy.empty:
        return ""
    return _PROSE.reward_model(accuracy.iloc[0])


def weak_models(run: RunRecord, judges: Iterable[str]) -> list[str]:
    """Return the names of the language models used that only demonstrate the loop.

    The judges count too: a run that only writes the report anew uses no language model itself.
    """
    names = {model.name for model in run.language_models} | set(judges)
    return sorted(name for name in names if any(weak in name.lower() for weak in _DEMONSTRATION_MODELS))


def _extent(agreement: DataFrame[JudgeAgreement], trainings: Sequence[Training], n_test: int) -> str:
    """Say how much the report rests on: inputs, how many of them were judged, and training examples."""
    if not n_test:
        return ""
    overall = agreement[agreement["model"] == ALL_MODELS]
    n_judged = int(overall["n_examples"].iloc[0]) if len(overall) else 0
    if n_test >= FEW_INPUTS:
        return _PROSE.partly_judged(n_judged, n_test, n_judged < FEW_INPUTS) if 0 < n_judged < n_test else ""
    largest = max((training.n_examples for training in trainings if training.asked is not None), default=0)
    return _PROSE.few(n_test, n_judged, largest)


def _change(arm: str, used: int | None, row: Mapping[Hashable, Any]) -> dict[str, object]:
    """Return what the sentence says of an arm; a change is clear where its rounded interval leaves 0 out."""
    _, size = arm_and_size(row["model"]) or (arm, 0)
    lower, upper = number_or_none(row["lower"]), number_or_none(row["upper"])
    return {
        "arm": arm,
        "n_examples": size if used is None else used,
        "value": row["value"],
        "lower": lower,
        "upper": upper,
        "is_small": lower is not None and upper is not None and round(lower, 3) == round(upper, 3) == 0,
        "is_clear": lower is not None and upper is not None and (round(upper, 3) < 0 or round(lower, 3) > 0),
    }
