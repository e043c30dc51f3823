"""What all tests share: the models on disk, and an environment that phones nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("ILF_KEDRO_LOCAL_ENV", "base")  # a developer's conf/local changes no test

# Machines are shared and noisy: no test fails for being slow.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def tiny_model_directory() -> Path:
    """A Llama of random weights with the embedded model's tokenizer (made by `make install`)."""
    return ROOT / "data" / "06_models" / "tiny-random-llama"


@pytest.fixture(scope="session")
def embedded_model_directory() -> Path:
    """SmolLM2-135M-Instruct as safetensors (made by `make install`); for slow tests."""
    return ROOT / "data" / "06_models" / "smollm2-135m-instruct"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that run the whole project, so that two processes end at about the same time."""
    items.sort(key=lambda item: not {"WholeProject", "whole_project"} & set(vars(getattr(item, "module", object))))
