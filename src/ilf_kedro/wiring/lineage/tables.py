"""The tables of the last runs that lineage is read from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from kedro.io import AbstractVersionedDataset, DataCatalog

from ilf_kedro.schemas import SPLITS, DataFrame, TrainingRows, UserError, nearest
from ilf_kedro.wiring.command_line import quiet_log
from ilf_kedro.wiring.lineage.tracing import Touched, touched_models, training_rows
from ilf_kedro.wiring.parameters import Parameters

__all__ = ["LineageTables"]


@dataclass(frozen=True, slots=True)
class LineageTables:
    """What the last runs of an environment left; tables are loaded when they are asked for."""

    catalog: DataCatalog
    parameters: Parameters

    @classmethod
    def read(cls, metadata: ProjectMetadata, env: str | None) -> LineageTables:
        """Open the tables of an environment.

        Raises:
            UserError: data_prep has not run there yet.
        """
        with KedroSession.create(metadata.project_path, env=env, save_on_close=False) as session, quiet_log():
            context = session.load_context()  # type: ignore[attr-defined]  # Kedro's class
            tables = cls(context.catalog, context.parameters)
        if not tables.catalog.exists("examples.train"):
            raise UserError("there are no examples yet: run kedro run, with the same --env, first")
        return tables

    @property
    def target_scorer(self) -> str:
        """The scorer that chooses what is learned from."""
        return self.parameters.selection.target_scorer

    @property
    def models(self) -> list[str]:
        """The models of the main job that have training tables."""
        sizes = self.parameters.train_sizes
        names = [f"finetune.{arm}.n{size}" for arm in self.parameters.arms for size in sizes]
        return [name for name in names if self.catalog.exists(f"{name}.targets")]

    @property
    def annotators(self) -> list[str]:
        """Everyone whom an example or a comparison names."""
        tables = [self.catalog.load(name) for name in self._tables_of_people()]
        return sorted({str(name) for table in tables for name in table["annotator"].dropna()})

    def training_rows(self, model: str) -> DataFrame[TrainingRows]:
        """Return what a model was finetuned on; see tracing.training_rows.

        Raises:
            UserError: there is no such model, with the nearest.
        """
        if not self.models:
            raise UserError("no model has been finetuned yet: run kedro run, with the same --env, first")
        if model not in self.models:
            raise UserError(f"no training table of a model {model!r}; expected {nearest(model, self.models)}")
        name = "selections.top_k" if self.parameters.finetune.top_k > 1 else "selections"
        selections = self.catalog.load(name) if self.catalog.exists(name) else None
        targets, examples = self.catalog.load(f"{model}.targets"), self.catalog.load("examples.train")
        return training_rows(model, targets, examples, selections, self.target_scorer)

    def outputs(self, model: str, example_id: str) -> list[str]:
        """Return what a model wrote for a test example.

        Raises:
            UserError: it wrote nothing for such an example, with the nearest.
        """
        table: pd.DataFrame = self.catalog.load(f"{model}.outputs")
        if found := table.loc[table["example_id"] == example_id, "text"].tolist():
            return [str(text) for text in found]
        expected = nearest(example_id, map(str, table["example_id"].unique()))
        raise UserError(f"{model} wrote nothing for the example {example_id!r}; expected {expected}")

    def checkpoint(self, model: str) -> str:
        """Name the version of a model's last checkpoint."""
        dataset = self.catalog.get(f"{model}.checkpoint")
        version = dataset.resolve_load_version() if isinstance(dataset, AbstractVersionedDataset) else None
        return f"{model}.checkpoint, version {version}" if version else f"{model}.checkpoint"

    def rows_of(self, annotators: Collection[str]) -> dict[str, int]:
        """Return how many rows of each table of people's are these annotators', where there are any."""
        counts = {
            name: int(self.catalog.load(name)["annotator"].isin(annotators).sum()) for name in self._tables_of_people()
        }
        return {name: n for name, n in counts.items() if n}

    def touched(self, annotators: Collection[str]) -> list[Touched]:
        """Return every model with how many of its training rows are these annotators'."""
        targets = {model: self.catalog.load(f"{model}.targets") for model in self.models}
        return touched_models(annotators, self.catalog.load("examples.train"), targets)

    def sizes_above(self, annotators: Collection[str]) -> list[int]:
        """Return the train sizes that exceed the training rows of everyone else."""
        n_left = int((~self.catalog.load("examples.train")["annotator"].isin(annotators)).sum())
        return [size for size in self.parameters.train_sizes if size > n_left]

    def _tables_of_people(self) -> list[str]:
        names = [f"{kind}.{split}" for kind in ("examples", "comparisons") for split in SPLITS]
        return [name for name in names if self.catalog.exists(name)]
