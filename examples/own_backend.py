"""A language model of your own, outside the project.

Put its folder on PYTHONPATH, and into the catalog:

    refiner:
      type: ilf_kedro.datasets.LanguageModelDataset
      backend: own_backend.UpperCaseEntry
      shout: 2

It has the methods of the questions that it answers, and says so in `capabilities`; nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ilf_kedro.language_models import Capability, Completion, Model, ModelEntry, SamplingOptions
from ilf_kedro.prompting import Prompt


class UpperCaseModel:
    """Repeats the last line of its prompt in capital letters, with exclamation marks."""

    revision = "1"
    capabilities = frozenset({Capability.GENERATE})

    def __init__(self, name: str, shout: int) -> None:
        self.name, self._shout = name, shout

    def generate(
        self, prompts: Sequence[Prompt], sample_indices: range, options: SamplingOptions, *, seed: int, label: str = ""
    ) -> list[list[Completion]]:
        """Return the same text for every sample, for it draws nothing."""
        texts = [prompt.text.strip().splitlines()[-1].upper() + "!" * self._shout for prompt in prompts]
        return [[Completion(text, len(text.split()), "stop", seed) for _ in sample_indices] for text in texts]


class UpperCaseEntry(ModelEntry):
    """The keys of its catalog entry, checked like those of any other backend."""

    shout: int = 1

    def build(self, root: Path) -> Model:
        """Return the model; relative paths in an entry begin at `root`."""
        return UpperCaseModel(self.name or "upper-case", self.shout)
