"""Sample the initial programs of the code sample again, and check or write them.

    .venv/bin/python data/01_raw/code_sample/sample_programs.py           # check the committed programs
    .venv/bin/python data/01_raw/code_sample/sample_programs.py --write   # fill the column initial_program

Every problem gets one program by the same rule; nothing is picked. Feedback was written on the committed programs, so
new ones need new feedback.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.prompting import Prompt
from ilf_kedro.prompting.cleaning import extract_code

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parent
MODEL = Path("data/06_models/smollm2-135m-instruct")
SPLITS = ("train", "development", "validation", "test")
OPTIONS = SamplingOptions(temperature=0.7, top_p=0.95, max_new_tokens=128)
REQUEST = "{problem}\n\nAnswer with the function alone, in a block of Python code."


def main() -> int:
    """Run the command; the exit status is 1 when a check finds a program that is not as it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help="directory of the model (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="fill the column instead of checking it")
    arguments = parser.parse_args()
    if not (arguments.model / "config.json").is_file():
        parser.error(f"no model in {arguments.model}: run `make install` first, from the root of the repository")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    source = ModelSource("SmolLM2-135M-Instruct", arguments.model, "", "chat", "float32")
    model = LocalLanguageModel(source)
    n_same = n = 0
    for split in SPLITS:
        path = FOLDER / f"{split}.jsonl"
        rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        prompts = [Prompt(REQUEST.format(problem=row["problem"]), row["id"]) for row in rows]
        completions = model.generate(prompts, range(1), OPTIONS, seed=0)
        programs = [extract_code(of_row[0].text) for of_row in completions]
        n_same += sum(row["initial_program"] == program for row, program in zip(rows, programs, strict=True))
        n += len(rows)
        logger.info("%s: %d of %d so far as they were", split, n_same, n)
        if arguments.write:
            written = [{**row, "initial_program": program} for row, program in zip(rows, programs, strict=True)]
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in written), "utf-8")
    return 0 if arguments.write or n_same == n else 1


if __name__ == "__main__":
    sys.exit(main())
