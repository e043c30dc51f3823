"""The API backend against vLLM's server: its numbers against the local backend's, and a whole run of kedro."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import Capability, Choice, SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.support.vllm_server import MODEL, vllm_server
from tests.support.whole_project import WholeProject

pytestmark = pytest.mark.slow
YES_NO = (Choice("Yes", ("Yes", " Yes")), Choice("No", ("No", " No")))  # each spelling is one token
PROMPTS = [
    Prompt(f"{question} Answer with Yes or No.", str(index))
    for index, question in enumerate(["Is the sky blue?", "Is a cat a plant?", "Can fish swim?"])
]


@pytest.fixture(scope="module")
def base_url(embedded_model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with vllm_server(embedded_model_directory, tmp_path_factory.mktemp("vllm") / "server.log") as address:
        yield address


def local(directory: Path, style: str) -> LocalLanguageModel:
    return LocalLanguageModel(load_model_source("embedded", directory, format=style, dtype="float32"))  # type: ignore[arg-type]


def server(base_url: str, **options: object) -> OpenAICompatibleLanguageModel:
    return OpenAICompatibleLanguageModel(ApiOptions(model=MODEL, base_url=base_url, **options))  # type: ignore[arg-type]


def test_log_likelihoods_are_the_local_models(base_url: str, embedded_model_directory: Path) -> None:
    model = server(base_url, endpoint="completions")
    assert Capability.LOG_LIKELIHOOD in model.capabilities
    texts = [" Monday, Tuesday and Wednesday.", " It is not, as anybody can see.", " Yes"]
    for whole in (False, True):
        ours = local(embedded_model_directory, "plain").log_likelihood(PROMPTS, texts, include_prompt=whole)
        for there, here in zip(model.log_likelihood(PROMPTS, texts, include_prompt=whole), ours, strict=True):
            assert there.spans == here.spans
            np.testing.assert_allclose(there.log_probabilities, here.log_probabilities, atol=2e-3)


def test_several_prompts_in_one_request_are_answered_as_one_by_one(base_url: str) -> None:
    greedy = SamplingOptions(temperature=0, max_new_tokens=8)
    texts = [" Monday, Tuesday.", " It is not, as anybody can see.", " Yes"]
    single, joint = (server(base_url, endpoint="completions", prompts_per_request=n) for n in (1, 3))
    ours, theirs = (model.log_likelihood(PROMPTS, texts) for model in (single, joint))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.log_probabilities, other.log_probabilities, atol=1e-3)
    before = joint.spending.requests
    rows = joint.generate(PROMPTS, range(1), greedy, seed=1)
    assert joint.spending.requests == before + 1
    assert [row[0].text for row in rows] == [row[0].text for row in single.generate(PROMPTS, range(1), greedy, seed=1)]


def test_exact_choices_are_the_local_models(base_url: str, embedded_model_directory: Path) -> None:
    ours = local(embedded_model_directory, "chat").choice_probabilities(PROMPTS, YES_NO)
    exact = server(base_url, exact_choices=True).choice_probabilities(PROMPTS, YES_NO)
    listed = server(base_url).choice_probabilities(PROMPTS, YES_NO)
    for here, there, bounded in zip(ours, exact, listed, strict=True):
        assert there.probability(0) == pytest.approx(here.probability(0), abs=2e-3)
        assert there.covered == pytest.approx(here.covered, abs=2e-3)
        assert there.bound < 1e-4
        assert abs(bounded.probability(0) - here.probability(0)) <= bounded.bound + 2e-3


def test_samples_differ_and_greedy_text_is_the_local_models(base_url: str, embedded_model_directory: Path) -> None:
    greedy = SamplingOptions(temperature=0, max_new_tokens=12)
    here = local(embedded_model_directory, "chat").generate(PROMPTS, range(1), greedy, seed=1)
    there = server(base_url).generate(PROMPTS, range(1), greedy, seed=1)
    assert [row[0].text for row in there] == [row[0].text for row in here]
    rows = server(base_url).generate(PROMPTS, range(3), SamplingOptions(max_new_tokens=12), seed=1)
    assert len({completion.text for row in rows for completion in row}) > 5


def test_a_whole_run_of_kedro_scores_by_the_servers_log_likelihoods(base_url: str, tmp_path: Path) -> None:
    where = {"ILF_API_BASE_URL": base_url, "ILF_API_MODEL": MODEL}
    project = WholeProject.create(tmp_path / "project", **where)
    entry = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "openai", "endpoint": "completions"}
    entry |= {"model": MODEL, "base_url": base_url}
    tiny = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "local", "dtype": "float32"}
    tiny |= {"model": "data/06_models/tiny-random-llama", "options": {"least_covered": 0}}
    trained = dict.fromkeys(("base_model", "reward_base_model"), tiny)
    project.write_local("catalog_language_models.yml", {"likelihood_model": entry, **trained})
    project.write_local(
        "parameters.yml",
        {
            "train_sizes": [4],
            "refinement": {"n_refinements": 2, "sampling": {"max_new_tokens": 16}},
            "selection": {"scorers": ["random", "longest", "log_probability"], "target_scorer": "longest"},
            "finetune": {"best_of_n": 2, "sampling": {"max_new_tokens": 8}},
            "reporting": {"bootstrap_resamples": 200},
        },
    )
    project.kedro("run", "--env", "openai")
    tables = project.tables("data/openai")
    (scores,) = [table for name, table in tables.items() if name.endswith("scores/log_probability.parquet")]
    assert scores["score"].notna().mean() > 0.5
    assert len(tables["05_model_input/selections.parquet"])
    verdicts = tables["07_model_output/verdicts.parquet"]
    assert set(verdicts["judged_by"]) == {MODEL}
    assert verdicts["p_first"].notna().all()
    assert len(list(project.path.glob("data/openai/08_reporting/report.html/*/report.html"))) == 1
