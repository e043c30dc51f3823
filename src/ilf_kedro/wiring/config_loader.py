"""The layers of the configuration: base, then the environment, then the user's own.

Kedro reads conf/local only where no environment is chosen. Here it counts in every one, so that a user's
credentials and choices hold under `--env openai` as well: base < environment < local.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, ClassVar

import click
import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

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
    to what is in git (see settings.py). `latest` is the loader that this process made last: the pipeline
    registry reads it, because kedro-viz makes a loader but calls no hooks.

    Raises:
        ConfigurationError: the chosen environment has no folder.
    """

    latest: ClassVar[LayeredConfigLoader | None] = None

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        *,
        base_env: str = "base",
        default_run_env: str = "local",
        custom_resolvers: dict[str, Callable[..., Any]] | None = None,
        merge_strategy: dict[str, str] | None = None,
    ) -> None:
        self._check_environment(Path(conf_source), env)
        if env is None and not (Path(conf_source) / default_run_env).is_dir():
            env = base_env
        super().__init__(
            conf_source,
            env,
            split_lists(runtime_params),
            base_env=base_env,
            default_run_env=default_run_env,
            custom_resolvers=custom_resolvers,
            merge_strategy=merge_strategy,
        )
        LayeredConfigLoader.latest = self

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the merged configuration of one kind ("parameters", "catalog", …).

        Raises:
            MissingConfigException: no layer has a file of this kind.
            ConfigurationError: it reads an environment variable that is not set.
        """
        try:
            return self._merge_layers(key)
        except InterpolationResolutionError as error:
            if (variable := re.search(r"Environment variable '(\w+)' not found", str(error))) is None:
                raise
            raise ConfigurationError(self._explain_variable(variable[1])) from error

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

    def _explain_variable(self, name: str) -> str:
        layers = " < ".join(f"conf/{layer}" for layer in self.layers)
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
        nearest = difflib.get_close_matches(env, known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ConfigurationError(
            f"there is no environment {env!r}: expected one of {', '.join(known)} (the folders of conf/){hint}"
        )


def split_lists(value: Any) -> Any:
    """Read lists in `--params`, whose members blanks separate: train_sizes=[10 40].

    Kedro splits the option at every comma, so that a list of commas never arrives whole.
    """
    if isinstance(value, dict):
        return {key: split_lists(each) for key, each in value.items()}
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return [yaml.safe_load(member) for member in value[0].split()]
    return value


def _holds(value: object, path: Sequence[str | int]) -> bool:
    """Tell whether nested mappings and lists have something at `path`."""
    for step in path:
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not in_list and not (isinstance(value, dict) and step in value):
            return False
        value = value[step]  # type: ignore[index]  # it was looked for just above
    return bool(path)
