"""The classifier: the positive share of two answers, and null where a model did not answer (over real HTTP)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions, load_model_source
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import Capability, MissingCapabilityError
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.prompting import PromptTemplate, TemplateError
from ilf_kedro.scoring import count_undefined, instruct_rm_scores, select_best
from ilf_kedro.scoring.classifier import classifier_scores
from tests.support import naive
from tests.support.example_tables import TRUE_FALSE, YES_NO, examples, refinements
from tests.support.misbehaving_server import MisbehavingServer, prompt_of

FILE = Path(__file__).parents[2] / "conf" / "base" / "prompts" / "classifier.yml"
TEMPLATE = PromptTemplate.model_validate(yaml.safe_load(FILE.read_text()))
TABLE = refinements({"train-0": ["forbidden words", "a cat", ""], "train-1": ["forbidden too"]})


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    running = MisbehavingServer()
    yield running
    running.close()


def api(server: MisbehavingServer, tmp_path: Path, endpoint: str = "chat") -> OpenAICompatibleLanguageModel:
    options = ApiOptions(model="small", base_url=server.base_url, endpoint=endpoint)  # type: ignore[arg-type]
    return OpenAICompatibleLanguageModel(options, cache=CompletionCache(tmp_path / "completions.sqlite"))


def n_asked(server: MisbehavingServer) -> int:
    return sum("excellent summary" in prompt_of(body) for body in server.bodies)


def test_the_score_is_the_share_of_the_positive_answer() -> None:
    model = ScriptedLanguageModel(weigh=lambda prompt, choice: 3.0 if choice.name == "positive" else 1.0)
    scores = classifier_scores(TABLE, examples(2), model, TEMPLATE)
    assert list(scores["scorer"].unique()) == ["classifier"]
    np.testing.assert_allclose(scores["score"], [0.75, 0.75, math.nan, 0.75])
    assert model.n_questions == 3


def test_the_score_is_that_of_plain_passes(tiny_model_directory: Path) -> None:
    source = load_model_source("tiny", tiny_model_directory, format="plain", dtype="float32")
    options = LocalOptions(least_covered=0)  # random weights say anything but Yes or No
    scores = classifier_scores(TABLE, examples(2), LocalLanguageModel(source, options=options), TEMPLATE)
    model = AutoModelForCausalLM.from_pretrained(tiny_model_directory, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_directory)
    text = (
        TEMPLATE.text.replace("{{ title }}", "title 0")
        .replace("{{ post }}", "post 0")
        .replace("{{ refinement }}", "a cat")
    )

    def probability(words: tuple[str, ...]) -> float:
        total = 0.0
        for word in words:
            prompt, whole = tokenizer(text).input_ids, tokenizer(text + word).input_ids
            assert whole[: len(prompt)] == prompt
            total += math.exp(sum(naive.token_log_probabilities(model, whole, len(prompt))))
        return total

    yes, no = probability(TEMPLATE.positive), probability(TEMPLATE.negative)
    assert scores["score"][1] == pytest.approx(yes / (yes + no), abs=1e-5)


@pytest.mark.parametrize("refusal", ["refusal", "400 filter"])  # in the answer, or in place of one
@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_a_refused_request_gives_a_null_score_that_ranks_last(
    server: MisbehavingServer, tmp_path: Path, endpoint: str, refusal: str
) -> None:
    server.script = lambda body, attempt: refusal if "forbidden" in prompt_of(body) else None
    scores = classifier_scores(TABLE, examples(2), api(server, tmp_path, endpoint), TEMPLATE)
    assert list(scores["score"].isna()) == [True, False, True, True]
    if endpoint == "chat":
        assert scores["score"][1] == pytest.approx(0.6 / 0.9)
    chosen = select_best(scores, TABLE).set_index("example_id")
    assert chosen.loc["train-0", "sample_index"] == 1
    assert math.isnan(chosen.loc["train-1", "score"])
    counts = count_undefined(scores, TABLE).iloc[0]
    assert (counts["n"], counts["n_undefined"], counts["n_empty"]) == (4, 3, 1)

    n_sent = n_asked(server)
    server.script = lambda body, attempt: None
    again = classifier_scores(TABLE, examples(2), api(server, tmp_path, endpoint), TEMPLATE)
    assert again.equals(scores)  # a refusal is an answer, and paid for: it is kept
    assert n_asked(server) == n_sent == 3


def test_a_list_with_neither_answer_gives_a_null_score(server: MisbehavingServer, tmp_path: Path) -> None:
    server.top = {"The": math.log(0.9), "I": math.log(0.05)}
    scores = classifier_scores(TABLE, examples(2), api(server, tmp_path), TEMPLATE)
    assert scores["score"].isna().all()


def test_instruct_rm_gives_null_where_a_template_is_refused(server: MisbehavingServer, tmp_path: Path) -> None:
    server.top = {"Yes": math.log(0.5), "No": math.log(0.25), "True": math.log(0.125), "False": math.log(0.125)}
    server.script = lambda body, attempt: "refusal" if prompt_of(body).startswith("2") else None
    table = refinements({"train-0": ["a cat", "a dog"]})
    scores = instruct_rm_scores(table, examples(1), api(server, tmp_path), YES_NO, TRUE_FALSE)
    wide = scores.pivot(index="sample_index", columns="scorer", values="score")
    np.testing.assert_allclose(wide["instruct_rm_1"], [2 / 3, 2 / 3], rtol=1e-6)
    assert wide[["instruct_rm_2", "instruct_rm_ensemble"]].isna().all(axis=None)


@pytest.mark.parametrize(("least", "score"), [(0.003, 0.25), (0.005, math.nan)])
def test_a_score_is_null_where_the_answers_have_less_than_the_declared_share(least: float, score: float) -> None:
    from ilf_kedro.language_models.protocol import ChoiceProbabilities

    class Sure(ScriptedLanguageModel):
        def choice_probabilities(self, prompts, choices, *, label=""):  # type: ignore[no-untyped-def]
            log_p = (math.log(0.25), math.log(0.75))
            return [ChoiceProbabilities(log_p, covered=0.004, least_covered=least) for _ in prompts]

    scores = classifier_scores(TABLE, examples(2), Sure(), TEMPLATE)
    np.testing.assert_allclose(scores["score"], [score, score, math.nan, score])


def test_a_model_without_choices_is_refused_before_the_first_request() -> None:
    model = ScriptedLanguageModel(capabilities=[Capability.GENERATE])
    with pytest.raises(MissingCapabilityError, match="the scorer classifier needs the capability 'choice_prob"):
        classifier_scores(TABLE, examples(2), model, TEMPLATE)
    assert model.n_questions == 0


def test_a_template_with_an_unknown_slot_is_refused() -> None:
    template = PromptTemplate(text="{{ post }} {{ output }}", positive=("Y",), negative=("N",))
    with pytest.raises(TemplateError, match="output"):
        classifier_scores(TABLE, examples(2), ScriptedLanguageModel(), template)
