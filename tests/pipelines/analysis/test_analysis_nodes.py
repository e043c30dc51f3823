"""The analysis' targets, measurements and estimates."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.analysis import create_pipeline, nodes
from ilf_kedro.pipelines.analysis.estimates import estimate_likelihoods
from ilf_kedro.pipelines.analysis.options import AnalysisOptions
from ilf_kedro.pipelines.analysis.targets import collect_targets, refine_held_out
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import Scores, Selections, Targets, UserError
from ilf_kedro.scoring import (
    embedding_similarity_scores,
    instruct_rm_scores,
    log_probability_scores,
    longest_scores,
    random_scores,
    select_best,
    verifier_scores,
)
from ilf_kedro.scoring.copying import copying_scores
from tests.support.analysis_tables import MODELS, REPORTING, divergences, likelihoods, log_likelihoods
from tests.support.example_tables import WITH_FEEDBACK, YES_NO, examples, refinements

POLICY = PromptTemplate(text="{{ title }} {{ post }} TL;DR:")
ARMS = ("refinements", "references", "initial_outputs")
REFINEMENT = PromptTemplate(text="{{ post }}|{{ initial_output }}|{{ feedback }}|{{ refinement }}")
FEEDBACK = PromptTemplate(text="{{ post }}|{{ initial_output }}|{{ refinement }}|{{ feedback }}")
RANDOM = SelectionOptions(target_scorer="random")


def selections(**texts: str) -> pd.DataFrame:
    rows = [(i.replace("_", "-"), "refinement_with_feedback", "random", 0, 0.5, text) for i, text in texts.items()]
    return Selections.from_rows(rows)


def held_out(**columns: object) -> pd.DataFrame:
    return examples(3, "validation", **columns)


@pytest.fixture(scope="module")
def model(tiny_model_directory) -> LocalLanguageModel:
    source = load_model_source("tiny", tiny_model_directory, format="chat", dtype="float32")
    return LocalLanguageModel(source)


def test_only_what_has_feedback_is_refined() -> None:
    refiner = ScriptedLanguageModel(complete=lambda prompt, i: f"{prompt.example_id} {i}.")
    table = held_out(feedback=["longer", None, " "])
    options = RefinementOptions(n_refinements=2)
    assert set(refine_held_out(table, refiner, WITH_FEEDBACK, options, 0)["example_id"]) == {"validation-0"}
    nothing = refine_held_out(held_out(feedback=None), refiner, WITH_FEEDBACK, options, 0)
    assert nothing.empty


def test_the_target_scorer_chooses_as_for_training() -> None:
    made = refinements({"validation-0": ["good", "much longer words"], "validation-1": ["quite bad words", "good"]})
    lengths = longest_scores(made, ScriptedLanguageModel())
    chosen = select_best(pd.concat([lengths, random_scores(made, 0)]), made)
    targets, _ = collect_targets(
        held_out(), SelectionOptions(target_scorer="longest"), chosen, arms=ARMS[:1], split="validation"
    )
    assert list(targets["target"]) == ["much longer words", "quite bad words"]


@pytest.mark.parametrize(
    "score",
    [
        lambda made, table, model: random_scores(made, 0),
        lambda made, table, model: longest_scores(made, model),
        lambda made, table, model: copying_scores(made, table),
        lambda made, table, model: instruct_rm_scores(made, table, model, YES_NO),
        lambda made, table, model: log_probability_scores(made, table, model, REFINEMENT, FEEDBACK),
        lambda made, table, model: embedding_similarity_scores(made, table, model),
        lambda made, table, model: verifier_scores(made, table, None),
    ],
)
def test_where_nothing_was_refined_a_scorer_chooses_nothing(score: Callable[..., pd.DataFrame]) -> None:
    model = ScriptedLanguageModel()
    nothing = refine_held_out(held_out(feedback=None), model, WITH_FEEDBACK, RefinementOptions(), 0)
    chosen = select_best(Scores.validate(score(nothing, held_out(feedback=None), model)), nothing)
    targets, missing = collect_targets(held_out(), RANDOM, chosen, arms=ARMS[:1], split="validation")
    assert targets.empty
    assert list(missing["n_missing"]) == [3]


def test_missing_targets_are_named_and_nothing_stands_in_for_them() -> None:
    table = held_out(reference=["a", None, "c"])
    chosen = selections(validation_0="Better.", validation_2="")
    targets, missing = collect_targets(
        table, RANDOM, chosen, arms=(*ARMS, "best_of_n_outputs", "refinements_no_feedback"), split="validation"
    )
    found = {arm: list(rows["target"]) for arm, rows in targets.groupby("arm")}
    assert found == {
        "refinements": ["Better."],
        "references": ["a", "c"],
        "initial_outputs": ["initial 0", "initial 1", "initial 2"],
    }
    counts = missing.set_index("arm")[["n", "n_missing"]].to_dict("index")
    assert counts == {
        "refinements": {"n": 3, "n_missing": 2},
        "references": {"n": 3, "n_missing": 1},
        "best_of_n_outputs": {"n": 3, "n_missing": 3},
        "refinements_no_feedback": {"n": 3, "n_missing": 3},
    }
    _, none = collect_targets(held_out(), RANDOM, arms=("references",), split="validation")
    assert none.empty


def test_a_models_measurements_are_of_its_own_arm_and_the_base_has_all(model: LocalLanguageModel) -> None:
    targets, _ = collect_targets(held_out(), RANDOM, arms=ARMS[1:], split="validation")
    inputs = examples(2)[["example_id", "title", "post"]]
    train = {f"{arm}.n2": Targets.validate(inputs.assign(target=f"Some {arm}.")) for arm in ARMS}
    base = nodes.measure_base_targets(model, targets, POLICY, arms=ARMS, split="validation", **train)
    counts = base.groupby(["split", "arm"]).size().to_dict()
    assert counts == {
        ("validation", "references"): 3,
        ("validation", "initial_outputs"): 3,
        **{("train", arm): 2 for arm in ARMS},
    }
    assert base.loc[base["split"] == "train", "train_size"].eq(2).all()
    prompt = POLICY.render("validation-1", title="title 1", post="post 1")
    (answer,) = model.log_likelihood([prompt], ["human 1"])
    row = base[(base["arm"] == "references") & (base["example_id"] == "validation-1")].iloc[0]
    assert row["log_likelihood"] == pytest.approx(sum(answer.log_probabilities), abs=1e-4)
    assert row["n_tokens"] == len(answer.log_probabilities)


def test_divergences_are_measured_both_ways_under_both_conditions(model: LocalLanguageModel, monkeypatch) -> None:
    monkeypatch.setattr(LocalLanguageModel, "with_checkpoint", lambda self, _: self)
    options = AnalysisOptions(samples_per_input=2, max_new_tokens=3, unconditional_samples=4, unconditional_tokens=2)
    table = nodes.measure_divergences(model, None, examples(3, "test"), POLICY, options, 0, model_name="m")
    counts = table.groupby(["condition", "direction"]).size().to_dict()
    conditions = {"test_inputs": 6, "unconditional": 4}
    assert counts == {(c, d): n for c, n in conditions.items() for d in ("forward", "backward")}
    assert (table[["log_ratio", "controlled"]] == 0).all(axis=None)  # the model against itself
    assert table.groupby("condition")["n_tokens"].max().to_dict() == {"test_inputs": 3, "unconditional": 2}


def test_models_that_tokenise_differently_have_no_divergence(model, monkeypatch) -> None:
    source = load_model_source("tiny", model.source.directory, format="plain", dtype="float32")
    monkeypatch.setattr(LocalLanguageModel, "with_checkpoint", lambda *_: LocalLanguageModel(source))
    with pytest.raises(UserError, match="tokenise the prompt of example 'test-0' differently"):
        nodes.measure_divergences(model, None, examples(1, "test"), POLICY, AnalysisOptions(), 0, model_name="m")


def test_likelihoods_are_ratios_of_sums_and_differences_are_paired() -> None:
    base = log_likelihoods("finetune.base", "refinements")
    tuned = log_likelihoods("finetune.refinements.n6", "refinements", per_token=1.5).iloc[:7]
    found = estimate_likelihoods(REPORTING, 0, base, tuned).set_index(["model", "metric"])["value"]
    nll = -tuned["log_likelihood"].sum() / tuned["n_tokens"].sum()
    assert found["finetune.refinements.n6", "nll_per_token"] == pytest.approx(nll)
    assert found["finetune.refinements.n6", "perplexity"] == pytest.approx(np.exp(nll))
    of_the_same = -base["log_likelihood"].iloc[:7].sum() / base["n_tokens"].iloc[:7].sum()
    assert found["finetune.refinements.n6", "nll_minus_base"] == pytest.approx(nll - of_the_same)
    assert ("finetune.base", "nll_minus_base") not in found.index


def test_every_model_has_every_estimate() -> None:
    table = divergences()
    assert len(table) == len(MODELS) * 2 * 2 * 2 * 2
    conditional = table[table["condition"] == "test_inputs"]
    assert conditional["monte_carlo_error"].notna().all()
    assert table.loc[table["condition"] == "unconditional", "monte_carlo_error"].isna().all()
    train = likelihoods().query("split == 'train' and metric == 'nll_per_token'")
    assert len(train) == len(MODELS)


def test_every_model_is_a_namespace_that_runs_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    pipeline = create_pipeline(["refinements", "references"], [4, 8], "development")
    alone = pipeline.filter(node_namespaces=["analysis.references.n8"])
    assert alone.all_outputs() == {
        "analysis.references.n8.target_log_likelihoods",
        "analysis.references.n8.divergence_samples",
    }
    assert "finetune.references.n8.checkpoint" in alone.inputs()
    assert "examples.development" in pipeline.inputs()
    assert "examples.validation" not in pipeline.inputs()
    assert "refiner" not in create_pipeline(["references"], [4], "validation").inputs()
