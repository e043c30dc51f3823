"""Thin nodes: read rankings, measure outputs, compare every two arms."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation import contrasts as comparing
from ilf_kedro.evaluation.judge_and_people import corrected_win_rates, judge_figures
from ilf_kedro.evaluation.measurements import measured_outputs, measured_rankings
from ilf_kedro.evaluation.model_metrics import with_references
from ilf_kedro.evaluation.text_metrics import words
from ilf_kedro.pipelines.contrasts.method_rankings import read_method_rankings
from ilf_kedro.pipelines.contrasts.options import ContrastsOptions
from ilf_kedro.report.labels import arm_and_size, in_order
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import (
    Contrasts,
    CorrectedWinRates,
    DataFrame,
    Examples,
    JudgeFigures,
    LogLikelihoods,
    Measurements,
    Outputs,
    Rankings,
    RawRows,
    Rewards,
    Standings,
    UserError,
    Verdicts,
    Verified,
)
from ilf_kedro.tasks import Task


def read_rankings(raw: RawRows, examples: DataFrame[Examples], options: ContrastsOptions) -> DataFrame[Rankings]:
    """Read people's ranks of the methods' outputs of test inputs.

    Raises:
        InvalidDataError: it lists every fault of the file.
    """
    return read_method_rankings(raw, examples["example_id"].tolist(), options.names)


def measure_outputs(
    examples: DataFrame[Examples],
    outputs: DataFrame[Outputs],
    task: Task,
    options: ContrastsOptions,
    rankings: DataFrame[Rankings] | None = None,
    rewards: DataFrame[Rewards] | None = None,
    verified: DataFrame[Verified] | None = None,
    log_likelihoods: DataFrame[LogLikelihoods] | None = None,
    verdicts: DataFrame[Verdicts] | None = None,
) -> DataFrame[Measurements]:
    """Return what the compared models' outputs are worth by everything that there is a table of, people first.

    Raises:
        UserError: no model was trained at the size that is asked for.
    """
    table = measured_outputs(
        examples,
        outputs,
        rewards=rewards,
        verified=verified,
        log_likelihoods=log_likelihoods,
        verdicts=verdicts,
        rouge="rouge" in task.output.metrics,
    )
    if rankings is not None:
        texts = with_references(examples, outputs).rename(columns={"model": "arm"})
        texts["length"] = words(texts["text"].tolist())
        lengths = texts[texts["sample_index"] == 0][["example_id", "arm", "length"]]
        table = Measurements.validate(pd.concat([measured_rankings(rankings, lengths), table], ignore_index=True))
    return _of_one_size(table, options.train_size)


def compare_arms(
    measurements: DataFrame[Measurements], options: ContrastsOptions, reporting: ReportingOptions, seed: int
) -> tuple[DataFrame[Contrasts], DataFrame[Standings]]:
    """Compare every two arms, or the pairs that are named, and say where each stands.

    Raises:
        UserError: a named pair has a model that nothing is known of.
    """
    bootstrap = reporting.bootstrap(seed)
    known = set(measurements["arm"])
    if unknown := sorted({arm for pair in options.pairs or () for arm in pair} - known):
        raise UserError(
            f"contrasts.pairs names {', '.join(unknown)}, of which there are no outputs; expected models among "
            f"{', '.join(in_order(known))}. Correct the name, or set contrasts.pairs to null"
        )
    table = _in_report_order(measurements)
    return comparing.contrasts(table, bootstrap, options.pairs), comparing.standings(table, bootstrap)


def compare_judges(
    measurements: DataFrame[Measurements],
    options: ContrastsOptions,
    reporting: ReportingOptions,
    seed: int,
    verdicts: DataFrame[Verdicts] | None = None,
) -> tuple[DataFrame[JudgeFigures], DataFrame[CorrectedWinRates]]:
    """Set each judge beside people, and correct its win rates by what people ranked; empty without a judge."""
    table = _in_report_order(measurements)
    bootstrap = reporting.bootstrap(seed)
    return judge_figures(table, bootstrap, verdicts), corrected_win_rates(table, bootstrap, options.pairs)


def _in_report_order(measurements: DataFrame[Measurements]) -> DataFrame[Measurements]:
    """Sort by measure, as they come, and within each by arm; an arm's own rows stay in their order."""
    places = {arm: place for place, arm in enumerate(_last_first(set(measurements["arm"])))}
    by_arm = measurements.sort_values("arm", key=lambda arms: arms.map(places), kind="stable")
    table = by_arm.sort_values("measure", key=lambda names: names.map(_order(measurements)), kind="stable")
    return Measurements.validate(table.reset_index(drop=True))


def _order(measurements: pd.DataFrame) -> dict[str, int]:
    return {str(measure): place for place, measure in enumerate(measurements["measure"].unique())}


def _last_first(arms: set[str]) -> list[str]:
    """Put what is of interest first: trained arms, then best-of-N and others, then the base model and references."""
    trained = [arm for arm in in_order(arms) if arm_and_size(arm)]
    others = [arm for arm in in_order(arms) if arm not in trained]
    return [*trained, *reversed(others)]


def _of_one_size(table: DataFrame[Measurements], train_size: int | None) -> DataFrame[Measurements]:
    sizes = {arm: found[1] for arm in table["arm"].unique() if (found := arm_and_size(str(arm)))}
    wanted = train_size if train_size is not None else max(sizes.values(), default=None)
    if wanted is not None and sizes and wanted not in sizes.values():
        raise UserError(
            f"contrasts.train_size is {wanted}, but models were trained on {sorted(set(sizes.values()))}; name one of "
            "these, or set null for the largest"
        )
    kept = table[[sizes.get(arm, wanted) == wanted for arm in table["arm"]]]
    return Measurements.validate(kept.reset_index(drop=True))
