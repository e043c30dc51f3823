"""Kedro set up for this package, in the process of the tests."""

from __future__ import annotations

import pytest
from kedro.framework import project
from kedro.framework.project import pipelines, settings

import ilf_kedro.settings
from ilf_kedro.wiring import context


def set_up(monkeypatch: pytest.MonkeyPatch, *, users_layer: str) -> None:
    """Let Kedro merge the folder `users_layer` of conf/ last ("base": none), and forget every registry and session."""
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    context._DECLARED.set(None)
    monkeypatch.setitem(ilf_kedro.settings.CONFIG_LOADER_ARGS, "default_run_env", users_layer)
    as_before = settings.CONFIG_LOADER_ARGS.get("default_run_env") == users_layer
    if project.PACKAGE_NAME != "ilf_kedro" or not as_before:
        project.configure_project("ilf_kedro")  # a third of a second, for which dynaconf looks at the whole stack
    forget_registry()


def forget_registry() -> None:
    """Let the pipelines be registered anew when they are asked for."""
    pipelines.configure("ilf_kedro.pipeline_registry")
