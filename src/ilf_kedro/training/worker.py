"""One process of a training by several: `python -m ilf_kedro.training.worker specification.json`.

Started by distributed.py, by way of torch's launcher.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ilf_kedro.language_models.local.loading import load_tokenizer
from ilf_kedro.training.distributed import Outcome, Report, Specification
from ilf_kedro.training.encoded_file import read_encoded
from ilf_kedro.training.encoding import EncodedPair
from ilf_kedro.training.errors import DivergedError
from ilf_kedro.training.fitting import fit_language_model, save_model
from ilf_kedro.training.preference_trainer import PreferenceTrainer
from ilf_kedro.training.trainer import OptimiserStepTrainer, WeightedLossTrainer


class StepPrinter(TrainerCallback):
    """Prints a report after each optimiser step."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Print how far the training is."""
        _print(Report(step=state.global_step, n_steps=state.max_steps))


def main(file: Path) -> None:
    """Take part in the training that a specification describes; the first process saves what came of it."""
    leads = os.environ.get("RANK", "0") == "0"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(
        stream=sys.stdout if leads else sys.stderr,
        level=logging.INFO if leads else logging.WARNING,
        format="%(message)s",
    )
    logging.getLogger("accelerate").setLevel(logging.WARNING)
    specification = Specification.model_validate_json(file.read_bytes())
    try:
        train(specification, leads=leads)
    except DivergedError as error:
        if leads:
            _print(Report(diverged=str(error)))
        raise
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def train(specification: Specification, *, leads: bool) -> None:
    """Fit the model together with the other processes, and let the leading one save it."""
    examples = read_encoded(specification.examples)
    trainer_class: type[OptimiserStepTrainer] = WeightedLossTrainer
    if isinstance(examples[0], EncodedPair):
        trainer_class = PreferenceTrainer
    fit = fit_language_model(
        specification.base,
        examples,
        specification.options,
        dtype=specification.dtype,
        seed=specification.seed,
        state_directory=specification.state_directory,
        label=specification.label,
        trainer_class=trainer_class,
        callbacks=[StepPrinter()] if leads else [],
    )
    if leads:
        specification.weights.mkdir()
        save_model(fit.model, load_tokenizer(specification.base, None), specification.base, specification.weights)
        outcome = Outcome(log=fit.log, executed_steps=fit.executed_steps)
        specification.outcome.write_text(outcome.model_dump_json(), encoding="utf-8")
    torch.distributed.barrier()


def _end_with_parent() -> None:
    """Wait until nobody holds the other end of standard input, then end at once."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


def _print(report: Report) -> None:
    sys.stdout.write(report.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # All is saved. What Python and torch would still tear down includes threads of the process group, and one that
    # is not joined by then ends the process by SIGABRT.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
