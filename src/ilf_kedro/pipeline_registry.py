"""The project's pipelines, written out: https://docs.kedro.org/en/stable/build/pipeline_registry/."""

from __future__ import annotations

import os
from pathlib import Path

from kedro.framework.project import settings
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project

from ilf_kedro.config_loader import LayeredConfigLoader
from ilf_kedro.options import Parameters
from ilf_kedro.parameters import check_parameters
from ilf_kedro.pipelines import data_prep, finetune, refinement, reporting, reward_model, selection
from ilf_kedro.pipelines.finetune.pipeline import model_names

__all__ = ["declared_parameters", "register_pipelines"]


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines in the order of the flow, `__default__` as their sum, and `full`.

    Arms and train sizes are those that the parameters of the chosen environment and `--params` declare.

    Raises:
        ParameterError: the parameters are wrong.
    """
    parameters = declared_parameters()
    arms, sizes = parameters.finetune.arms, parameters.train_sizes
    pipelines = {
        "data_prep": data_prep.create_pipeline(),
        "refinement": refinement.create_pipeline(),
        "selection": selection.create_pipeline(),
        "reward_model": reward_model.create_pipeline(),
        "finetune": finetune.create_pipeline(arms, sizes),
        "reporting": reporting.create_pipeline(model_names(arms, sizes)),
    }
    default = sum(pipelines.values(), Pipeline([]))
    return {**pipelines, "__default__": default, "full": default}


def declared_parameters() -> Parameters:
    """Return the parameters that the pipelines' structure follows.

    They come from the config loader of the present context (it knows `--env` and `--params`). kedro-viz
    makes one without calling any hook; `kedro registry list` makes none, and gets the environment that the
    variable KEDRO_ENV names.
    """
    loader = LayeredConfigLoader.latest
    if loader is None:
        project = find_kedro_project(Path.cwd()) or Path(__file__).parents[2]
        loader = LayeredConfigLoader(
            Path(project) / settings.CONF_SOURCE, os.getenv("KEDRO_ENV"), **settings.CONFIG_LOADER_ARGS
        )
    return check_parameters(loader)
