"""A language model in the catalog, so that an environment swaps it."""

from __future__ import annotations

from typing import Any, NoReturn

from kedro.io.core import AbstractDataset, DatasetError

from ilf_kedro.datasets._paths import project_path
from ilf_kedro.language_models.protocol import Model
from ilf_kedro.language_models.registry import find_backend
from ilf_kedro.schemas import UserError

__all__ = ["LanguageModelDataset"]


class LanguageModelDataset(AbstractDataset[NoReturn, Model]):
    """Builds the language model that the entry describes; its weights are read at the first question.

    `cache` is the SQLite file that keeps the answers, or null. Relative paths begin at the project's root.

    Example:
        ```yaml
        refiner:
          type: ilf_kedro.datasets.LanguageModelDataset
          backend: local
          name: SmolLM2-135M-Instruct
          model: data/06_models/smollm2-135m-instruct
          format: chat
          cache: data/06_models/completions.sqlite

        judge:
          type: ilf_kedro.datasets.LanguageModelDataset
          backend: openai
          model: ${oc.env:JUDGE_MODEL}
          base_url: https://api.openai.com/v1
          endpoint: chat
          credentials: openai
        ```
    """

    def __init__(
        self,
        *,
        backend: str,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Checks every key; loads and asks nothing.

        Args:
            backend: local (weights on this disk), sentence_embedder (an encoder on this disk, which only
                embeds), openai (any OpenAI-compatible server), scripted (no weights: to try a pipeline dry),
                or the dotted path of a ModelEntry of your own.
            credentials: for a server, {api_key: ...}.
            metadata: for kedro-viz; not used here.
            settings: the keys of the backend.

        Raises:
            DatasetError: an unknown backend or key (with the nearest right one), or a wrong value.
        """
        self.metadata = metadata
        self._backend = backend
        where = f"a LanguageModelDataset with backend {backend!r}"
        try:
            self._entry = find_backend(backend).parse(settings, credentials, where=where)
        except UserError as error:
            raise DatasetError(str(error)) from None
        # Kedro then refuses the ParallelRunner by name.
        self._SINGLE_PROCESS = self._entry.single_process

    def load(self) -> Model:
        """Return the language model.

        Raises:
            DatasetError: the directory of a local model is missing or incomplete.
        """
        return self._entry.build(project_path("."))

    @property
    def remedy(self) -> str:
        """What to do where the model cannot be loaded."""
        return self._entry.remedy

    def save(self, data: NoReturn) -> None:
        """Refuse: a trained model is saved as a checkpoint.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("language models are read-only; a trained one is saved by a CheckpointDataset")

    def _exists(self) -> bool:
        return self._entry.exists(project_path("."))

    def _describe(self) -> dict[str, Any]:
        return {"backend": self._backend, **self._entry.describe()}
