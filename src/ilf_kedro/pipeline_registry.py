"""The project's pipelines, written out: https://docs.kedro.org/en/stable/build/pipeline_registry/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines import (
    data_prep,
    finetune,
    initial_outputs,
    refinement,
    reporting,
    reward_model,
    selection,
)
from ilf_kedro.pipelines.analyses import MainJob, analyses
from ilf_kedro.pipelines.finetune.arms import BestOfNSource, RefinementSource
from ilf_kedro.pipelines.refine_and_select import needed_scorers
from ilf_kedro.pipelines.refinement_model import by_refinement_model
from ilf_kedro.wiring.context import configuration, declared_parameters
from ilf_kedro.wiring.parameters import Parameters
from ilf_kedro.wiring.previews import with_previews

__all__ = ["register_pipelines"]


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines: the main job in the order of its flow, the further analyses, and their sums.

    `__default__` is the main job with the analyses that the parameters name in `also`; `full` is the main job with
    every analysis, and one report of all. Arms, sizes, scorers and rounds are those that the parameters of the
    chosen environment and `--params` declare; what the task's data lack is left out (tasks/left_out.py).

    Raises:
        ParameterError: the parameters are wrong.
    """
    parameters = declared_parameters()
    source = _refinement_source(parameters)
    main, others = _main_job(parameters, source), _analyses(parameters, source)
    whole = {**main, **others, "reporting": _with_sections(parameters, others)}
    also = {name: others[name] for name in parameters.also if name in others}
    default = {**main, **also, **({"reporting": _with_sections(parameters, also)} if also else {})}
    sums = {name: sum(each.values(), Pipeline([])) for name, each in (("__default__", default), ("full", whole))}
    loader = configuration()
    return with_previews({**main, **others, **sums}, str(loader.conf_source), loader.env)


def _main_job(parameters: Parameters, source: RefinementSource) -> dict[str, Pipeline]:
    arms, sizes, task, methods = parameters.arms, parameters.train_sizes, parameters.task, parameters.refinement_methods
    refining = {
        "refinement": refinement.create_pipeline(methods),
        "selection": selection.create_pipeline(parameters.selection.scorers, methods),
    }
    job = {
        **(refining if task.has_feedback else {}),
        **({"reward_model": reward_model.create_pipeline()} if task.has_comparisons else {}),
        "finetune": finetune.create_pipeline(arms, sizes, source, task, _best_of_n(parameters)),
        "reporting": _reporting(parameters),
    }
    prepared = data_prep.create_pipeline(task, parameters.selection.unit_tests)
    return {"data_prep": prepared, **_answered(parameters, job)}


def _answered(parameters: Parameters, pipelines: Mapping[str, Pipeline]) -> dict[str, Pipeline]:
    """Return the pipelines over examples that have initial outputs, the data's or the base's, by their refiner."""
    task = parameters.task
    if parameters.n_written is not None:
        return by_refinement_model(pipelines, n_written=parameters.n_written, n_refined=parameters.n_refined)
    if task.has_initial_outputs or not task.has_feedback:
        return dict(pipelines)
    answered = {name: initial_outputs.with_initial_outputs(pipeline) for name, pipeline in pipelines.items()}
    if "refinement" in answered:
        answered["refinement"] = initial_outputs.create_pipeline() + answered["refinement"]
    return answered


def _analyses(parameters: Parameters, source: RefinementSource) -> dict[str, Pipeline]:
    """Return what each answers a question of its own, with a page of its own; export writes files."""
    job = MainJob(parameters.arms, parameters.train_sizes, source, parameters.task)
    created = {
        name: each.create(attrgetter(each.options)(parameters) if each.options else None, job)
        for name, each in analyses().items()
    }
    able = {name: pipeline for name, pipeline in created.items() if pipeline is not None}
    return _answered(parameters, able)


def _refinement_source(parameters: Parameters) -> RefinementSource:
    scorers = needed_scorers(parameters.selection.target_scorer, parameters.selection.scorers)
    return RefinementSource(parameters.finetune.top_k, scorers)


def _with_sections(parameters: Parameters, others: Mapping[str, Pipeline]) -> Pipeline:
    """Return the pipeline reporting whose report has the sections of these analyses as well."""
    found = [name for name, each in analyses().items() if each.section and name in others]
    sections = (*found, *finetune.sections(parameters.arms, parameters.task))
    return _answered(parameters, {"reporting": _reporting(parameters, sections)})["reporting"]


def _reporting(parameters: Parameters, sections: Sequence[str] = ()) -> Pipeline:
    models = finetune.model_names(parameters.arms, parameters.train_sizes, parameters.task, _best_of_n(parameters))
    return reporting.create_pipeline(
        models,
        sections,
        parameters.task,
        verified=parameters.verified,
        judged=parameters.reporting.n_judged != 0,
        chooser=parameters.best_of_n_by,
    )


def _best_of_n(parameters: Parameters) -> BestOfNSource:
    return BestOfNSource(parameters.finetune.best_of_n_from, parameters.best_of_n_by)
