"""A prompt in the catalog: one YAML file, checked when loaded."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import Any, NoReturn

import fsspec
import yaml
from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

from ilf_kedro.datasets._config import parse_options
from ilf_kedro.datasets._paths import through_archive
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas.yaml_text import YamlError, read_yaml_text


class PromptTemplateDataset(AbstractDataset[NoReturn, PromptTemplate]):
    """Loads a YAML file with the keys of `PromptTemplate`; people write it, so it is read-only.

    Example:
        ```yaml
        "prompt.{name}":
          type: ilf_kedro.datasets.PromptTemplateDataset
          filepath: conf/base/prompts/{name}.yml
        ```
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Points at a file of any fsspec file system, or inside an archive; nothing is read yet."""
        self._protocol, path = get_protocol_and_path(filepath)
        self._filepath = PurePosixPath(path)
        arguments = {**(credentials or {}), **(fs_args or {})}
        if (inside := through_archive(path)) != path:
            self._fs, self._file = fsspec.core.url_to_fs(inside, **arguments)
        else:
            self._fs, self._file = fsspec.filesystem(self._protocol, **arguments), path
        self.metadata = metadata

    def load(self) -> PromptTemplate:
        """Return the template.

        Raises:
            DatasetError: the file is absent, no YAML, or no template; with every fault in it.
        """
        file = self._filepath.as_posix()
        try:
            content = yaml.safe_load(read_yaml_text(self._fs.cat_file(self._file)))
        except FileNotFoundError:
            raise DatasetError(f"there is no prompt template {file}; write it, or correct the catalog entry") from None
        except (YamlError, yaml.YAMLError) as error:
            raise DatasetError(
                f"the prompt template {file} cannot be read: {error}\nIndent the lines of `text: |-` alike, and quote "
                "values that begin with a brace, bracket or quotation mark."
            ) from None
        keys = {str(key): value for key, value in (content or {}).items()}
        return parse_options(PromptTemplate, keys, where=f"the prompt template {file}")

    def save(self, data: NoReturn) -> None:
        """Refuse: prompts are written by people.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"prompt templates are read-only; edit {self._filepath} by hand")

    def _exists(self) -> bool:
        return bool(self._fs.exists(self._file))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol}
