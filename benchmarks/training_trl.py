"""The same work by trl's trainers: same model, adapters, type, batches and tokens, loss on the completion alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.training.encoding import EncodedExample, EncodedPair
from ilf_kedro.training.options import TrainingOptions

warnings.filterwarnings("ignore")


def supervised(
    base: ModelSource, examples: Sequence[EncodedExample], options: TrainingOptions, dtype: str, directory: str
) -> Callable[[], None]:
    """Return the training of trl's SFTTrainer, loaded and ready."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "input_ids": each.input_ids.tolist(),
            "completion_mask": [0] * each.label_start + [1] * (len(each.input_ids) - each.label_start),
        }
        for each in examples
    ]
    trainer = SFTTrainer(
        model=_load(AutoModelForCausalLM, base, dtype),
        args=SFTConfig(completion_only_loss=True, **_arguments(options, options.batch_size, dtype, directory)),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(str(base.directory)),
        peft_config=_adapters(options, "CAUSAL_LM"),
    )
    return lambda: trainer.train() and None


def reward(
    base: ModelSource, pairs: Sequence[EncodedPair], options: TrainingOptions, dtype: str, directory: str
) -> Callable[[], None]:
    """Return the training of trl's RewardTrainer, loaded and ready."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    rows = [{"chosen_ids": each.preferred.tolist(), "rejected_ids": each.other.tolist()} for each in pairs]
    trainer = RewardTrainer(
        model=_load(AutoModelForSequenceClassification, base, dtype, num_labels=1),
        args=RewardConfig(**_arguments(options, options.batch_size, dtype, directory)),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(str(base.directory)),
        peft_config=_adapters(options, "SEQ_CLS", modules_to_save=["score"]),
    )
    return lambda: trainer.train() and None


def _load(kind: Any, base: ModelSource, dtype: str, **options: Any) -> Any:
    import torch

    model = kind.from_pretrained(str(base.directory), dtype=getattr(torch, dtype), local_files_only=True, **options)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = model.config.eos_token_id
    return model


def _adapters(options: TrainingOptions, task: str, **others: Any) -> Any:
    from peft import LoraConfig

    lora = options.lora
    return LoraConfig(task_type=task, r=lora.rank, lora_alpha=lora.alpha, target_modules=lora.target_modules, **others)


def _arguments(options: TrainingOptions, batch_size: int, dtype: str, directory: str) -> dict[str, Any]:
    """Return what both configurations share; trl's own default, gradient checkpointing, is off as it is in ours."""
    micro_batch = min(options.micro_batch_size, batch_size)
    return {
        "output_dir": directory,
        "num_train_epochs": 1,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": batch_size // micro_batch,
        "learning_rate": options.learning_rate,
        "bf16": dtype == "bfloat16",
        "gradient_checkpointing": False,
        "max_length": None,
        "use_cpu": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
