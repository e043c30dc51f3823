"""Log-probability scorers: terms against plain passes over whole texts, rankings against the reference's."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from ilf_kedro.language_models.local import runtime
from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions, load_model_source
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import Capability, MissingCapabilityError
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import UserError
from ilf_kedro.scoring import select_best
from ilf_kedro.scoring.log_probability import (
    LOG_PROBABILITY_SCORERS,
    LogProbabilityTerms,
    log_probability_scores,
    scores_from_terms,
)
from ilf_kedro.scoring.log_probability_texts import mark
from tests.support.example_tables import examples, refinements
from tests.support.misbehaving_server import MisbehavingServer, log_probability
from tests.support.whole_texts import Oracle

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
CASES = json.loads((ROOT / "tests" / "reference" / "method_cases.json").read_text())["log_probability"]
# The reference's names of rankings, and ours.
NAMES = {
    "r_given_xyf": "refinement_given_feedback",
    "r_given_x": "refinement_given_input",
    "f_given_xr": "feedback_given_refinement",
    "f_given_xr_minus_expected_feedback": "feedback_near_expected",
    "f_given_xr_minus_r_given_xyf": "feedback_minus_refinement_given_feedback",
    "f_given_xr_minus_r_given_x": "feedback_minus_refinement_given_input",
    "f_given_xr_minus_r_given_xyf_minus_expected_feedback": "feedback_minus_refinement_given_feedback_near_expected",
    "f_given_xr_minus_r_given_x_minus_expected_feedback": "feedback_minus_refinement_given_input_near_expected",
    "joint_probability_xyfr": "joint_refinement_last",
    "joint_probability_xrf": "joint_feedback_last",
}
MAXIMISED = {"r_given_xyf", "r_given_x", "joint_probability_xyfr"}


def prompt(name: str) -> PromptTemplate:
    return PromptTemplate.model_validate(yaml.safe_load((ROOT / f"conf/base/prompts/{name}.yml").read_text()))


I1, I2 = prompt("log_probability_refinement"), prompt("log_probability_feedback")
ROWS = examples(
    3,
    title=["A cat", None, "Rain"],
    post=["My cat ran away. She left on Monday.", "12 dogs 🙂 bark\n\nat night; what now?", "It rains {feedback}."],
    initial_output=["A cat left.", "Dogs bark.", "Rain."],
    feedback=["Say when she left.", "12 of them 🙂.\nSay how many.\n", "Too short"],
)
TEXTS = {
    "train-0": ["She left on Monday.", "", "My cat ran away. She left on Monday."],
    "train-1": ["12 dogs bark 🙂", "Dogs bark", "12 dogs bark 🙂"],
    "train-2": ["", ""],
}


@pytest.fixture(scope="module")
def directory(tiny_model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with larger weights, so that what it sees matters, and a short context."""
    target: Path = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(tiny_model_directory, target)
    weights = load_file(target / "model.safetensors")
    large = {name: value * (1 if "norm" in name else 8) for name, value in weights.items()}
    save_file(large, target / "model.safetensors", {"format": "pt"})
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 200}))
    return target


@pytest.fixture(scope="module", autouse=True)
def _one_tokenizer() -> Iterator[None]:
    """Reading it takes longer than all that these tests ask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "load_tokenizer", lru_cache(maxsize=1)(runtime.load_tokenizer))
        yield


def local(directory: Path, format: str = "plain", **options: int) -> LocalLanguageModel:  # noqa: A002
    source = load_model_source("tiny", directory, format=format, dtype="float32")  # type: ignore[arg-type]
    return LocalLanguageModel(source, options=LocalOptions(**options))  # type: ignore[arg-type]


def wide(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row per refinement and a column per scorer, named without the prefix."""
    keys = ["example_id", "method", "sample_index"]
    table = scores.pivot(index=keys, columns="scorer", values="score")
    return table.rename(columns=lambda name: name.removeprefix("log_probability_"))


