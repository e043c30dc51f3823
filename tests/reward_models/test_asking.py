"""Running reward models of the three kinds: which reward is whose, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
import torch
from scipy.special import expit, logit

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.local.batching import RunStatistics
from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions
from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceProbabilities, MissingCapabilityError
from ilf_kedro.prompting import Prompt, PromptTemplate, TemplateError
from ilf_kedro.reward_models import (
    PairwiseRewardModel,
    RewardInput,
    RewardModelKind,
    YesNoRewardModel,
    open_reward_model,
)
from ilf_kedro.reward_models.questions import answers
from ilf_kedro.reward_models.tables import reward_outputs
from ilf_kedro.schemas import UserError
from tests.support.example_tables import examples
from tests.support.training_records import checkpoint

TEMPLATE = PromptTemplate(
    text="{{ title }}|{{ post }}|TL;DR: {{ output }}\nGood?",
    positive=("Yes", " Yes"),
    negative=("No", " No"),
)
PAIR_TEMPLATE = PromptTemplate(
    text="{{ title }}|{{ post }}|{{ output_a }}|{{ output_b }}|",
    positive=("A",),
    negative=("B",),
)
POST = "It began. Then it ended."


def output(text: str, post: str = POST) -> RewardInput:
    return RewardInput("e0", {"title": "t", "post": post}, text)


class TableModel:
    """Answers from p(first choice) of a prompt's text."""

    name = revision = "table"

    def __init__(self, p_first: Any, capabilities: frozenset[Capability] = frozenset(Capability)) -> None:
        self._p_first, self.capabilities = p_first, capabilities
        self.asked: list[str] = []

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        self.asked += [prompt.text for prompt in prompts]
        p = [self._p_first(prompt.text) for prompt in prompts]
        return [
            ChoiceProbabilities((math.log(0.5), math.log(0.5)), covered=0.0, bound=0.5)  # a refusal
            if math.isnan(each)
            else ChoiceProbabilities((math.log(each), math.log1p(-each)))
            for each in p
        ]


class TestYesNo:
    P_YES: ClassVar = {"good": 0.9, "bad": 0.2, "refused": math.nan}

    def model(self) -> YesNoRewardModel:
        table: Any = TableModel(lambda text: self.P_YES[text.split("TL;DR: ")[1].split("\n")[0]])
        return YesNoRewardModel(table, TEMPLATE)

    def test_a_reward_is_the_probability_of_the_positive_answer(self) -> None:
        assert self.model().rewards([output("bad"), output("good")]) == pytest.approx([0.2, 0.9])
        assert self.model().rewards([]) == []

    def test_a_refusal_has_no_reward(self) -> None:
        assert self.model().rewards([output("refused"), output("good")]) == pytest.approx([math.nan, 0.9], nan_ok=True)

    def test_a_pair_has_the_rewards_of_its_outputs(self) -> None:
        (pair,) = self.model().compare([(output("bad"), output("good"))])
        assert (pair.first, pair.second) == pytest.approx((0.2, 0.9))
        assert pair.in_orders is None

    def test_the_choices_are_the_templates_answers(self) -> None:
        assert answers(TEMPLATE) == (Choice("Yes", ("Yes", " Yes")), Choice("No", ("No", " No")))


