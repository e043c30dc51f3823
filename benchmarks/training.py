"""CPU-seconds and peak memory of one epoch on examples of about 450 tokens, ours against plain fp32.

    python benchmarks/training.py [--examples 8] [--variants plain lora-bfloat16]

Each variant runs in a process of its own. "plain" is transformers' Trainer as it comes: the whole model in
float32, every position through the language-model head. Loading the model is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VARIANTS = ("plain", "full-float32", "full-bfloat16", "lora-float32", "lora-bfloat16", "lora-bfloat16-w0.1")
MODEL = Path(__file__).parents[1] / "data" / "06_models" / "smollm2-135m-instruct"
TOKENS, LABEL_TOKENS, BATCH, MICRO_BATCH = 450, 48, 8, 4


def measure(variant: str, n_examples: int) -> dict[str, float]:
    """Train one variant in this process."""
    import numpy as np

    from ilf_kedro.language_models.checkpoint import ModelSource
    from ilf_kedro.training.encoding import EncodedExample
    from ilf_kedro.training.fitting import fit_language_model, load_trainable
    from ilf_kedro.training.options import TrainingOptions

    random = np.random.default_rng(0)
    weight = 0.1 if variant.endswith("w0.1") else 0.0
    examples = []
    for _ in range(n_examples):
        length = int(random.integers(TOKENS - 50, TOKENS + 51))
        ids = random.integers(5, 49_000, length).astype(np.int32)
        examples.append(EncodedExample(ids, length - LABEL_TOKENS, weight, truncated=False))
    base = ModelSource("smollm2-135m-instruct", MODEL, revision="benchmark")
    kind, dtype = ("full", "float32") if variant == "plain" else variant.split("-")[:2]
    options = TrainingOptions(method=kind, dtype=dtype, batch_size=BATCH, micro_batch_size=MICRO_BATCH)
    load_trainable(base, options, dtype)  # warm the file cache, and import everything
    started = time.process_time()
    load_trainable(base, options, dtype)
    loading = time.process_time() - started
    with tempfile.TemporaryDirectory() as directory:
        wall, started = time.monotonic(), time.process_time()
        if variant == "plain":
            plain(base, options, examples, directory)
        else:
            fit_language_model(
                base, examples, options, dtype=dtype, seed=0, state_directory=Path(directory), label=variant
            )
    return {
        "cpu_seconds": time.process_time() - started - loading,
        "wall_seconds": time.monotonic() - wall - loading,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def plain(base, options, examples, directory):  # type: ignore[no-untyped-def]
    """Train as transformers does without us."""
    import torch
    from transformers import Trainer, TrainingArguments

    from ilf_kedro.training.fitting import load_trainable

    def collate(rows):  # type: ignore[no-untyped-def]
        ids = [torch.from_numpy(row.input_ids).long() for row in rows]
        pad = torch.nn.utils.rnn.pad_sequence
        lengths = torch.tensor([len(row) for row in ids])
        tokens = pad(ids, batch_first=True)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--measure", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        sys.stderr.write(json.dumps(measure(arguments.measure, arguments.examples)) + "\n")
        return
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    results: dict[str, dict[str, float]] = {}
    print(f"{arguments.examples} examples of about {TOKENS} tokens, labels of {LABEL_TOKENS}, one epoch")
    print(f"{'':20} CPU-s  CPU-s/example  wall-s  peak GB  times faster")
    for variant in arguments.variants:
        command = [sys.executable, __file__, "--measure", variant, "--examples", str(arguments.examples)]
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        result = results[variant] = json.loads(done.stderr.strip().splitlines()[-1])
        seconds = result["cpu_seconds"]
        first = results[arguments.variants[0]]["cpu_seconds"]
        print(
            f"{variant:20} {seconds:5.1f}  {seconds / arguments.examples:13.2f}  {result['wall_seconds']:6.1f}"
            f"  {result['peak_gigabytes']:7.2f}  {first / seconds:12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