def expected_scores(t: pd.DataFrame) -> pd.DataFrame:
    """Combine the terms by the formulae, written out once more."""
    r, r_alone, f = t["refinement_given_feedback"], t["refinement_given_input"], t["feedback_given_refinement"]
    e = np.mean([np.mean(group) for _, group in f.dropna().groupby(level="example_id")])
    return pd.DataFrame(
        {
            "refinement_given_feedback": r,
            "refinement_given_input": r_alone,
            "feedback_given_refinement": -f,
            "feedback_near_expected": -(f - e).abs(),
            "feedback_minus_refinement_given_feedback": r - f,
            "feedback_minus_refinement_given_input": r_alone - f,
            "feedback_minus_refinement_given_feedback_near_expected": -(f - r - e).abs(),
            "feedback_minus_refinement_given_input_near_expected": -(f - r_alone - e).abs(),
            "joint_refinement_last": t["joint_refinement_last"],
            "joint_feedback_last": -t["joint_feedback_last"],
            "joint_feedback_last_maximised": t["joint_feedback_last"],
            "words_refinement_last": t["words_refinement_last"],
            "words_feedback_last": -t["words_feedback_last"],
            "words_feedback_last_maximised": t["words_feedback_last"],
        }
    )


@pytest.mark.parametrize("format", ["plain", "chat"])
def test_scores_are_those_of_plain_passes_over_whole_texts(directory: Path, format: str) -> None:  # noqa: A002
    table = refinements(TEXTS)
    model = local(directory, format)
    found = wide(log_probability_scores(table, ROWS, model, I1, I2))
    oracle, by_id = Oracle(directory, format), ROWS.set_index("example_id")
    terms = {
        tuple(row[:3]): oracle.terms(I1, I2, by_id.loc[row[0]], row[3]) if row[3] else {}
        for row in table[["example_id", "method", "sample_index", "text"]].itertuples(index=False)
    }
    expected = expected_scores(pd.DataFrame(terms.values(), pd.MultiIndex.from_tuples(terms, names=found.index.names)))
    assert found.shape == (8, len(LOG_PROBABILITY_SCORERS))
    pd.testing.assert_frame_equal(found, expected, check_like=True, atol=2e-4, rtol=0, check_names=False)
    assert found.std().min() > 0.01  # the texts differ, and so do their scores
    # Duplicates, and what texts share, are computed once; nothing is asked about empty texts.
    assert model.statistics.misses == 2 * 4
    assert model.statistics.n_computed < 0.6 * model.statistics.n_asked


def test_neither_batches_nor_order_nor_other_methods_change_a_score(directory: Path) -> None:
    table = refinements(TEXTS)
    together = wide(log_probability_scores(table, ROWS, local(directory), I1, I2))
    one_by_one = wide(log_probability_scores(table, ROWS, local(directory, max_batch_tokens=1), I1, I2))
    others = refinements({"train-0": ["Cats!"], "train-2": ["Rain, rain."]}, method="other")
    mixed = pd.concat([others, table], ignore_index=True).sample(frac=1, random_state=3).reset_index(drop=True)
    among_others = wide(log_probability_scores(mixed, ROWS.iloc[::-1], local(directory), I1, I2))
    for found in (one_by_one, among_others.drop("other", level="method")):
        pd.testing.assert_frame_equal(found, together, atol=2e-4, rtol=0)
    assert among_others.xs("other", level="method").notna().all(axis=None)