class TestPairs:
    """A judge with a constant liking for the first position, which the two orders must cancel."""

    QUALITY: ClassVar = {"good": 1.5, "bad": -0.5, "It began.": 0.0, POST: 0.0}
    BIAS = 0.8

    def model(self) -> PairwiseRewardModel:
        def p_first(text: str) -> float:
            _, _, first, second, _ = text.split("|")
            return float(expit(self.QUALITY[first] - self.QUALITY[second] + self.BIAS))

        self.table: Any = TableModel(p_first)
        return PairwiseRewardModel(self.table, PAIR_TEMPLATE)

    def test_both_orders_are_asked_and_a_liking_for_a_position_cancels_out(self) -> None:
        (pair,) = self.model().compare([(output("good"), output("bad"))])
        assert self.table.asked == [f"t|{POST}|good|bad|", f"t|{POST}|bad|good|"]
        assert logit(pair.first) - logit(pair.second) == pytest.approx(1.5 + 0.5)
        assert pair.in_orders == pytest.approx((expit(2 + self.BIAS), expit(2 - self.BIAS)))

    def test_the_order_of_a_pair_does_not_matter(self) -> None:
        model = self.model()
        (one,), (other,) = (model.compare([pair]) for pair in ((output("good"), output("bad")),) * 2)
        (turned,) = model.compare([(output("bad"), output("good"))])
        assert (turned.first, turned.second) == pytest.approx((one.second, one.first))
        assert one == other

    def test_a_reward_is_against_the_posts_first_sentence(self) -> None:
        model = self.model()
        assert model.rewards([output("good"), output("bad")]) == pytest.approx([expit(1.5), expit(-0.5)])
        assert {text.split("|")[2] for text in self.table.asked} == {"good", "bad", "It began."}
        assert model.rewards([output("It began.")]) == pytest.approx([0.5])


class TestScalarHead:
    @pytest.fixture
    def source(self, tiny_model_directory: Path) -> ModelSource:
        return ModelSource("tiny", tiny_model_directory, "r", dtype="float32")

    @pytest.fixture
    def classifier_source(self, tiny_model_directory: Path, tmp_path: Path) -> ModelSource:
        """A directory with a scalar head, as somebody else may have trained one."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        with torch.random.fork_rng():
            torch.manual_seed(3)
            model = AutoModelForSequenceClassification.from_pretrained(tiny_model_directory, num_labels=1)
        model.score.weight.data *= 50
        model.save_pretrained(tmp_path / "rm")
        AutoTokenizer.from_pretrained(tiny_model_directory).save_pretrained(tmp_path / "rm")
        return ModelSource("rm", tmp_path / "rm", "rm", dtype="float32")

    OUTPUTS: ClassVar = [output("A cat is gone."), output("gone"), output("A dog.", "Another post, longer.")]

    def expected(self, directory: Path) -> list[float]:
        """Each text alone through transformers' own classifier."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(directory)
        model = AutoModelForSequenceClassification.from_pretrained(directory)
        texts = [f"t|{each.inputs['post']}|TL;DR: {each.output}\nGood?" for each in self.OUTPUTS]
        with torch.no_grad():
            scores = [model(torch.tensor([tokenizer(text).input_ids])).logits.item() for text in texts]
        return list(expit(scores))

    def test_rewards_are_those_of_transformers(self, classifier_source: ModelSource) -> None:
        expected = self.expected(classifier_source.directory)
        assert max(expected) > 2 * min(expected)
        for options in (LocalOptions(), LocalOptions(max_batch_tokens=1)):
            language_model = LocalLanguageModel(classifier_source, options=options)
            model = open_reward_model("classification", language_model, TEMPLATE)
            assert model.rewards(self.OUTPUTS) == pytest.approx(expected, abs=1e-6)
        first, second, _ = self.OUTPUTS
        (pair,) = model.compare([(first, second)])
        assert (pair.first, pair.second) == pytest.approx(expected[:2], abs=1e-6)

    def test_rewards_are_cached_and_share_what_posts_have_in_common(
        self, classifier_source: ModelSource, tmp_path: Path
    ) -> None:
        cache = CompletionCache(tmp_path / "answers.sqlite")
        runs = []
        for _ in range(2):
            statistics = RunStatistics()
            language_model = LocalLanguageModel(classifier_source, cache=cache, statistics=statistics)
            rewards = open_reward_model("classification", language_model, TEMPLATE).rewards(self.OUTPUTS)
            runs.append((rewards, statistics.n_computed, statistics.n_asked))
        (first, computed, asked), (second, again, _) = runs
        assert first == second
        assert 0 < computed < asked
        assert again == 0

    def test_another_checkpoint_has_other_answers_in_the_cache(self, source: ModelSource) -> None:
        model = LocalLanguageModel(source)
        one, other = (model.with_checkpoint(checkpoint(method="preference", content_hash=digit * 64)) for digit in "12")
        assert one.revision != other.revision

    def test_a_model_without_a_head_is_refused_with_what_to_do(self, source: ModelSource) -> None:
        model = open_reward_model("classification", LocalLanguageModel(source), TEMPLATE)
        with pytest.raises(UserError, match=r"holds no reward model with a scalar head(.|\n)*reward_model\.trained"):
            model.rewards(self.OUTPUTS)

    def test_a_model_of_another_backend_is_refused(self) -> None:
        table: Any = TableModel(lambda _: 0.5)
        with pytest.raises(UserError, match="classification needs a local model, found 'table'"):
            open_reward_model("classification", table, TEMPLATE)


