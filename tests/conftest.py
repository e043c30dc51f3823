"""What all tests share: the models on disk, and an environment that is the same on every machine."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Whatever a user has set stays outside: proxies would stand between a test and its own server, an AWS profile
# between it and its own S3, and where a git hook runs the tests, git's variables would lead to another repository.
for _name in list(os.environ):
    if (
        _name.lower().endswith("_proxy")
        or _name.startswith(("AWS_", "ILF_", "KEDRO_", "OPENAI_"))
        or _name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")
    ):
        del os.environ[_name]
os.environ |= {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "ILF_KEDRO_LOCAL_ENV": "base",  # a developer's conf/local changes no test
    "KEDRO_DISABLE_TELEMETRY": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}
# One thread a process, however many cores there are: tests run side by side, and sums in the same order everywhere.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Machines are shared and noisy: no test fails for being slow. And a run is a function of the code alone; for
# examples that nobody has seen yet: pytest --hypothesis-profile exploring
_patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("exploring", **_patient)
settings.register_profile("repeatable", derandomize=True, max_examples=50, **_patient)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]
SLOW_SECONDS = 3600  # for a slow test where it says nothing of its own; an idle machine needs a tenth of it


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
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over all that the imports made: each training calls it, and a million objects."""
    gc.collect()
    gc.freeze()
