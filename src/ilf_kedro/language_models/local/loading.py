"""From a model's directory to something that answers: its revision, its weights, and the engine that fits it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, Dtype, Format, ModelSource
from ilf_kedro.language_models.checkpoints.configuration import load_config
from ilf_kedro.language_models.checkpoints.merging import merge_adapter
from ilf_kedro.language_models.checkpoints.weights import (
    ModelDirectoryError,
    check_checkpoint,
    load_pretrained,
    unreadable,
)
from ilf_kedro.language_models.local.choosing import choose_engine
from ilf_kedro.language_models.local.engines import Engine
from ilf_kedro.language_models.local.kernels.packed_weights import pack_linear_weights
from ilf_kedro.language_models.local.options import Device

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

# Code is never run here; it counts, since whoever changed it has another model's directory in hand.
_IDENTIFYING = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.model", "*.txt", "*.jinja", "*.py")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Weights in memory, the engine that runs them, the tokens that end a sequence, and a scalar head if any."""

    engine: Engine
    ends: frozenset[int]
    head: Any = None


def load_model_source(name: str, directory: Path, *, format: Format = "plain", dtype: Dtype = "auto") -> ModelSource:  # noqa: A002
    """Describe the model in a directory; its revision is the SHA-256 over weights, config and tokenizer.

    Raises:
        ModelDirectoryError: the directory is missing, or lacks config, tokenizer or safetensors weights.
    """
    directory = Path(directory)
    files = _model_files(directory)
    revision = hashlib.sha256()
    for file in files:
        stat = file.stat()
        revision.update(f"{file.name}\0{_hash_file(file, stat.st_size, stat.st_mtime_ns)}\0".encode())
    return ModelSource(name, directory, revision.hexdigest(), format, dtype)


def _model_files(directory: Path) -> list[Path]:
    """Return the files that make a model what it is, in order of name."""
    hint = "Run `make install` for the models that the project brings, or correct the directory in the catalog."
    if not directory.is_dir():
        raise ModelDirectoryError(directory, f"is the directory of a language model, and does not exist. {hint}")
    files = sorted({file for pattern in _IDENTIFYING for file in directory.glob(pattern)})
    names = {file.name for file in files}
    missing = [needed for needed in ("config.json", "tokenizer_config.json") if needed not in names]
    if not any(name.endswith(".safetensors") for name in names):
        missing.append("*.safetensors")
    if list(directory.glob("pytorch_model*.bin")):
        hint = (
            "It has weights as a pickle: make safetensors of them with "
            f"`python -m ilf_kedro.language_models.checkpoints.convert {directory} {directory}-safetensors`, and name "
            "that directory in the catalog."
        )
    if missing:
        raise ModelDirectoryError(
            directory, f"is no complete model: it lacks {', '.join(missing)}; found {sorted(names)}. {hint}"
        )
    return files


@lru_cache(maxsize=256)
def _hash_file(file: Path, size: int, modified: int) -> str:
    """Return a file's SHA-256; size and time of change keep the memory of it honest."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def resolve_device(device: Device) -> str:
    """Return the device type to compute on: cuda, else mps, else cpu where "auto"."""
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def resolve_dtype(dtype: Dtype, device: str) -> str:
    """Return the weights' type: "auto" is bfloat16 on CUDA and on CPUs that compute in it, else float32."""
    if dtype != "auto":
        return dtype
    return "bfloat16" if device == "cuda" or (device == "cpu" and _cpu_has_bfloat16()) else "float32"


def _cpu_has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 natively; false where torch cannot say."""
    describe = getattr(torch.cpu, "get_capabilities", None)
    features = describe() if describe is not None else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def load_tokenizer(source: ModelSource, checkpoint: Checkpoint | None) -> PreTrainedTokenizerBase:
    """Return the tokenizer (transformers): the checkpoint's own where it has one, else the base model's.

    Raises:
        ModelDirectoryError: its files cannot be read, need code of the directory, or do not say where tokens stand.
    """
    from transformers import AutoTokenizer

    own = checkpoint is not None and (checkpoint.directory / "tokenizer_config.json").is_file()
    directory = checkpoint.directory if checkpoint is not None and own else source.directory
    _model_files(source.directory)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever transformers makes of files that it does not understand
        raise unreadable(directory, "a tokenizer", error) from error
    if not tokenizer.is_fast:
        raise ModelDirectoryError(
            directory,
            f"has a tokenizer ({type(tokenizer).__name__}) that does not say which characters its tokens stand for; "
            "put the model's tokenizer.json there, or name another model in the catalog",
        )
    _check_ids(tokenizer, source)
    if not tokenizer.chat_template and (template := source.directory / "chat_template.jinja").is_file():
        tokenizer.chat_template = template.read_text(encoding="utf-8")
    return tokenizer


def _check_ids(tokenizer: PreTrainedTokenizerBase, source: ModelSource) -> None:
    """Refuse tokens that the model has no embedding for; special ones may be so where no template writes them."""
    n_ids = load_config(source.directory).get_text_config(decoder=True).vocab_size
    beyond = [token for token, id_ in tokenizer.get_vocab().items() if id_ >= n_ids]
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    written = str(tokenizer.chat_template or "")
    if faults := sorted(token for token in beyond if token not in special or token in written):
        raise ModelDirectoryError(
            source.directory,
            f"has a tokenizer with tokens that the model has no embedding for (it has {n_ids}): "
            f"{', '.join(map(repr, faults[:5]))}; use the tokenizer that belongs to the model",
        )


def load_model(
    source: ModelSource, checkpoint: Checkpoint | None, dtype: str, device: str, ends: Iterable[int | None]
) -> LoadedModel:
    """Load the weights, lay them out for this device, and choose the engine that fits the architecture."""
    model = load_weights(source, checkpoint, dtype, device)
    pack_linear_weights(model)
    return LoadedModel(choose_engine(model), _end_tokens(model, ends))


def load_weights(source: ModelSource, checkpoint: Checkpoint | None, dtype: str, device: str) -> PreTrainedModel:
    """Return the model as transformers has it, ready for inference; an adapter is merged in float32.

    Raises:
        ModelDirectoryError: the weights are damaged, or not those of the model.
    """
    from transformers import AutoModelForCausalLM

    full = checkpoint is not None and checkpoint.record.kind == "full"
    directory = checkpoint.directory if checkpoint is not None and full else source.directory
    check_checkpoint(checkpoint)
    target = getattr(torch, dtype)
    adapter = checkpoint if checkpoint is not None and not full else None
    logger.info("Loading %s (%s on %s)", directory.name, dtype, device)
    model = load_pretrained(AutoModelForCausalLM, directory, torch.float32 if adapter else target)
    if adapter is not None:
        model = merge_adapter(model, adapter)
    placed: PreTrainedModel = model.to(device=device, dtype=target).eval()
    return placed


def _end_tokens(model: PreTrainedModel, also: Iterable[int | None]) -> frozenset[int]:
    ends: set[int] = set()
    configs = (model.generation_config, model.config, model.config.get_text_config(decoder=True))
    for value in (*(getattr(config, "eos_token_id", None) for config in configs), *also):
        ends.update(value if isinstance(value, list) else [] if value is None else [value])
    return frozenset(ends)
