"""One training from its data to a published checkpoint: found where it is finished, resumed where it was killed."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import JsonValue

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, Format, ModelSource, TrainingRecord
from ilf_kedro.language_models.checkpoints.configuration import has_dropout
from ilf_kedro.training.encoding import EncodedExample, EncodedPair
from ilf_kedro.training.errors import ExampleError
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.workspace import TrainingWorkspace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ilf_kedro.training.trainer import OptimiserStepTrainer

logger = logging.getLogger(__name__)

_NOT_IN_HASH = frozenset({"retrain", "save_steps", "micro_batch_size", "dtype", "processes", "parallelism"})


class TrainingData(ABC):
    """What is learned from, and by which loss: the one thing in which kinds of training differ."""

    method: ClassVar[str]
    unused_options: ClassVar[frozenset[str]] = frozenset()

    @property
    @abstractmethod
    def content(self) -> dict[str, JsonValue]:
        """All that decides the weights but model, options and seed; part of the content hash."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        format: Format,  # noqa: A002
        max_tokens: int,
        options: TrainingOptions,
    ) -> Sequence[EncodedExample] | Sequence[EncodedPair]:
        """Return the data as tokens, inputs truncated where they are too long."""

    @staticmethod
    @abstractmethod
    def trainer_class() -> type[OptimiserStepTrainer]:
        """Return the trainer with the loss; imported only when asked for."""


def find_or_train(
    data: TrainingData,
    base: ModelSource,
    options: TrainingOptions,
    *,
    seed: int,
    workspace: TrainingWorkspace,
    label: str,
) -> Checkpoint:
    """Train `base` on the data, or return the finished training with the same content hash.

    The learning rate rises over `warmup_fraction` of the steps and then falls linearly towards zero. A
    killed training goes on from its last mid-run checkpoint.

    Raises:
        ExampleError: there are no examples, or one cannot be trained on.
        DivergedError: the loss became infinite or not a number.
    """
    if not len(data):
        raise ExampleError(f"{label}: found no examples to train on, expected at least one")
    dtype = training_dtype(base, options)
    content_hash = run_hash(data, base, options, dtype=dtype, seed=seed)
    with workspace.lock(content_hash):
        finished = None if options.retrain else workspace.find(content_hash)
        if finished is not None:
            logger.info("%s: using the finished training %s (0 optimiser steps)", label, content_hash[:12])
            return finished
        from ilf_kedro.language_models.local.resident import LOADED_MODEL

        with LOADED_MODEL.kept_empty():
            return _train(data, base, options, dtype, content_hash, seed=seed, workspace=workspace, label=label)


def training_dtype(base: ModelSource, options: TrainingOptions) -> str:
    """Return what a training computes in: the options' dtype, else the base model's, else the hardware's best."""
    from ilf_kedro.language_models.local.loading import resolve_device, resolve_dtype

    return resolve_dtype(base.dtype if options.dtype == "auto" else options.dtype, resolve_device("auto"))


def run_hash(data: TrainingData, base: ModelSource, options: TrainingOptions, *, dtype: str, seed: int) -> str:
    """Return the SHA-256 of all that decides the weights: data, options, dtype, seed, base model, loss version.

    Options that only say how the work is divided and saved (micro_batch_size, save_steps, retrain, processes,
    parallelism) are left out, and so are those that the training does not use. Dropout in adapters makes the
    micro-batches count; that of the model's own configuration is switched off.
    """
    left_out = _NOT_IN_HASH | data.unused_options | ({"lora"} if options.method == "full" else set())
    if options.method == "lora" and options.lora.dropout:  # drawn for each micro-batch anew
        left_out -= {"micro_batch_size"}
    content: dict[str, JsonValue] = {
        "base_revision": base.revision,
        "format": base.format,
        "dtype": dtype,
        "seed": seed,
        "options": options.model_dump(mode="json", exclude=set(left_out)),
        **data.content,
        **({"configured_dropout": 0.0} if has_dropout(base.directory) else {}),
        **_chat_deviations(base),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _chat_deviations(base: ModelSource) -> dict[str, JsonValue]:
    """Return in what the base model's chat template is used otherwise than plainly; nothing for most models."""
    if base.format == "plain" or not (base.directory / "config.json").is_file():
        return {}
    from ilf_kedro.language_models.local.chat_template import ChatTemplate
    from ilf_kedro.language_models.local.loading import load_tokenizer

    deviations: dict[str, JsonValue] = {**ChatTemplate(load_tokenizer(base, None)).deviations}
    return {"chat_template": deviations} if deviations else {}


def _train(
    data: TrainingData,
    base: ModelSource,
    options: TrainingOptions,
    dtype: str,
    content_hash: str,
    *,
    seed: int,
    workspace: TrainingWorkspace,
    label: str,
) -> Checkpoint:
    """Encode, fit and publish."""
    from ilf_kedro.language_models.checkpoints.configuration import context_length
    from ilf_kedro.language_models.local.loading import load_tokenizer
    from ilf_kedro.training.distributed import ProcessesFit, fit_in_processes
    from ilf_kedro.training.fitting import Fit, fit_language_model, free_memory, save_model

    started = time.monotonic()
    tokenizer = load_tokenizer(base, None)
    max_tokens = min(options.max_tokens, context_length(base.directory))
    encoded = data.encode(tokenizer, format=base.format, max_tokens=max_tokens, options=options)
    n_truncated = _count_truncated(encoded, max_tokens, label)
    state_directory = workspace.partial(content_hash, fresh=options.retrain)
    settings: dict[str, Any] = {"dtype": dtype, "seed": seed, "state_directory": state_directory, "label": label}
    fit: Fit | ProcessesFit
    if options.processes > 1:
        fit = fit_in_processes(base, encoded, options, **settings)
        write = fit.write
    else:
        fit = fit_language_model(base, encoded, options, **settings, trainer_class=data.trainer_class())
        write = partial(save_model, fit.model, tokenizer, base)
    record = TrainingRecord(
        content_hash=content_hash,
        kind=options.method,
        base_model=base.name,
        base_revision=base.revision,
        method=data.method,
        n_examples=len(data),
        n_steps=len(fit.log),
        n_truncated=n_truncated,
        seed=seed,
        dtype=dtype,
        final_loss=fit.log[-1]["loss"],
        seconds=time.monotonic() - started,
        log=fit.log,
    )
    checkpoint = workspace.publish(record, write)
    executed, seconds = fit.executed_steps, record.seconds
    del fit, write
    free_memory()
    losses = (record.log[0]["loss"], record.final_loss)
    logger.info(
        "%s: ran %d optimiser steps in %.0f s; loss %.3f at first, %.3f at last", label, executed, seconds, *losses
    )
    return checkpoint


def _count_truncated(encoded: Sequence[EncodedExample] | Sequence[EncodedPair], max_tokens: int, label: str) -> int:
    n_truncated = sum(example.truncated for example in encoded)
    if n_truncated:
        message = "%s: the input of %d of %d examples was truncated to fit max_tokens = %d"
        logger.warning(message, label, n_truncated, len(encoded), max_tokens)
    return n_truncated
