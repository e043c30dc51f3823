"""Which engine fits an architecture: the fastest that answers as the model's own forward pass does."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.language_models.local.engines import Engine, PaddedEngine, TreeEngine
from ilf_kedro.language_models.local.forward import Forward, WholeForward
from ilf_kedro.language_models.local.kernels.tree_attention import NAME, UnsupportedAttentionError
from ilf_kedro.schemas import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["LanguageTrial", "StatesTrial", "Trial", "UnsupportedModelError", "choose_engine"]

logger = logging.getLogger(__name__)

Numbers = NDArray[np.float64]

_STEPS = 8  # of decoding, so that what a cache gets wrong a little adds up
_TOLERANCE = 1e-4
_HALF_TOLERANCE = 0.08


class UnsupportedModelError(ModelDirectoryError):
    """No engine answers as the model's own forward pass does, or the model is no causal one."""


class Trial(ABC):
    """A few questions about branching token sequences; `expected` are the answers of plain forward passes."""

    def __init__(self, model: PreTrainedModel) -> None:
        generator = np.random.default_rng(0)
        n_ids = model.config.get_text_config(decoder=True).vocab_size
        self.stem, *self.branches = (generator.integers(0, n_ids, n).tolist() for n in (9, 4, 1, 6))
        self.sequences: Sequence[list[int]] = [self.stem + branch for branch in self.branches]

    @abstractmethod
    def expected(self, model: PreTrainedModel) -> Numbers:
        """Return the answers of the model's own forward pass, one text at a time.

        Raises:
            UnsupportedModelError: what the pass says of a token depends on later ones, or is no number.
        """

    @abstractmethod
    def ask(self, engine: Engine) -> Numbers:
        """Return the engine's answers."""

    def check(self, model: PreTrainedModel) -> Numbers:
        """Return what `expected` does, and refuse a model whose pass cannot even run on plain text.

        Raises:
            UnsupportedModelError: saying why.
        """
        try:
            return self.expected(model)
        except UserError:
            raise
        except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise _unsupported(model, f"its forward pass on plain text ends in {_brief(error)}") from error


class LanguageTrial(Trial):
    """Log-probabilities of the sequences' tokens, scored and decoded."""

    def expected(self, model: PreTrainedModel) -> Numbers:
        """See Trial."""
        scored = [_own_logits(model, sequence) for sequence in self.sequences]
        _check_causal(model, scored[0][len(self.stem) - 1], _own_logits(model, self.stem)[-1])
        values = [
            logits[torch.arange(4, len(sequence) - 1), torch.tensor(sequence[5:])]
            for logits, sequence in zip(scored, self.sequences, strict=True)
        ]
        texts = self._decoded_texts()
        decoded = [_own_logits(model, text[:-1])[-1, text[-1]] for text in texts]
        return np.concatenate([*(each.numpy() for each in values), [float(each) for each in decoded]])

    def ask(self, engine: Engine) -> Numbers:
        """See Trial."""
        scores = engine.score(self.sequences, [5] * len(self.sequences))
        device = engine.forward.device
        decoding = engine.decode([self.stem, self.sequences[0]], 2, _STEPS + 1)
        tokens, kept = torch.tensor(self.branches[0], device=device), torch.tensor([0, 2, 3], device=device)
        decoding.first()
        decoding.step(tokens)
        decoding.keep(kept)
        for _ in range(_STEPS - 1):
            logits = decoding.step(tokens[kept])
        last = logits.log_softmax(-1).gather(-1, tokens[kept, None])
        return np.concatenate([*scores, last.double().cpu().numpy()[:, 0]])

    def _decoded_texts(self) -> Iterator[list[int]]:
        """Yield what the decoded samples that were kept consist of, and the token that is asked for."""
        for row in (0, 2, 3):
            prompt = self.stem if row < 2 else self.sequences[0]
            yield [*prompt, *[self.branches[0][row]] * (_STEPS + 1)]


class StatesTrial(Trial):
    """Hidden states at the ends of the sequences, in units of their own size."""

    def expected(self, model: PreTrainedModel) -> Numbers:
        """See Trial."""
        forward = Forward(model)
        states = [
            forward.states(input_ids=torch.tensor([sequence], device=forward.device))[0].double().cpu()
            for sequence in [*self.sequences, self.stem]
        ]
        _check_causal(model, states[0][len(self.stem) - 1], states[-1][-1])
        return _in_own_size(torch.stack([each[-1] for each in states[:-1]]))

    def ask(self, engine: Engine) -> Numbers:
        """See Trial."""
        return _in_own_size(engine.end_states(self.sequences).double().cpu())


