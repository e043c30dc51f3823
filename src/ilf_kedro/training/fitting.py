"""One training run: load the base model, fit it on encoded examples, write the weights.

Imported only where something is really trained (see trainer.py).
"""

from __future__ import annotations

import gc
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from rich.progress import Progress
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback, TrainingArguments
from transformers.utils.logging import disable_progress_bar

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.checkpoints.merging import quiet_peft, refuse_tied_adapter
from ilf_kedro.language_models.local.kernels.causal_attention import attend_in_blocks
from ilf_kedro.language_models.local.loading import resolve_device
from ilf_kedro.language_models.local.rotary import RotaryLengths
from ilf_kedro.schemas import UserError
from ilf_kedro.training.encoding import EncodedExample, EncodedPair
from ilf_kedro.training.options import LoraOptions, TrainingOptions
from ilf_kedro.training.step_sampling import with_filler
from ilf_kedro.training.trainer import OptimiserStepTrainer, StepReporter, WeightedLossTrainer

logger = logging.getLogger(__name__)

_COLUMNS = {
    "step": "step",
    "epoch": "epoch",
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "gradient_norm",
}


# Their kernels read these layers' weights instead of calling the layers, so that peft lets no adapter stand there.
_STATE_SPACE = frozenset({"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"})
_NOT_CALLED = ("conv1d", "out_proj")


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model, the log of all its optimiser steps, and how many of them this process executed."""

    model: PreTrainedModel | PeftModel
    log: tuple[dict[str, float], ...]
    executed_steps: int


def fit_language_model(
    base: ModelSource,
    examples: Sequence[EncodedExample] | Sequence[EncodedPair],
    options: TrainingOptions,
    *,
    dtype: str,
    seed: int,
    state_directory: Path,
    label: str,
    trainer_class: type[OptimiserStepTrainer] = WeightedLossTrainer,
    callbacks: Sequence[TrainerCallback] = (),
) -> Fit:
    """Fit `base` on `examples`, from the last mid-run checkpoint in `state_directory` where there is one.

    `trainer_class` has the loss, and says which head the model gets. The order of the examples, the first
    weights of adapters and head, and the dropout are functions of the seed. The caller's torch random state
    is left as it was.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own, for loading and saving
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = load_trainable(base, options, dtype, trainer_class)
        lengths = RotaryLengths(model)
        options = _one_length_at_a_time(options, lengths, examples, label)
        with Progress(disable=options.processes > 1) as progress:  # shown by whoever started the processes
            reporter = StepReporter(progress, label, options.save_steps)
            trainer = trainer_class(
                model=model,
                args=_arguments(options, len(examples), dtype, seed, state_directory),
                data_collator=trainer_class.collate,
                train_dataset=list(examples) if options.processes == 1 else with_filler(examples),
                callbacks=[reporter, *callbacks],
            )
            trainer.lengths = lengths
            trainer.remove_callback(PrinterCallback)
            _check_processes(trainer.args.world_size, options, label)
            resume_from = last_state(state_directory)
            if resume_from is not None:
                logger.info("%s: resuming the unfinished training from %s", label, resume_from.name)
            trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    log = tuple(
        {ours: float(row[theirs]) for theirs, ours in _COLUMNS.items()}
        for row in trainer.state.log_history
        if "loss" in row
    )
    if trainer.is_fsdp_enabled:
        model = _gather(trainer, partial(load_trainable, base, options, dtype, trainer_class))
    return Fit(model, log, reporter.executed_steps)


def _gather(trainer: OptimiserStepTrainer, load: Callable[[], Any]) -> Any:
    """Return the model with all weights that the processes hold shares of, in the leading one; None elsewhere."""
    weights = {
        name: weight.full_tensor().cpu() if isinstance(weight, DTensor) else weight
        for name, weight in cast(torch.nn.Module, trainer.model).state_dict().items()
    }  # every process takes part, whether it wants the result or not
    if not trainer.args.should_save:
        return None
    model = load()
    model.load_state_dict(weights)
    return model


def load_trainable(
    base: ModelSource,
    options: TrainingOptions,
    dtype: str,
    trainer_class: type[OptimiserStepTrainer] = WeightedLossTrainer,
) -> PreTrainedModel | PeftModel:
    """Return the base model with fresh adapters, or whole with every weight trainable.

    With adapters the frozen weights have the training's dtype and the adapters float32; a whole model
    has float32 weights, from which bfloat16 computes. A new head is trained whole, in float32.

    Raises:
        UserError: the model is no causal one, or adapters are asked for on weights that two layers share.
    """
    frozen = options.method == "lora"
    model = trainer_class.load(base.directory, getattr(torch, dtype) if frozen else torch.float32)
    with torch.inference_mode():
        trainer_class.trial(model).check(model)
    if resolve_device("auto") == "cpu":
        attend_in_blocks(model)
    if not frozen:
        return model
    try:
        with quiet_peft():
            adapted = get_peft_model(model, _lora_config(options.lora, trainer_class.lora_task, model))
    except ValueError as error:  # the modules are not there, or take no adapter
        raise UserError(
            f"training.lora.target_modules is {options.lora.target_modules!r}, which does not fit "
            f"{type(model).__name__}: {error} Name its linear layers, or write all-linear"
        ) from error
    refuse_tied_adapter(adapted)
    if trainer_class is WeightedLossTrainer:
        _check_adapted(adapted.eval(), model, options)
    return adapted


