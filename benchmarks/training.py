"""CPU-seconds and peak memory of one epoch on examples of about 450 tokens: ours, plain transformers, and trl.

    python benchmarks/training.py [--examples 64] [--rounds 3] [--variants plain lora-bfloat16 trl-sft]

Each variant runs in a process of its own, and the rounds are interleaved: their medians are shown. "plain" is
transformers' Trainer as it comes: the whole model in float32, every position through the language-model head.
"trl-sft" and "trl-reward" do the work of "lora-bfloat16" and "reward" (a scalar head on half as many pairs) with
trl's trainers. Loading the model is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SUPERVISED = (
    "plain",
    "full-float32",
    "full-bfloat16",
    "lora-float32",
    "lora-bfloat16",
    "lora-bfloat16-w0.1",
    "trl-sft",
)
VARIANTS = (*SUPERVISED, "reward", "trl-reward")
MODEL = Path(__file__).parents[1] / "data" / "06_models" / "smollm2-135m-instruct"
LABEL_TOKENS, BATCH, MICRO_BATCH = 48, 8, 4


def measure(variant: str, n_examples: int, n_tokens: int) -> dict[str, float]:
    """Train one variant in this process."""
    with tempfile.TemporaryDirectory() as directory:
        run, loading = prepare(variant, n_examples, n_tokens, directory)
        wall, started = time.monotonic(), time.process_time()
        run()
        return {
            "cpu_seconds": time.process_time() - started - loading,
            "wall_seconds": time.monotonic() - wall - loading,
            "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }


def prepare(variant: str, n_examples: int, n_tokens: int, directory: str) -> tuple[Callable[[], Any], float]:
    """Return the training, and how many CPU-seconds of it are loading."""
    from training_trl import reward, supervised

    from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
    from ilf_kedro.training.fitting import fit_language_model, load_trainable
    from ilf_kedro.training.options import TrainingOptions
    from ilf_kedro.training.preference_trainer import PreferenceTrainer
    from ilf_kedro.training.trainer import WeightedLossTrainer

    base = ModelSource("smollm2-135m-instruct", MODEL, revision="benchmark")
    pairs = variant in ("reward", "trl-reward")
    kind, dtype = ("full", "float32") if variant == "plain" else ("lora", "bfloat16")
    if variant in SUPERVISED[1:6]:
        kind, dtype = variant.split("-")[:2]
    divisor = 2 if pairs else 1  # a batch of pairs has as many texts
    options = TrainingOptions(
        method=kind, dtype=dtype, batch_size=BATCH // divisor, micro_batch_size=MICRO_BATCH // divisor
    )
    data: list[Any] = (
        random_pairs(n_examples // 2, n_tokens) if pairs else random_examples(n_examples, n_tokens, variant)
    )
    if variant == "trl-sft":
        return supervised(base, data, options, dtype, directory), 0.0
    if variant == "trl-reward":
        return reward(base, data, options, dtype, directory), 0.0
    trainer = PreferenceTrainer if pairs else WeightedLossTrainer
    load_trainable(base, options, dtype, trainer)  # warm the file cache, and import everything
    started = time.process_time()
    load_trainable(base, options, dtype, trainer)
    loading = time.process_time() - started
    if variant == "plain":
        return lambda: plain(base, options, data, directory), loading
    settings: dict[str, Any] = {"dtype": dtype, "seed": 0, "state_directory": Path(directory), "label": variant}
    return lambda: fit_language_model(base, data, options, **settings, trainer_class=trainer), loading


def random_examples(n_examples: int, n_tokens: int, variant: str) -> list[Any]:
    """Return examples of random tokens, the last of them the label."""
    import numpy as np

    from ilf_kedro.training.encoding import EncodedExample

    random = np.random.default_rng(0)
    weight = 0.1 if variant.endswith("w0.1") else 0.0
    examples = []
    for _ in range(n_examples):
        length = int(random.integers(n_tokens - 50, n_tokens + 51))
        ids = random.integers(5, 49_000, length).astype(np.int32)
        examples.append(EncodedExample(ids, length - LABEL_TOKENS, weight, truncated=False))
    return examples


def random_pairs(n_pairs: int, n_tokens: int) -> list[Any]:
    """Return pairs of random tokens."""
    from ilf_kedro.training.encoding import EncodedPair

    ids = [each.input_ids for each in random_examples(2 * n_pairs, n_tokens, "")]
    return [EncodedPair(*two, truncated=False) for two in zip(ids[::2], ids[1::2], strict=True)]


def plain(base: Any, options: Any, examples: Any, directory: str) -> None:
    """Train as transformers does without us."""
    import torch
    from transformers import Trainer, TrainingArguments

    from ilf_kedro.training.fitting import load_trainable

    def collate(rows: Any) -> dict[str, Any]:
        ids = [torch.from_numpy(row.input_ids).long() for row in rows]
        lengths = torch.tensor([len(row) for row in ids])
        tokens = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        mask = torch.arange(tokens.shape[1])[None] < lengths[:, None]
        labels = tokens.clone()
        for row, example in enumerate(rows):
            labels[row, : example.label_start] = -100
        return {"input_ids": tokens, "attention_mask": mask.long(), "labels": labels.masked_fill(~mask, -100)}

    arguments = TrainingArguments(
        output_dir=directory,
        num_train_epochs=1,
        per_device_train_batch_size=options.micro_batch_size,
        gradient_accumulation_steps=options.batch_size // options.micro_batch_size,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    model = load_trainable(base, options, "float32")
    Trainer(model=model, args=arguments, data_collator=collate, train_dataset=list(examples)).train()


def run_once(variant: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure a variant in a process of its own."""
    command = [sys.executable, __file__, "--measure", variant]
    command += ["--examples", str(arguments.examples), "--tokens", str(arguments.tokens)]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=450)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--measure", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.examples, arguments.tokens)))
        return
    results: dict[str, list[dict[str, float]]] = {variant: [] for variant in arguments.variants}
    for _ in range(arguments.rounds):
        for variant in arguments.variants:
            results[variant].append(run_once(variant, arguments))
            print(variant, results[variant][-1], file=sys.stderr, flush=True)
    print(f"{arguments.examples} examples of about {arguments.tokens} tokens, labels of {LABEL_TOKENS}, one epoch")
    print(f"{'':20} CPU-s  CPU-s/example  wall-s  peak GB  times faster than {arguments.variants[0]}")
    first = statistics.median(each["cpu_seconds"] for each in results[arguments.variants[0]])
    for variant, runs in results.items():
        seconds, wall, peak = (
            statistics.median(each[name] for each in runs) for name in ("cpu_seconds", "wall_seconds", "peak_gigabytes")
        )
        line = f"{variant:20} {seconds:5.1f}  {seconds / arguments.examples:13.2f}  {wall:6.1f}  {peak:7.2f}"
        print(f"{line}  {first / seconds:12.2f}")


if __name__ == "__main__":
    main()
