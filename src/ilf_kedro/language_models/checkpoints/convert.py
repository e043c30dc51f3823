"""Turns a released model's pytorch_model.bin into safetensors, once.

Run `python -m ilf_kedro.language_models.checkpoints.convert SOURCE TARGET`. The project loads safetensors only. A .bin
file is a pickle: it is read with weights_only=True, so that it can hold nothing but numbers.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ilf_kedro.schemas import UserError

__all__ = ["ConversionError", "convert", "main"]

logger = logging.getLogger(__name__)


class ConversionError(UserError):
    """A directory cannot be converted."""


def convert(source: Path, target: Path, *, add_bos_token: bool = False) -> Path:
    """Write the model and tokenizer of `source` to `target` as safetensors, whole or not at all.

    `add_bos_token` lets the tokenizer begin every text with its first token, as OPT was trained with.

    Raises:
        ConversionError: `source` holds no pytorch_model.bin with its config and tokenizer, the file holds more than
            numbers, or `target` exists.
    """
    names = {file.name for file in source.glob("*")} if source.is_dir() else set()
    missing = [name for name in ("config.json", "tokenizer_config.json") if name not in names]
    if not names & {"pytorch_model.bin", "pytorch_model.bin.index.json"}:
        missing.insert(0, "pytorch_model.bin (or its index)")
    if missing:
        raise ConversionError(f"{source} cannot be converted: it lacks {', '.join(missing)}; found {sorted(names)}")
    if target.exists():
        raise ConversionError(f"{target} exists already; name another directory, or remove it")
    building = target.with_name(f"{target.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    try:
        _write(source, building, add_bos_token)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _write(source: Path, directory: Path, add_bos_token: bool) -> None:
    from pickle import UnpicklingError

    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"add_bos_token": True} if add_bos_token else {}
    tokenizer = AutoTokenizer.from_pretrained(str(source), local_files_only=True, trust_remote_code=False, **options)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(source),
            local_files_only=True,
            use_safetensors=False,
            weights_only=True,
            dtype="auto",
            trust_remote_code=False,
        )
    except UnpicklingError as error:
        raise ConversionError(
            f"the weights in {source} are a pickle with more in it than numbers, which is not read: {error}"
        ) from error
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ilf_kedro.language_models.checkpoints.convert", description=__doc__
    )
    parser.add_argument("source", type=Path, help="the directory with pytorch_model.bin, config and tokenizer")
    parser.add_argument("target", type=Path, help="the directory to write, which must not exist yet")
    parser.add_argument(
        "--add-bos-token", action="store_true", help="begin every text with the tokenizer's first token"
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        convert(chosen.source, chosen.target, add_bos_token=chosen.add_bos_token)
    except ConversionError as error:
        logger.error("%s", error)  # a user's fault, not a program's
        return 1
    logger.info("Wrote %s", chosen.target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
