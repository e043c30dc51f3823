"""Supervised training of a causal language model: finetuning, and reward models that answer in words."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from functools import partial

from ilf_kedro.language_models.checkpoint import Checkpoint, ModelSource, TrainingRecord
from ilf_kedro.language_models.loading import context_length, load_tokenizer, resolve_device, resolve_dtype
from ilf_kedro.language_models.resident import RESIDENT
from ilf_kedro.training.encoding import ExampleError, encode_examples
from ilf_kedro.training.examples import TrainingExample
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.workspace import TrainingWorkspace

logger = logging.getLogger(__name__)

LOSS_VERSION = "1"
_NOT_IN_HASH = {"retrain", "save_steps", "micro_batch_size", "dtype"}


def train_language_model(
    base: ModelSource,
    examples: Sequence[TrainingExample],
    options: TrainingOptions,
    *,
    seed: int,
    workspace: TrainingWorkspace,
    label: str,
) -> Checkpoint:
    """Train `base` on `examples`, or return the finished training with the same content hash.

    The loss is Σ wᵢ·ceᵢ / Σ wᵢ over the tokens of a batch, where the label's tokens weigh 1 and the
    prompt's `prompt_loss_weight`. The learning rate rises over `warmup_fraction` of the steps and then
    falls linearly towards zero. A killed training goes on from its last mid-run checkpoint.

    Raises:
        ExampleError: there are no examples, or one cannot be trained on.
        DivergedError: the loss became infinite or not a number.
    """
    if not examples:
        raise ExampleError(f"{label}: found no examples to train on, expected at least one")
    dtype = training_dtype(base, options)
    content_hash = training_hash(base, examples, options, dtype=dtype, seed=seed)
    with workspace.lock(content_hash):
        finished = None if options.retrain else workspace.find(content_hash)
        if finished is not None:
            logger.info("%s: using the finished training %s (0 optimiser steps)", label, content_hash[:12])
            return finished
        return _train(base, examples, options, dtype, content_hash, seed=seed, workspace=workspace, label=label)


def training_dtype(base: ModelSource, options: TrainingOptions) -> str:
    """Return what a training computes in: the options' dtype, else the base model's, else the hardware's best."""
    return resolve_dtype(base.dtype if options.dtype == "auto" else options.dtype, resolve_device("auto"))


def training_hash(
    base: ModelSource, examples: Sequence[TrainingExample], options: TrainingOptions, *, dtype: str, seed: int
) -> str:
    """Return the SHA-256 of all that decides the weights: data, options, dtype, seed, base model, loss version.

    Options that only say how the work is divided and saved (micro_batch_size, save_steps, retrain) are
    left out, and so are the adapters' where the whole model is trained.
    """
    left_out = _NOT_IN_HASH | ({"lora"} if options.method == "full" else set())
    content = {
        "loss_version": LOSS_VERSION,
        "base_revision": base.revision,
        "format": base.format,
        "dtype": dtype,
        "seed": seed,
        "options": options.model_dump(mode="json", exclude=left_out),
        "examples": [
            [example.prompt.text, example.prompt.truncatable, example.completion, example.ends] for example in examples
        ],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _train(
    base: ModelSource,
    examples: Sequence[TrainingExample],
    options: TrainingOptions,
    dtype: str,
    content_hash: str,
    *,
    seed: int,
    workspace: TrainingWorkspace,
    label: str,
) -> Checkpoint:
    """Encode, fit and publish."""
    from ilf_kedro.training.fitting import fit_language_model, free_memory, save_model

    started = time.monotonic()
    tokenizer = load_tokenizer(base, None)
    max_tokens = min(options.max_tokens, context_length(base))
    weight = options.prompt_loss_weight
    encoded = encode_examples(tokenizer, examples, format=base.format, max_tokens=max_tokens, prompt_loss_weight=weight)
    n_truncated = sum(example.truncated for example in encoded)
    if n_truncated:
        logger.warning(
            "%s: the post of %d of %d examples was cut to fit max_tokens = %d",
            label,
            n_truncated,
            len(encoded),
            max_tokens,
        )
    state_directory = workspace.partial(content_hash, fresh=options.retrain)
    RESIDENT.release()  # one model in memory at a time
    fit = fit_language_model(
        base, encoded, options, dtype=dtype, seed=seed, state_directory=state_directory, label=label
    )
    record = TrainingRecord(
        content_hash=content_hash,
        kind=options.method,
        base_model=base.name,
        base_revision=base.revision,
        method="supervised",
        n_examples=len(examples),
        n_steps=len(fit.log),
        n_truncated=n_truncated,
        seed=seed,
        dtype=dtype,
        final_loss=fit.log[-1]["loss"],
        seconds=time.monotonic() - started,
        log=fit.log,
    )
    checkpoint = workspace.publish(record, partial(save_model, fit.model, tokenizer, base))
    executed, first, last = fit.executed_steps, fit.log[0]["loss"], record.final_loss
    del fit
    free_memory()
    logger.info(
        "%s: ran %d optimiser steps in %.0f s; loss %.3f at first, %.3f at last",
        label,
        executed,
        record.seconds,
        first,
        last,
    )
    return checkpoint