@pytest.mark.parametrize("format", ["plain", "chat"])
def test_a_post_that_is_too_long_is_cut_and_counted(directory: Path, format: str) -> None:  # noqa: A002
    words = "One sentence about a cat that ran away on Monday. " * 40
    long = examples(1, post=[words], feedback=["Say when."], initial_output=["A cat."])
    table = refinements({"train-0": ["She left on Monday.", "Cat."]})
    model = local(directory, format)
    found = wide(log_probability_scores(table, long, model, I1, I2))
    assert model.statistics.n_truncated == 2 * 2
    assert model.statistics.n_truncated_tokens > 4 * 200
    oracle = Oracle(directory, format)
    for sample, text in enumerate(table["text"]):
        row = {**long.iloc[0].to_dict(), "title": "title 0", "refinement": text}
        for template, column, name in (
            (I1, "refinement_given_feedback", "refinement_given_feedback"),
            (I1, "joint_refinement_last", "joint_refinement_last"),
            (I2, "joint_feedback_last_maximised", "joint_feedback_last"),
        ):
            seen = model.formatter.prompt(mark(template, row, ("feedback", "refinement")).prompt, 0).text
            n_left = len(words) - next(n for n in range(len(words)) if words[: len(words) - n] + "\n\nA reader" in seen)
            short = long.iloc[0].copy()
            short["post"] = words[:n_left]
            terms = oracle.terms(I1, I2, short, text)
            assert found[column].iloc[sample] == pytest.approx(terms[name], abs=2e-4)


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{len(case['scores']['probability_refinement_given_text'])} examples"
)
def test_rankings_are_the_references_but_for_ties(case: dict[str, dict[str, list[list[float]]]]) -> None:
    given_terms = {name.removeprefix("probability_"): values for name, values in case["scores"].items()}
    shape = [len(row) for row in given_terms["refinement_given_text"]]
    flat = {name: np.concatenate([np.array(row) for row in rows]) for name, rows in given_terms.items()}
    terms = LogProbabilityTerms(
        flat["refinement_given_text_summary_feedback"],
        flat["refinement_given_text"],
        flat["feedback_given_text_refinement"],
        flat["joint_probability_text_summary_feedback_refinement"],
        flat["joint_probability_text_refinement_feedback"],
        *[np.zeros(sum(shape))] * 2,
    )
    scores = scores_from_terms(terms, np.repeat([f"example {i}" for i in range(len(shape))], shape))
    for theirs, ours in NAMES.items():
        ranks = case["rankings"][f"ranking_{theirs}"]
        values = case["ranking_scores"][f"ranking_scores_{theirs}"]
        rows = np.split(scores[f"log_probability_{ours}"], np.cumsum(shape)[:-1])
        for found, ranking, expected in zip(rows, ranks, values, strict=True):
            sign = 1 if theirs in MAXIMISED else -1
            np.testing.assert_allclose(found, sign * np.array(expected), atol=1e-9)
            ours_ranked = np.argsort(-found, kind="stable")
            distinct = len(set(found)) == len(found)
            if distinct:
                assert list(ours_ranked) == ranking
            else:  # the reference takes what its sums round to; ours the first
                assert list(found[ours_ranked]) == list(found[ranking])
                assert ours_ranked[0] == list(found).index(max(found))


def test_two_refinements_are_equally_far_from_their_own_mean() -> None:
    """So the first is chosen, whatever the sums round to."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        terms = LogProbabilityTerms(*generator.normal(-3, 1, (7, 2)))
        first, second = scores_from_terms(terms, ["one"] * 2)["log_probability_feedback_near_expected"]
        assert first == second


@given(
    st.lists(st.lists(st.one_of(st.none(), st.floats(-9, 0)), min_size=1, max_size=4), min_size=1, max_size=5),
)
def test_the_expected_feedback_is_a_mean_of_means_of_what_is_defined(values: list[list[float | None]]) -> None:
    flat = np.array([np.nan if value is None else value for row in values for value in row])
    ids = [str(number) for number, row in enumerate(values) for _ in row]
    terms = LogProbabilityTerms(*[np.zeros(len(flat))] * 2, flat, *[np.zeros(len(flat))] * 4)
    scores = scores_from_terms(terms, ids)["log_probability_feedback_near_expected"]
    means = [sum(known) / len(known) for row in values if (known := [v for v in row if v is not None])]
    expected = [np.nan if np.isnan(v) else -abs(v - sum(means) / len(means)) for v in flat]
    np.testing.assert_allclose(scores, expected, atol=1e-9)


def test_texts_without_which_a_term_has_no_meaning_leave_null_scores() -> None:
    rows = examples(4, feedback=["f", None, "f", "f"], initial_output=["y", "y", "  ", "y"])
    table = refinements({f"train-{i}": ["a b", "c d e"] for i in range(4)} | {"elsewhere": ["x"]})
    model = ScriptedLanguageModel()
    found = wide(log_probability_scores(table, rows, model, I1, I2))
    defined = found.notna().all(axis=1)
    assert defined.equals(found.notna().any(axis=1))
    assert set(found.index[defined].get_level_values("example_id")) == {"train-0", "train-3"}
    assert model.n_questions == 2 * 4
    chosen = select_best(log_probability_scores(table, rows, model, I1, I2), table)
    assert set(chosen.loc[chosen["example_id"] == "train-1", "sample_index"]) == {0}


def test_a_server_that_echoes_gives_the_same_terms() -> None:
    """Over real HTTP; the server's tokens are words with the blank before them, and their values are known."""
    server = MisbehavingServer()
    try:
        options = ApiOptions(model="fake-1", base_url=server.base_url, endpoint="completions")
        rows = examples(1, feedback=["Say when."])
        table = refinements({"train-0": ["She left on Monday.", ""]})
        found = wide(log_probability_scores(table, rows, OpenAICompatibleLanguageModel(options), I1, I2))
    finally:
        server.close()
    terms = {}
    for template in (I1, I2):
        text = template.text.replace("{{ feedback }}", "Say when.").replace("{{ refinement }}", "She left on Monday.")
        for slot in ("title", "post", "initial_output"):
            text = text.replace(f"{{{{ {slot} }}}}", rows.iloc[0][slot])
        places = [0, *(place for place, letter in enumerate(text) if letter == " "), len(text)]
        words = [(text[:a], text[a:b]) for a, b in itertools.pairwise(places)]
        values = [(word, log_probability(before, word)) for before, word in words]
        terms[template] = values[1:]
    refinement = [" She", " left", " on", " Monday."]
    last_of_i2 = [value for _, value in terms[I2][-2:]]
    assert [word for word, _ in terms[I1][-4:]] == refinement
    assert found["refinement_given_feedback"].iloc[0] == pytest.approx(np.mean([v for _, v in terms[I1][-4:]]))
    assert found["feedback_given_refinement"].iloc[0] == pytest.approx(-np.mean(last_of_i2))
    assert found["joint_refinement_last"].iloc[0] == pytest.approx(np.mean([v for _, v in terms[I1]]))
    assert found.iloc[1].isna().all()


