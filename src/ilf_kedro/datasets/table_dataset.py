"""A table in the catalog: a versioned Parquet file that is whole or absent, with a preview wherever it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from kedro.io.core import DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset

from ilf_kedro.datasets._paths import write_whole


class TableDataset(ParquetDataset):  # type: ignore[misc]  # kedro_datasets has no types
    """`pandas.ParquetDataset`, with two things that it lacks.

    A table is whole or absent: a run that is killed, or data that Parquet cannot hold, leave no half or
    empty file as the latest version. And kedro-viz previews tables on remotes too.

    Example:
        ```yaml
        selections:
          type: ilf_kedro.datasets.TableDataset
          filepath: ${globals:root}/05_model_input/selections.parquet
          versioned: true
          validator: ilf_kedro.schemas.Selections
        ```
    """

    def save(self, data: pd.DataFrame) -> None:
        """Write the table, whole or not at all.

        Raises:
            DatasetError: the place cannot be written.
        """
        path = self._get_save_path().as_posix()
        content = data.to_parquet(None, **self._save_args)
        try:
            if self._protocol == "file":
                write_whole(Path(path), content)
            else:  # an object appears when its upload is complete
                self._fs.pipe_file(path, content)
        except OSError as error:
            raise DatasetError(
                f"could not save the table to {path}: {error}. Check that there is room, that the place (or bucket) "
                "exists and that it may be written to."
            ) from error
        self._invalidate_cache()

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for kedro-viz, reading no more of the file than it needs."""
        with self._fs.open(self._get_load_path().as_posix(), "rb") as file:
            table = pq.ParquetFile(file)
            columns = table.schema_arrow.names
            batch = next(table.iter_batches(batch_size=nrows), None)
            rows = batch.to_pylist() if batch is not None else []
        data = [list(row.values()) for row in rows]
        return TablePreview({"index": list(range(len(data))), "columns": columns, "data": data})
