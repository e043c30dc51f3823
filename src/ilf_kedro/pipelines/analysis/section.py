"""What the analysis found, as a section of the report and a page of its own."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from ilf_kedro.pipelines.analysis.figures import BASE, divergences_figure, likelihoods_figure, train_targets_figure
from ilf_kedro.pipelines.analysis.options import AnalysisOptions
from ilf_kedro.pipelines.analysis.published import published_divergences, published_likelihoods, readable, with_error
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.pipelines.reporting.options import ReportingOptions
from ilf_kedro.report.labels import arm_and_size, in_order, model_label, number_or_none, signed, words_of
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Part, Section, Table
from ilf_kedro.schemas import DataFrame, Divergences, MissingTargets, PublishedResults, TargetLikelihoods

_CONDITIONS = {"test_inputs": "given test inputs", "unconditional": "unconditional"}
_COLUMNS = {"nll_per_token": ("NLL", 3), "perplexity": ("perplexity", 2), "nll_minus_base": ("Δ NLL", 4)}
_FEW = 30


def describe_analysis(
    likelihoods: DataFrame[TargetLikelihoods],
    missing: DataFrame[MissingTargets],
    divergences: DataFrame[Divergences],
    published: DataFrame[PublishedResults],
    options: AnalysisOptions,
    reporting: ReportingOptions,
    *,
    left_out: Sequence[Arm] = (),
) -> Section:
    """Describe what finetuning did to each model, in plain words first, with the published figures beside."""
    return Section(
        "analysis",
        "What finetuning did to the models",
        (
            Paragraph(_lead(likelihoods, divergences), lead=True),
            *_left_out(left_out),
            *_likelihood_parts(likelihoods, missing, published, options, reporting),
            *_divergence_parts(divergences, published, options, reporting),
        ),
    )


def _lead(likelihoods: pd.DataFrame, divergences: pd.DataFrame) -> str:
    """Say what the largest models came to, calling a difference one only where its interval leaves 0 out."""
    largest = max((arm_and_size(model) or ("", 0))[1] for model in divergences["model"])
    suffix = f".n{largest}"
    changed = likelihoods[(likelihoods["metric"] == "nll_minus_base") & likelihoods["model"].str.endswith(suffix)]
    clauses = []
    for row in changed.to_dict("records"):
        sure = pd.notna(row["lower"]) and (row["upper"] < 0 or row["lower"] > 0)
        change = f"{signed(row['value'])} nats per token" if sure else "no difference beyond its interval"
        clauses.append(f"{words_of(row['arm'])} {change}")
    likelier = "; ".join(clauses) or "not measured"
    chosen = divergences.query(
        "condition == 'test_inputs' and estimator == 'controlled' and unit == 'nats_per_sequence'"
    )
    moved = [
        f"{words_of((arm_and_size(row['model']) or ('', 0))[0])} {readable(row['value'], 3)} ({_range(row, 3)})"
        for row in chosen[chosen["model"].str.endswith(suffix)].to_dict("records")
        if row["direction"] == "forward"
    ]
    return (
        f"After {largest:,} inputs, the NLL of held-out targets of an arm's kind less the base model's: {likelier}. "
        f"Forward divergence from the base model given test inputs, in nats per sequence: {'; '.join(moved)}."
    )


def _left_out(arms: Sequence[Arm]) -> list[Part]:
    if not arms:
        return []
    names = " and ".join(words_of(arm) for arm in arms)
    return [Paragraph(f"Not measured: {names}, whose models answer other prompts than the base model's outputs.")]


def _likelihood_parts(
    likelihoods: DataFrame[TargetLikelihoods],
    missing: DataFrame[MissingTargets],
    published: DataFrame[PublishedResults],
    options: AnalysisOptions,
    reporting: ReportingOptions,
) -> list[Part]:
    held_out = likelihoods[likelihoods["split"] != "train"]
    tuned = held_out[held_out["model"] != BASE]
    parts: list[Part] = [
        Heading("Likelihood of each arm's own kind of target"),
        Paragraph(
            f"Targets of the {options.split} split, which no model was trained on: references for the human "
            "outputs arm, and so on. Arms have different texts, so a lower figure of one arm than of another "
            "does not make it better; compare within an arm. The end-of-sequence token is not counted."
        ),
    ]
    if len(missing):
        gaps = [
            f"{words_of(row['arm'])}: {row['n_missing']:,} of {row['n']:,} without a target ({row['reason']})"
            for row in missing.to_dict("records")
        ]
        parts.append(Paragraph("Missing, and not replaced by anything: " + "; ".join(gaps) + "."))
    if len(tuned):
        if tuned["n"].min() < _FEW:
            parts.append(Paragraph(f"With {tuned['n'].min()} inputs the intervals are rough."))
        caption = (
            f"Dots: finetuned models with {reporting.confidence:.0%} bootstrap intervals over inputs. Dashed: the "
            "base model on the same texts. Below 0 in the last panel, the finetuned model finds them likelier."
        )
        parts.append(Figure("likelihoods", likelihoods_figure(likelihoods, reporting.confidence), caption))
        caption = "NLL in nats per token; Δ is less the base model's on the same texts, paired by post."
        parts.append(Table(_likelihood_table(held_out), caption, column_digits=dict(_COLUMNS.values())))
    parts += [
        Heading("Likelihood of the train targets under the base model"),
        Paragraph("How far each arm's targets are from what the base model would write; before any finetuning."),
        Figure(
            "train-targets",
            train_targets_figure(likelihoods, reporting.confidence),
            f"With {reporting.confidence:.0%} bootstrap intervals over inputs.",
        ),
    ]
    beside = published_likelihoods(likelihoods, published)
    parts.append(
        Table(
            beside,
            "GPT-3 175B and its tokens in the paper, our base model and its own tokens here: compare the order. "
            "Each figure stands after its train size.",
            prose=True,
        )
    )
    return parts


def _divergence_parts(
    divergences: DataFrame[Divergences],
    published: DataFrame[PublishedResults],
    options: AnalysisOptions,
    reporting: ReportingOptions,
) -> list[Part]:
    parts: list[Part] = [
        Heading("Divergence from the base model"),
        Paragraph(
            "Forward is KL(base‖finetuned), estimated from the base model's samples; backward is "
            "KL(finetuned‖base), from the finetuned model's. Samples are drawn at temperature 1 from the whole "
            "vocabulary, and the very tokens that were drawn are scored under both models, the end-of-sequence "
            f"token with them. Given test inputs: at most {options.max_new_tokens} tokens, "
            f"{options.samples_per_input} {_plural(options.samples_per_input, 'sample')} per post; unconditional: at "
            f"most {options.unconditional_tokens} tokens from the start-of-text token. What lies beyond is not counted."
        ),
        Paragraph(
            "Both estimates are unbiased. The plain one averages log ratios, may come out below 0, and is what was "
            "published; the one with a control variate adds r − 1 (mean 0) token by token, is never below 0, and is "
            "the surer one where the models are alike, the less sure where they are far apart. Where the two "
            "disagree by more than their errors, there are too few samples. Rounding between drawing and scoring "
            f"changes an estimate by about {_discrepancy(divergences)} nats per sequence."
        ),
    ]
    for condition, words in _CONDITIONS.items():
        unit = "inputs" if condition == "test_inputs" else "samples"
        figure = divergences_figure(divergences, condition, reporting.confidence)
        caption = (
            f"Divergence {words}, with {reporting.confidence:.0%} bootstrap intervals over {unit}. "
            "Filled: the plain estimate; open: with the control variate."
        )
        parts.append(Figure(condition.replace("_", "-"), figure, caption))
        sampling = (
            "the part of it that is due to sampling alone stands apart (a dash with one sample per post)"
            if condition == "test_inputs"
            else "all of it is due to sampling"
        )
        caption = f"Nats per sequence, {words}. n counts {unit}; ± is the standard error over them, and {sampling}."
        parts.append(Table(_divergence_table(divergences, condition), caption, 4))
    parts.append(
        Table(
            published_divergences(divergences, published),
            "The paper's are GPT-3 175B after 5,000 inputs, unconditional, mean and error of two runs; its notebook "
            "does not say whether they are per sequence or per token. Ours: the largest train size, unconditional, "
            "the plain estimate.",
            prose=True,
        )
    )
    return parts


def _likelihood_table(held_out: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (model, arm), group in held_out.groupby(["model", "arm"], sort=False):
        by_metric = {found["metric"]: found for found in group.to_dict("records")}
        row: dict[str, object] = {"model": model_label(str(model), 0), "targets": words_of(str(arm))}
        row["n"] = int(group["n"].iloc[0])
        for metric, (short, digits) in _COLUMNS.items():
            if metric in by_metric:
                found = by_metric[metric]
                row |= {short: found["value"], f"{short}: interval": _range(found, digits)}
        rows.append(row)
    return pd.DataFrame(rows)


def _divergence_table(divergences: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return one row per model and direction, the plain estimate first, then that with the control variate."""
    shown = divergences[divergences["condition"] == condition]
    rows = []
    for model in in_order(shown["model"]):
        for direction, group in shown[shown["model"] == model].groupby("direction", sort=False):
            found = {(row["estimator"], row["unit"]): row for row in group.to_dict("records")}
            plain, controlled = (found[name, "nats_per_sequence"] for name in ("log_ratio", "controlled"))
            rows.append(
                {
                    "model": model_label(model, 0),
                    "direction": str(direction),
                    "n": int(plain["n"]),
                    "plain": with_error(plain, 4),
                    "of sampling": number_or_none(plain["monte_carlo_error"]),
                    "plain: interval": _range(plain, 4),
                    "with control": with_error(controlled, 4),
                    "with control: interval": _range(controlled, 4),
                    "plain, per token": with_error(found["log_ratio", "nats_per_token"], 4),
                    "with control, per token": with_error(found["controlled", "nats_per_token"], 4),
                }
            )
    table = pd.DataFrame(rows)
    return table.drop(columns="of sampling") if condition == "unconditional" else table


def _range(row: Mapping[Hashable, Any], digits: int) -> str:
    """Return an interval's ends, or that there is none."""
    if pd.isna(row["lower"]):
        return "no interval"
    return f"{readable(row['lower'], digits)} to {readable(row['upper'], digits)}"


def _discrepancy(divergences: pd.DataFrame) -> str:
    return f"{divergences['discrepancy'].abs().max():.1g}"


def _plural(n: int, word: str) -> str:
    return word if n == 1 else f"{word}s"