def test_nothing_to_score_asks_nothing() -> None:
    model = ScriptedLanguageModel()
    scores = log_probability_scores(refinements({"train-0": ["", ""]}), ROWS, model, I1, I2)
    assert len(scores) == 2 * len(LOG_PROBABILITY_SCORERS)
    assert scores["score"].isna().all()
    assert model.n_questions == 0


def test_a_model_without_log_likelihoods_is_refused_before_the_first_request() -> None:
    model = ScriptedLanguageModel(capabilities=[Capability.GENERATE])
    with pytest.raises(
        MissingCapabilityError, match="the scorer log_probability needs the capability 'log_likelihood'"
    ):
        log_probability_scores(refinements(TEXTS), ROWS, model, I1, I2)
    assert model.n_questions == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{{ post }} {{ feedback }} {{ refinement }}",
            "slots post, feedback, refinement in this order; .* need inputs, then refinement, f",
        ),
        ("{{ post }} {{ refinement }}", "need inputs, then refinement, feedback"),
        ("{{ post }} {{ refinement }} {{ refinement }} {{ feedback }}", "more than once: refinement"),
        ("{{ refinement }} {{ feedback }} {{ post }}", "slots refinement, feedback, post in this order"),
    ],
)
def test_parts_in_another_order_are_refused(text: str, message: str) -> None:
    model = ScriptedLanguageModel()
    with pytest.raises(UserError, match=f"log_probability_feedback .*{message}"):
        log_probability_scores(refinements(TEXTS), ROWS, model, I1, PromptTemplate(text=text))
    assert model.n_questions == 0


@given(
    st.dictionaries(st.sampled_from(["title", "post", "initial_output"]), st.text(), min_size=3),
    st.text(min_size=1).map(str.strip).filter(bool),
    st.text(min_size=1).map(str.strip).filter(bool),
)
def test_spans_hold_the_parts_whatever_they_say(others: dict[str, str], feedback: str, refinement: str) -> None:
    row = {**others, "example_id": "x", "feedback": feedback, "refinement": refinement}
    for template, parts in ((I1, ("feedback", "refinement")), (I2, ("refinement", "feedback"))):
        marked = mark(template, row, parts)
        text = marked.prompt.text
        for part in parts:
            begin, end = marked.parts[part]
            assert text[len(text) + begin : len(text) + end] == f" {row[part]}"
        assert marked.whole == (-len(text), 0)
