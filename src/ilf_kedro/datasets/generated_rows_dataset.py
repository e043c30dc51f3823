"""Rows that a function makes, in place of a file: data that are generated, or that need code to be read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any, NoReturn

from kedro.io.core import AbstractDataset, DatasetError

from ilf_kedro.schemas import RawRows, UserError, raw_rows
from ilf_kedro.schemas.functions import find_function

__all__ = ["GeneratedRowsDataset"]


class GeneratedRowsDataset(AbstractDataset[NoReturn, RawRows]):
    """Loads the rows that `function` returns, called with the keyword `arguments`: a table or a list of dicts.

    The same arguments must give the same rows: they are made anew whenever they are loaded.

    Example:
        ```yaml
        "raw.{split}":
          type: ilf_kedro.datasets.GeneratedRowsDataset
          function: ilf_kedro.tasks.word_removal:draw_rows
          arguments: {split: "{split}", n_test: 100}
        ```
    """

    def __init__(
        self, *, function: str, arguments: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Names the function (package.module:function or path/to/file.py:function), which is not called yet."""
        self._function = function
        self._arguments = arguments or {}
        self.metadata = metadata

    def load(self) -> RawRows:
        """Return the rows.

        Raises:
            DatasetError: there is no such function, it raises, or what it returns is no table.
        """
        try:
            function = find_function(self._function, where="function of a GeneratedRowsDataset")
        except UserError as error:
            raise DatasetError(str(error)) from None
        try:
            found = raw_rows(function(**self._arguments), self._function)
        except Exception as error:  # the user's function may raise anything, which the message says
            raise DatasetError(f"{self._function} made no rows ({type(error).__name__}: {error})") from error
        values = json.dumps([row.values for row in found.rows], sort_keys=True)
        return replace(found, content_hash=hashlib.sha256(values.encode()).hexdigest())

    def save(self, data: NoReturn) -> None:
        """Refuse: raw data are never written.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"raw data are read-only; {self._function} makes them")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"function": self._function, "arguments": self._arguments}