@pytest.mark.parametrize(
    ("kind", "method", "trained_as"),
    [("yes_no", "preference", "classification"), ("classification", "supervised", "yes_no or a_b")],
)
def test_a_checkpoint_of_another_kind_is_refused(
    tiny_model_directory: Path, kind: RewardModelKind, method: str, trained_as: str
) -> None:
    model = LocalLanguageModel(ModelSource("tiny", tiny_model_directory, "r"))
    with pytest.raises(UserError, match=f"kind is {kind}, but .* was trained as {trained_as}"):
        open_reward_model(kind, model, TEMPLATE, checkpoint(method=method))


def test_an_api_model_is_asked_as_it_is_but_cannot_be_given_weights() -> None:
    table: Any = TableModel(lambda _: 0.7)
    as_it_is = open_reward_model("yes_no", table, TEMPLATE, checkpoint(method="none", kind="untrained"))
    assert as_it_is.rewards([output("x")]) == pytest.approx([0.7])
    with pytest.raises(UserError, match=r"cannot be given .* weights; set reward_model\.trained to false"):
        open_reward_model("yes_no", table, TEMPLATE, checkpoint())


@pytest.mark.parametrize("kind", ["yes_no", "a_b"])
def test_a_model_that_cannot_answer_is_refused_before_it_is_asked(kind: RewardModelKind) -> None:
    table: Any = TableModel(None, frozenset({Capability.GENERATE}))
    with pytest.raises(MissingCapabilityError, match="the reward model needs"):
        open_reward_model(kind, table, PAIR_TEMPLATE if kind == "a_b" else TEMPLATE)


@pytest.mark.parametrize(
    ("kind", "template", "message"),
    [
        ("yes_no", TEMPLATE.model_copy(update={"negative": ()}), r"negative: \[\]"),
        ("yes_no", PAIR_TEMPLATE, r"needs the slots \['output'\]"),
        ("a_b", TEMPLATE, r"needs the slots \['output_a', 'output_b'\]"),
    ],
)
def test_a_template_of_another_kind_is_refused(kind: RewardModelKind, template: PromptTemplate, message: str) -> None:
    table: Any = TableModel(lambda _: 0.5)
    with pytest.raises(TemplateError, match=message):
        open_reward_model(kind, table, template)


def test_in_a_table_an_empty_text_has_the_reward_given_and_a_refusal_none() -> None:
    model: Any = TableModel(lambda text: math.nan if "refused" in text else 0.9)
    outputs = pd.DataFrame({"example_id": ["test-0"] * 3, "text": [" ", "refused", "good"]}, index=[7, 3, 5])
    rewards = reward_outputs(YesNoRewardModel(model, TEMPLATE), examples(1, "test"), outputs, of_empty=0.0)
    assert rewards.to_dict() == pytest.approx({7: 0.0, 3: math.nan, 5: 0.9}, nan_ok=True)
