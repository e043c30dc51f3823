"""How the models of the rounds do on the test inputs, each beside one round of the same total size."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate, mean_share_estimate
from ilf_kedro.evaluation.log_likelihoods import nll_difference, nll_per_token
from ilf_kedro.evaluation.text_metrics import rouge_l
from ilf_kedro.language_models.protocol import TokenCounter
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import DataFrame, Examples, LogLikelihoods, Outputs, RoundMetrics, RoundModels, Verified

ONE_ROUND = "one_round"
_DIFFERENCE = "_minus_one_round"
BEFORE = "_minus_round_before"


def collect_models(*rows: DataFrame[RoundModels]) -> DataFrame[RoundModels]:
    """Put the descriptions of all models into one table."""
    return RoundModels.validate(pd.concat(rows, ignore_index=True))


def collect_outputs(*tables: DataFrame[Outputs]) -> DataFrame[Outputs]:
    """Put the test outputs of all models into one table."""
    return Outputs.validate(pd.concat(tables, ignore_index=True))


def collect_log_likelihoods(*tables: DataFrame[LogLikelihoods]) -> DataFrame[LogLikelihoods]:
    """Put the log-likelihoods of the human test outputs into one table."""
    return LogLikelihoods.validate(pd.concat(tables, ignore_index=True))


def measure_rounds(
    examples: DataFrame[Examples],
    models: DataFrame[RoundModels],
    outputs: DataFrame[Outputs],
    log_likelihoods: DataFrame[LogLikelihoods],
    base_model: TokenCounter,
    options: ReportingOptions,
    seed: int,
    verified: DataFrame[Verified] | None = None,
) -> DataFrame[RoundMetrics]:
    """Estimate the NLL of references (nats per token), ROUGE-L and length (tokens) of every model.

    Each also as the paired difference from the one-round model of the same train size, with bootstrap intervals
    over test inputs. With `verified`, the verifier's scores of test outputs, also the pass rate, and its difference
    from that of the round before.
    """
    bootstrap = options.bootstrap(seed)
    texts = outputs.merge(examples[["example_id", "reference"]], on="example_id")
    texts["rouge_l"] = rouge_l(texts["text"].tolist(), texts["reference"].tolist())
    texts["length_tokens"] = base_model.count_tokens(texts["text"].tolist())
    one_round = models[models["mode"] == ONE_ROUND].set_index("train_size")["model"]
    rows = []
    for described in models.to_dict("records"):
        model, baseline = str(described["model"]), str(one_round[described["train_size"]])
        rows += [
            {"model": model, "feedback_source": described["feedback_source"], "metric": metric, **asdict(estimate)}
            for metric, estimate in (
                *_nll(log_likelihoods, model, baseline, bootstrap),
                *_means(texts, model, baseline, "rouge_l", bootstrap),
                *_means(texts, model, baseline, "length_tokens", bootstrap),
                *_pass_rates(verified, model, {_DIFFERENCE: baseline, BEFORE: _before(models, described)}, bootstrap),
            )
        ]
    return RoundMetrics.from_rows(rows)


def _nll(
    log_likelihoods: DataFrame[LogLikelihoods], model: str, baseline: str, bootstrap: Bootstrap
) -> Iterator[tuple[str, Estimate]]:
    own, other = (log_likelihoods[log_likelihoods["model"] == name] for name in (model, baseline))
    yield "nll_per_token", nll_per_token(own, bootstrap)
    if model != baseline:
        yield f"nll_per_token{_DIFFERENCE}", nll_difference(own, other, bootstrap)


def _means(
    texts: pd.DataFrame, model: str, baseline: str, metric: str, bootstrap: Bootstrap
) -> Iterator[tuple[str, Estimate]]:
    values = texts.pivot_table(index="example_id", columns="model", values=metric, aggfunc="mean")
    yield metric, mean_estimate(values[model].dropna(), bootstrap)
    if model != baseline:
        difference = np.asarray((values[model] - values[baseline]).dropna())
        yield f"{metric}{_DIFFERENCE}", mean_estimate(difference, bootstrap)


def _pass_rates(
    verified: DataFrame[Verified] | None, model: str, baselines: Mapping[str, str], bootstrap: Bootstrap
) -> Iterator[tuple[str, Estimate]]:
    if verified is None:
        return
    scored = verified.dropna(subset=["score"])
    passed = scored.assign(passed=(scored["score"] >= 1).astype(float))
    rates = passed.pivot_table(index="example_id", columns="model", values="passed", aggfunc="mean")
    if model not in rates:
        return
    yield "pass_rate", mean_share_estimate(rates[model].dropna(), bootstrap)
    for suffix, baseline in baselines.items():
        if baseline != model and baseline in rates:
            yield f"pass_rate{suffix}", mean_estimate((rates[model] - rates[baseline]).dropna(), bootstrap)


def _before(models: DataFrame[RoundModels], described: Mapping[Hashable, object]) -> str:
    """Return the model that a later round began with; of a model of one round, itself."""
    if described["mode"] == ONE_ROUND:
        return str(described["model"])
    earlier = models[models["round"] == int(str(described["round"])) - 1]
    of_mode = earlier[earlier["mode"].isin([described["mode"], ONE_ROUND])]
    return str(of_mode.sort_values("mode", key=lambda modes: modes == ONE_ROUND)["model"].iloc[0])