@torch.inference_mode()
def choose_engine(model: PreTrainedModel, trial: type[Trial] = LanguageTrial) -> Engine:
    """Return the fastest engine whose answers are those of the model's own forward pass on a short trial.

    Raises:
        UnsupportedModelError: there is none.
    """
    questions = trial(model)
    expected = questions.check(model)
    reasons: list[str] = []
    for engine, slowness in _candidates(model):
        before = getattr(model.config, "_attn_implementation", "sdpa")
        reason = _find_fault(model, engine, questions, expected)
        if reason is None:
            if reasons:
                message = "%s cannot run as a prefix tree (%s): %s"
                logger.warning(message, type(model).__name__, reasons[0], slowness)
            engine.n_computed = 0
            return engine
        if isinstance(engine, TreeEngine):
            model.set_attn_implementation(before)
        reasons.append(reason)
    raise _unsupported(model, f"no engine answers as its own forward pass does ({reasons[-1]})")


def _candidates(model: PreTrainedModel) -> Iterator[tuple[Engine, str]]:
    """Yield the engines from the fastest on, and what to say of the slower ones."""
    forward = Forward(model)
    yield TreeEngine(forward), ""
    yield PaddedEngine(forward), "prompts are computed in padded batches, which is slower"
    slow = "every sampled token is computed from the whole text before it, which is much slower"
    yield PaddedEngine(forward, cached=False), slow
    yield PaddedEngine(forward, cached=False, rows=1), f"each text is computed by itself, and {slow}"
    yield PaddedEngine(WholeForward(model), cached=False, rows=1), f"each text is computed by itself, and {slow}"


def _find_fault(model: PreTrainedModel, engine: Engine, questions: Trial, expected: Numbers) -> str | None:
    """Return why an engine does not fit, or None where it does."""
    try:
        if isinstance(engine, TreeEngine):
            _use_tree_attention(model)
        answers = questions.ask(engine)
    except (RuntimeError, TypeError, AttributeError, KeyError, IndexError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return str(error) if isinstance(error, UnsupportedAttentionError) else _brief(error)
    differences = np.abs(answers - expected)
    spread = float(np.mean(np.abs(expected - expected.mean())))
    if model.dtype in (torch.float32, torch.float64):
        difference, allowed = float(differences.max()), _TOLERANCE * max(spread, 1)
    else:  # single answers are rounded by more than faults change them
        difference, allowed = float(differences.mean()), _HALF_TOLERANCE * max(spread, 0.1)
    return None if difference <= allowed else f"its answers differ by {difference:.2g}"


def _use_tree_attention(model: PreTrainedModel) -> None:
    config = model.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if "chunked_attention" in kinds or getattr(config, "attention_chunk_size", None):
        raise UnsupportedAttentionError("it attends in chunks")
    model.set_attn_implementation(NAME)
    if getattr(model.config, "_attn_implementation", None) != NAME:
        raise UnsupportedAttentionError("it does not use transformers' attention interface")


def _own_logits(model: PreTrainedModel, tokens: Sequence[int]) -> Tensor:
    """Return the log-probabilities (n, vocabulary) of a model's own forward pass on one text."""
    ids = torch.tensor([list(tokens)], device=model.device)
    return model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1).double().cpu()  # type: ignore[no-any-return]


def _check_causal(model: PreTrainedModel, followed: Tensor, last: Tensor) -> None:
    """Refuse a model that says something else of a token where others follow it."""
    if not bool(torch.isfinite(last).all()):
        raise _unsupported(model, "its forward pass gives values that are no numbers (NaN)")
    scale = float(last.std())
    if float((followed - last).abs().mean()) > (0.02 if model.dtype == torch.float32 else 0.3) * max(scale, 1e-3):
        raise _unsupported(model, "it is no causal language model: what it says of a token depends on later tokens")


def _in_own_size(states: Tensor) -> Numbers:
    return np.asarray((states / states.abs().mean()).numpy())


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


def _unsupported(model: PreTrainedModel, what: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        Path(model.name_or_path or ""),
        f"({type(model).__name__}) is not supported: {what}. Name a causal language model (a decoder, such as Llama, "
        "Qwen, Gemma or Mamba) in the catalog instead",
    )