@torch.inference_mode()
def _check_adapted(adapted: PeftModel, model: PreTrainedModel, options: TrainingOptions) -> None:
    """Refuse adapters with which the model does not even run."""
    try:
        adapted(input_ids=torch.ones(1, 4, dtype=torch.long, device=adapted.device), use_cache=False)
    except (RuntimeError, AttributeError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise UserError(
            f"adapters on {options.lora.target_modules!r} do not fit some layer of {type(model).__name__} ({error}); "
            "name other layers in training.lora.target_modules, or set training.method to full"
        ) from error


def save_model(
    model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, base: ModelSource, directory: Path
) -> None:
    """Write the adapter, or the whole model with its tokenizer, as safetensors."""
    if isinstance(model, PeftModel):
        config = cast(LoraConfig, model.peft_config["default"])
        config.base_model_name_or_path = base.name  # a path means nothing elsewhere
        if isinstance(config.target_modules, set):  # written in an order that changes from process to process
            config.target_modules = sorted(config.target_modules)
        model.save_pretrained(str(directory), save_embedding_layers=False)
        (directory / "README.md").unlink(missing_ok=True)  # peft's empty model card
    else:
        model.config.use_cache = True  # switched off by the trainer; whoever samples from the model wants it
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)


def free_memory() -> None:
    """Give back what a deleted model held, on the accelerator too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def last_state(directory: Path) -> Path | None:
    """Return the newest whole mid-run checkpoint, and remove those whose saving was cut off."""
    whole: dict[int, Path] = {}
    for path in directory.glob("checkpoint-*"):
        try:  # written after everything else
            whole[json.loads((path / "trainer_state.json").read_bytes())["global_step"]] = path
        except (OSError, ValueError, KeyError):
            shutil.rmtree(path, ignore_errors=True)
    return whole[max(whole)] if whole else None


def _lora_config(options: LoraOptions, task: str, model: PreTrainedModel) -> LoraConfig:
    modules = options.target_modules
    state_space = modules == "all-linear" and model.config.model_type in _STATE_SPACE
    return LoraConfig(
        task_type=task,
        r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]  # any number will do
        lora_dropout=options.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        exclude_modules=list(_NOT_CALLED) if state_space else None,
    )


def _one_length_at_a_time(
    options: TrainingOptions,
    lengths: RotaryLengths,
    examples: Sequence[EncodedExample] | Sequence[EncodedPair],
    label: str,
) -> TrainingOptions:
    """Compute each example by itself where the longest of a batch would choose the rotary frequencies of all.

    Raises:
        UserError: the examples are pairs, which are computed together.
    """
    if lengths.alike([example.n_tokens for example in examples]):
        return options
    if isinstance(examples[0], EncodedPair):
        raise UserError(
            f"{label}: a scalar head is not trained on texts of such different lengths with this model, whose rotary "
            "frequencies depend on the length (LongRoPE or dynamic RoPE); lower training.max_tokens to the length of "
            "the model's first training (original_max_position_embeddings), or use the kind yes_no"
        )
    return options.model_copy(update={"micro_batch_size": 1})


def _check_processes(found: int, options: TrainingOptions, label: str) -> None:
    """Refuse to train with another number of processes than was asked for, or on a batch that they cannot divide.

    Raises:
        UserError: one of both.
    """
    if found != options.processes:
        raise UserError(
            f"{label}: asked for {options.processes} processes, found {found}; a training by several is started by "
            "fit_in_processes, in a world of its own"
        )
    if options.batch_size % found:
        raise UserError(
            f"{label}: a batch of {options.batch_size} cannot be divided evenly among {found} processes; change "
            "batch_size or processes (where two outputs make one example, half of batch_size counts)"
        )


def _arguments(
    options: TrainingOptions, n_examples: int, dtype: str, seed: int, state_directory: Path
) -> TrainingArguments:
    own_batch = options.batch_size // options.processes
    micro_batch = max(size for size in range(1, options.micro_batch_size + 1) if own_batch % size == 0)
    n_steps = options.epochs * -(-n_examples // options.batch_size)
    arguments = TrainingArguments(
        output_dir=str(state_directory),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=own_batch // micro_batch,
        learning_rate=options.learning_rate * options.learning_rate_multiplier / 0.1,
        warmup_steps=round(options.warmup_fraction * n_steps),
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_gradient_norm,
        bf16=dtype == "bfloat16",
        seed=seed,
        data_seed=seed,
        use_cpu=resolve_device("auto") == "cpu",
        save_strategy="no",  # StepReporter asks for mid-run saves
        save_total_limit=1,
        logging_steps=1,
        logging_nan_inf_filter=False,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        fsdp=options.processes > 1 and options.parallelism == "fsdp",  # type: ignore[arg-type]  # no longer a text
        fsdp_config={"version": 2, "state_dict_type": "SHARDED_STATE_DICT"},
        ddp_find_unused_parameters=False,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # noqa: SLF001  # no torch DataParallel: one process, one device
    return arguments
