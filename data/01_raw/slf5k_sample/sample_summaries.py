"""Sample the generated summaries of the SLF5K-shaped sample again, and check or write them.

    .venv/bin/python data/01_raw/slf5k_sample/sample_summaries.py           # check the committed summaries
    .venv/bin/python data/01_raw/slf5k_sample/sample_summaries.py --write   # fill the three columns

Every post gets one summary in each of three columns by the same rule; nothing is picked. The noise of a
draw comes from SHA-256 of (seed, id, draw number), whatever else is in its batch. A row's draws are 0, 1
and 2; one that is empty or repeats an earlier summary of its row is drawn again three numbers further.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, LogitsProcessorList, TopPLogitsWarper
from transformers.utils import logging as transformers_logging

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parent
MODEL = Path("data/06_models/smollm2-135m-instruct")
SPLITS = ("train", "development", "validation", "test")
COLUMNS = (
    "generated_summary_for_feedback",
    "generated_summary_for_comparison_A",
    "generated_summary_for_comparison_B",
)
TEMPERATURE, TOP_P, MAX_NEW_TOKENS, BATCH = 0.5, 0.95, 48, 12
REQUEST = "Title: {title}\n\n{post}\n\nSummarize the post above in one or two short sentences, in the first person."
OPENING = "TL;DR:"  # the model's answer is made to start with this, which is no part of the summary


class Draw(NamedTuple):
    """One summary to sample."""

    row: dict[str, Any]
    column: str
    number: int


def clean(text: str) -> str:
    """Return the first non-empty line with spaces folded, less a last sentence cut short if one before it is whole."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    line = next((line for line in lines if line), "")
    whole = re.match(r'.*[.!?]["”\')]*(?=\s|$)', line)
    return whole.group() if whole else line


class SeededSampling(LogitsProcessor):  # type: ignore[misc]
    """Turns greedy search into nucleus sampling with a generator for each row of the batch (Gumbel-max)."""

    def __init__(self, seeds: list[str]) -> None:
        digests = [hashlib.sha256(seed.encode()).digest() for seed in seeds]
        self._generators = [torch.Generator().manual_seed(int.from_bytes(digest[:7], "big")) for digest in digests]
        self._nucleus = TopPLogitsWarper(TOP_P)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return scores whose largest value is a sample."""
        noise = [torch.empty(scores.shape[1]).exponential_(generator=one).log() for one in self._generators]
        return self._nucleus(input_ids, scores / TEMPERATURE) - torch.stack(noise)


class Sampler:
    """The model that the summaries are drawn from."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(directory, padding_side="left")
        self._model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
        self._seed = seed

    def fill(self, rows: list[dict[str, Any]]) -> None:
        """Set the three columns of each row; none is empty and no two of a row are the same."""
        waiting = [Draw(row, column, number) for row in rows for number, column in enumerate(COLUMNS)]
        for draw in waiting:
            draw.row[draw.column] = ""
        while waiting:
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            for draw, text in zip(batch, self._texts(batch), strict=True):
                if text in {"", *(draw.row[column] for column in COLUMNS)}:
                    waiting.append(draw._replace(number=draw.number + len(COLUMNS)))
                else:
                    draw.row[draw.column] = text

    def _texts(self, batch: list[Draw]) -> list[str]:
        chats = [[{"role": "user", "content": REQUEST.format_map(draw.row)}] for draw in batch]
        prompts = self._tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
        prompts = [prompt + OPENING for prompt in prompts]
        encoded = self._tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        sampling = SeededSampling([f"{self._seed}:{draw.row['id']}:{draw.number}" for draw in batch])
        with torch.inference_mode():
            output = self._model.generate(
                **encoded,
                do_sample=False,
                logits_processor=LogitsProcessorList([sampling]),
                max_new_tokens=MAX_NEW_TOKENS,
            )
        answers = output[:, encoded["input_ids"].shape[1] :]
        return [clean(text) for text in self._tokenizer.batch_decode(answers, skip_special_tokens=True)]


def main() -> int:
    """Run the command; the exit status is 1 when a check finds a smaller share of equal summaries than asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help="directory of the model (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="fill the three columns instead of checking them")
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=SPLITS, help="only these (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="the committed summaries were drawn with %(default)s")
    parser.add_argument("--min-share", type=float, default=0.0, help="least share of equal summaries a check accepts")
    arguments = parser.parse_args()
    if not (arguments.model / "config.json").is_file():
        parser.error(f"no model in {arguments.model}: run `make install` first, from the root of the repository")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(2)
    sampler, started, same = Sampler(arguments.model, arguments.seed), time.monotonic(), []
    for split in arguments.splits:
        path = FOLDER / f"{split}.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        committed = [row[column] for row in rows for column in COLUMNS]
        sampler.fill(rows)
        sampled = [row[column] for row in rows for column in COLUMNS]
        same += [old == new for old, new in zip(committed, sampled, strict=True)]
        if arguments.write:
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8", newline="\n")
        logger.info("%s: %d of %d so far as they were, %.0f s", split, sum(same), len(same), time.monotonic() - started)
    share = sum(same) / len(same)
    logger.info("%d of %d summaries (%.1f %%) are as they were", sum(same), len(same), 100 * share)
    return 0 if arguments.write or share >= arguments.min_share else 1


if __name__ == "__main__":
    sys.exit(main())
