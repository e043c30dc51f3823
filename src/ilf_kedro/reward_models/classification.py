"""Reward models with a scalar head: one number where the text about an output ends."""

from __future__ import annotations

from collections.abc import Sequence

import scipy

from ilf_kedro.language_models.cache.codecs import NUMBER
from ilf_kedro.language_models.checkpoints.scalar_head import HEAD, load_classifier, score_states
from ilf_kedro.language_models.local.choosing import StatesTrial, choose_engine
from ilf_kedro.language_models.local.kernels.packed_weights import pack_linear_weights
from ilf_kedro.language_models.local.loading import LoadedModel
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.local.runtime import LocalRuntime, Prepared
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.reward_models.protocol import Pair, PairRewards, RewardInput
from ilf_kedro.reward_models.questions import SLOTS, check_slots, question
from ilf_kedro.schemas import UserError

__all__ = ["ClassificationRewardModel", "ScalarModel"]


class ScalarModel:
    """A local model whose head gives one number for a text.

    Shared prefixes are computed once, and scores kept in the completion cache, as a language model's answers.
    """

    def __init__(self, model: LocalLanguageModel) -> None:
        """Take a model's source and checkpoint, and share its cache and statistics."""
        self._runtime = LocalRuntime(
            model.source,
            checkpoint=model.checkpoint,
            cache=model.runtime.cache,
            options=model.options,
            statistics=model.statistics,
            load=load_scalar_model,
        )

    @property
    def name(self) -> str:
        """The base model's name, and the checkpoint's where there is one."""
        return self._runtime.name

    def scores(self, prompts: Sequence[Prompt], *, label: str = "") -> list[float]:
        """Return the head's score at the last token of each prompt; any real number.

        Raises:
            PromptTooLongError: a prompt does not fit the context, even with its input truncated.
            UserError: the model has no scalar head.
        """
        runtime = self._runtime

        def prepare() -> Prepared[float]:
            formatted = [runtime.format(prompt, 0) for prompt in prompts]

            def compute(batch: list[int]) -> list[list[float]]:
                with runtime.loaded() as loaded:
                    states = loaded.engine.end_states([formatted[index].tokens for index in batch])
                    scores = score_states(states, loaded.head).double().cpu().tolist()
                runtime.statistics.n_asked += sum(len(formatted[index].tokens) for index in batch)
                return [[score] for score in scores]

            return Prepared(
                [[each.tokens] for each in formatted], compute, [each.n_truncated_tokens for each in formatted]
            )

        return runtime.run(prepare, [runtime.prompt_key("score", prompt) for prompt in prompts], NUMBER, label)


def load_scalar_model(runtime: LocalRuntime) -> LoadedModel:
    """Load the weights under their scalar head.

    Raises:
        UserError: the model has no such head.
    """
    from torch import nn

    model = load_classifier(runtime.source, runtime.checkpoint, runtime.dtype)
    nn.Module.eval(nn.Module.to(model, device=runtime.device))
    pack_linear_weights(model.base_model)
    return LoadedModel(choose_engine(model, StatesTrial), frozenset(), getattr(model, HEAD))


class ClassificationRewardModel:
    """Gives each output the score of a scalar head, as the reward σ(score); implements RewardModel.

    The difference of two scores is then the log-odds of preferring one output, as the head was trained to say.

    Raises:
        UserError: the model is none on this machine.
        TemplateError: the template has other slots than title, input and output.
    """

    def __init__(self, model: LanguageModel, template: PromptTemplate) -> None:
        if not isinstance(model, LocalLanguageModel):
            raise UserError(
                f"a reward model of the kind classification needs a local model, found {model.name!r} of another "
                "backend; name a local one as reward_base_model, or set reward_model.kind to yes_no"
            )
        check_slots(template, SLOTS)
        self._model, self._template = ScalarModel(model), template

    @property
    def name(self) -> str:
        """See RewardModel."""
        return self._model.name

    def rewards(self, outputs: Sequence[RewardInput], *, label: str = "rewards") -> list[float]:
        """See RewardModel."""
        prompts = [question(self._template, output) for output in outputs]
        return [float(reward) for reward in scipy.special.expit(self._model.scores(prompts, label=label))]

    def compare(self, pairs: Sequence[Pair], *, label: str = "rewards") -> list[PairRewards]:
        """See RewardModel; each output is read without sight of the other."""
        rewards = self.rewards([output for pair in pairs for output in pair], label=label)
        return [PairRewards(*pair) for pair in zip(rewards[::2], rewards[1::2], strict=True)]
