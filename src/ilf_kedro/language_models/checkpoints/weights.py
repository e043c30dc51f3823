"""Weights read from a directory: all that the model needs, nothing that it does not know, and only numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.checkpoints.manifest import damages
from ilf_kedro.schemas import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["ModelDirectoryError", "check_checkpoint", "load_pretrained", "unreadable"]

_SHOWN = 5  # tensors that a message names
_AGAIN = "copy the files again from where the model comes from, or name another directory in the catalog"


class ModelDirectoryError(UserError):
    """A model is missing, incomplete, damaged or not supported; the message begins with its `place` on the disk."""

    def __init__(self, place: Path, what: str) -> None:
        super().__init__(place, what)
        self.place = place

    def __str__(self) -> str:
        return " ".join(map(str, self.args))


def load_pretrained(
    auto: Any, directory: Path, dtype: torch.dtype, *, new: str = "", unused: str = "", **named: Any
) -> Any:
    """Return the model that `auto` (a class of transformers such as AutoModelForCausalLM) makes of a directory.

    Tensors whose names begin with `new` may be missing or of another shape, and are then drawn at random; those with
    `unused` may be in the files without being in the model. `named` goes to `from_pretrained`.

    Raises:
        ModelDirectoryError: naming the file or the tensors that are missing, unknown, of another shape or no numbers.
    """
    import torch
    from transformers.utils import logging as transformers_logging

    _check_files(directory)
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # what it would report is refused below
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, info = auto.from_pretrained(
            str(directory),
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            **named,
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of many kinds, each of them about the directory
        said = " ".join(str(error).split())
        raise ModelDirectoryError(
            directory, f"cannot be loaded ({type(error).__name__}: {said[:400]}); {_AGAIN}"
        ) from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    faults = [
        *_describe("lacks the tensors", info["missing_keys"], new),
        *_describe("has tensors that the model does not know", info["unexpected_keys"], unused),
        *_describe("has tensors of other shapes than the model's:", map(_shapes, info["mismatched_keys"]), new),
    ]
    if faults:
        raise ModelDirectoryError(_holder(directory), f"as {type(model).__name__} {'; it '.join(faults)}; {_AGAIN}")
    _check_numbers(model, directory, new)
    return model


def check_checkpoint(checkpoint: Checkpoint | None) -> None:
    """Refuse a checkpoint of which any byte is not what was saved.

    Raises:
        ModelDirectoryError: naming the files.
    """
    if checkpoint is not None and (damaged := damages(checkpoint.directory)):
        raise ModelDirectoryError(
            checkpoint.directory,
            f"is not the checkpoint that was saved ({'; '.join(damaged)}); delete it and run the pipeline that makes "
            "it again",
        )


def unreadable(place: Path, what: str, error: Exception) -> ModelDirectoryError:
    """Return what to raise where transformers cannot read a file or directory as `what`."""
    said = " ".join(str(error).split())
    if "trust_remote_code" in said:
        return ModelDirectoryError(
            place,
            "asks for code that lies in the model's directory, and such code is never run here; use a model whose "
            "architecture and tokenizer are transformers' own",
        )
    return ModelDirectoryError(place, f"cannot be read as {what} ({type(error).__name__}: {said[:400]}); {_AGAIN}")


def _check_files(directory: Path) -> None:
    """Refuse files of weights that are no whole safetensors files, by name."""
    from safetensors import SafetensorError, safe_open

    for file in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as stream:
                empty = not stream.keys()
        except (SafetensorError, OSError) as error:
            raise ModelDirectoryError(file, f"is no whole safetensors file ({error}); {_AGAIN}") from error
        if empty:
            raise ModelDirectoryError(file, f"holds no tensors; {_AGAIN}")


def _check_numbers(model: PreTrainedModel, directory: Path, new: str) -> None:
    """Refuse weights that are infinite or not numbers."""
    import torch

    broken = [
        name
        for name, weight in model.named_parameters()
        if not (new and name.startswith(new)) and not bool(torch.isfinite(weight.detach().sum(dtype=torch.float32)))
    ]
    if broken:
        what = _list("has values that are no numbers (NaN) in", broken)
        raise ModelDirectoryError(_holder(directory), f"{what}; {_AGAIN}")


def _holder(directory: Path) -> Path:
    """Return the file of weights in a directory, or where there are several their index."""
    files = list(directory.glob("*.safetensors"))
    index = directory / "model.safetensors.index.json"
    return files[0] if len(files) == 1 else index if index.is_file() else directory


def _describe(what: str, names: Iterable[str], allowed: str) -> list[str]:
    found = sorted(name for name in names if not (allowed and name.startswith(allowed)))
    return [_list(what, found)] if found else []


def _shapes(mismatch: tuple[str, Sequence[int], Sequence[int]]) -> str:
    name, found, expected = mismatch
    return f"{name} (found {list(found)}, expected {list(expected)})"


def _list(what: str, names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what} {', '.join(names[:_SHOWN])}{more}"
