"""The layers of the configuration: base, then the environment, then the user's own.

Kedro reads conf/local only where no environment is chosen. Here it counts in every one, so that a user's
credentials and choices hold under `--env openai` as well: base < environment < local.
"""

from __future__ import annotations

import glob
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any, cast

import click
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ilf_kedro.schemas.redaction import redact
from ilf_kedro.schemas.suggestions import suggest
from ilf_kedro.schemas.yaml_text import read_yaml_text

__all__ = ["ConfigurationError", "LayeredConfigLoader"]

# What the variables that conf/ reads look like, for messages.
_EXAMPLES = {
    "ILF_ROOT": "s3://bucket/prefix",
    "ILF_API_BASE_URL": "https://api.openai.com/v1",
    "ILF_API_MODEL": "gpt-4o-mini",
}


class ConfigurationError(click.ClickException):
    """The configuration is wrong. Kedro's command line shows the message alone, without a traceback."""


class LayeredConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with `default_run_env` (conf/local) merged last into every environment.

    It need not exist. Where it is the base environment there is no layer of the user's own: so tests keep
    to what is in git (see settings.py). Files name what stands beside them by `${conf:base/prompts}`: a path
    inside the configuration's source, which may be another folder or an archive (`--conf-source`).

    Raises:
        ConfigurationError: the chosen environment has no folder.
    """

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        *,
        base_env: str = "base",
        default_run_env: str = "local",
        **arguments: Any,
    ) -> None:
        self._check_environment(Path(conf_source), env)
        if env is None and not (Path(conf_source) / default_run_env).is_dir():
            env = base_env
        OmegaConf.register_new_resolver("conf", self._inside, replace=True)
        super().__init__(
            conf_source,
            env,
            runtime_params,
            base_env=base_env,
            default_run_env=default_run_env,
            **arguments,
        )

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the merged configuration of one kind ("parameters", "catalog", …).

        Raises:
            MissingConfigException: no layer has a file of this kind.
            ConfigurationError: a file cannot be used, or reads an environment variable that is not set.
        """
        try:
            return self._merge_layers(key)
        except (ValueError, TypeError, YAMLError, OmegaConfBaseException, RecursionError) as error:
            raise ConfigurationError(self._explain(key, str(error))) from error

    def _merge_layers(self, key: str) -> dict[str, Any]:
        if key in self or not self._has_user_layer:
            return super().__getitem__(key)
        path = self._get_conf_env_path(self.default_run_env)
        try:
            config = super().__getitem__(key)
        except MissingConfigException:
            return self._load_user_layer(key, path)
        try:
            layer = self._load_user_layer(key, path)
        except MissingConfigException:
            return config
        merged: dict[str, Any] = self._merge_configs(config, layer, key, path)
        return merged

    @staticmethod
    def _soft_merge(config: dict[str, Any], env_config: dict[str, Any], env_path: str | None = None) -> Any:
        """Merge two layers key by key; a task that names its inputs takes the place of the earlier one as a whole."""
        merged = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.merge(config, env_config)))
        if "inputs" in (env_config.get("task") or {}):
            merged["task"] = env_config["task"]
        return merged

    @property
    def layers(self) -> tuple[str, ...]:
        """The environments that are merged, the last one winning."""
        user = (self.default_run_env,) if self._has_user_layer else ()
        return tuple(dict.fromkeys((self.base_env, self.env or self.default_run_env, *user)))

    def find_origin(self, key: str, path: Sequence[str | int]) -> str | None:
        """Name what set the value at `path` of one kind: "--params", a file such as conf/test/x.yml, or None."""
        if key == "parameters" and _holds(self.runtime_params, path):
            return "--params"
        for layer in reversed(self.layers):
            folder = self._get_conf_env_path(layer)
            try:
                files = self._read_dir_configs(folder, self.config_patterns[key], key, set())
            except MissingConfigException:
                continue
            for file, config in files.items():
                if _holds(OmegaConf.to_container(config, resolve=False), path):
                    return f"conf/{layer}/{PurePath(file).name}"
        return None

    def _read_dir_configs(
        self,
        conf_path: str,
        patterns: Iterable[str],
        key: str,
        processed_files: set[Path],
        read_environment_variables: bool | None = False,
    ) -> dict[Path, DictConfig]:
        """Return what the files of a folder say, each checked before anything in it is expanded.

        Kedro's own takes brackets in the folder's path for a pattern, and names no file in its messages.

        Raises:
            MissingConfigException: there is no such folder.
            ConfigurationError: naming each file that cannot be used, and why.
        """
        if not self._fs.isdir(conf_path):
            raise MissingConfigException(f"there is no folder {conf_path}")
        folder = glob.escape(conf_path)
        found = {Path(file) for pattern in patterns for file in self._fs.glob(PurePath(folder, pattern).as_posix())}
        configs: dict[Path, DictConfig] = {}
        faults = []
        for file in sorted(found):
            if not self._is_valid_config_path(file) or (self.ignore_hidden and self._is_hidden(str(file))):
                continue
            try:
                text = read_yaml_text(self._fs.cat_file(file.as_posix()))
                configs[file] = cast(DictConfig, OmegaConf.load(io.StringIO(text)))
            except (ValueError, YAMLError, OmegaConfBaseException, OSError) as error:
                faults.append(f"{file}: {' '.join(str(error).split())}")
                continue
            if read_environment_variables:
                self._resolve_environment_variables(configs[file])
        if faults:
            raise ConfigurationError("\n".join(["the configuration cannot be read; nothing was run.", *faults]))
        processed_files.update(configs)
        self._check_duplicates(key, configs)
        return configs

    def _inside(self, path: str) -> str:
        """Return where a file inside the configuration's source is; see `through_archive` for one in an archive."""
        if self._protocol not in {"tar", "zip"}:
            return f"{self.conf_source}/{path}"
        return f"{self.conf_source}/{self._get_conf_env_path(path)}"

    @property
    def _has_user_layer(self) -> bool:
        return self.default_run_env not in {"", self.base_env, self.env or self.default_run_env}

    def _load_user_layer(self, key: str, path: str) -> dict[str, Any]:
        files: set[Path] = set()
        layer: dict[str, Any] = self.load_and_merge_dir_config(
            path, self.config_patterns[key], key, files, read_environment_variables=key == "credentials"
        )
        if not files:
            raise MissingConfigException(f"no file of the kind {key!r} in {path}")
        return layer

    def _explain(self, key: str, found: str) -> str:
        layers = " < ".join(f"conf/{layer}" for layer in self.layers)
        if (variable := re.search(r"Environment variable '(\w+)' not found", found)) is None:
            return f"the {key} ({layers}) cannot be read: {redact(' '.join(found.split()))}"
        name = variable[1]
        option = f" --env {self.env}" if self.env else ""
        return (
            f"the environment variable {name} is not set, but the configuration ({layers}) needs it; set it, such as: "
            f"{name}={_EXAMPLES.get(name, '…')} kedro run{option}"
        )

    @staticmethod
    def _check_environment(conf_source: Path, env: str | None) -> None:
        """Refuse an environment without a folder; archives and remote sources are left to Kedro."""
        if env is None or not conf_source.is_dir() or (conf_source / env).is_dir():
            return
        known = sorted(entry.name for entry in conf_source.iterdir() if entry.is_dir())
        raise ConfigurationError(
            f"there is no environment {env!r}: expected one of {', '.join(known)} (the folders of conf/); "
            + suggest(env, known)
        )


def _holds(value: object, path: Sequence[str | int]) -> bool:
    """Tell whether nested mappings and lists have something at `path`."""
    for step in path:
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not in_list and not (isinstance(value, dict) and step in value):
            return False
        value = value[step]  # type: ignore[index]  # it was looked for just above
    return bool(path)
