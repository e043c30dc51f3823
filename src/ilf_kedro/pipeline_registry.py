"""The project's pipelines, written out: https://docs.kedro.org/en/stable/build/pipeline_registry/."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines import (
    analysis,
    controls,
    data_prep,
    export,
    finetune,
    refinement,
    reporting,
    reward_model,
    reward_model_comparison,
    rounds,
    selection,
    sweep,
    tournament,
    word_removal,
    word_removal_probe,
)
from ilf_kedro.pipelines.finetune.arms import RefinementSource
from ilf_kedro.pipelines.policy_arms import policy_arms
from ilf_kedro.pipelines.refine_and_select import needed_scorers
from ilf_kedro.wiring.context import configuration, declared_parameters
from ilf_kedro.wiring.parameters import Parameters
from ilf_kedro.wiring.previews import with_previews

__all__ = ["register_pipelines"]

SECTIONS = ("tournament", "controls", "reward_model_comparison", "sweep", "rounds", "analysis", "word_removal_probe")


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines: the main job in the order of its flow, the further analyses, and their sums.

    `__default__` is the main job, or the task that an environment is for; `full` is the main job with every
    analysis, and one report of all. Arms, sizes, scorers and rounds are those that the parameters of the
    chosen environment and `--params` declare.

    Raises:
        ParameterError: the parameters are wrong.
    """
    parameters = declared_parameters()
    source = _refinement_source(parameters)
    main, analyses = _main_job(parameters, source), _analyses(parameters, source)
    tasks = {"word_removal": word_removal.create_pipeline()}  # an hour long, so not part of `full`
    found = [name for name in SECTIONS if name in analyses]
    sections = (*found, *finetune.sections(parameters.finetune.arms, source))
    whole = {**main, **analyses, "reporting": _reporting(parameters, sections)}
    sums = {name: sum(each.values(), Pipeline([])) for name, each in (("main", main), ("full", whole))}
    default = tasks.get(parameters.default_pipeline, sums["main"])
    registered = {**main, **analyses, **tasks, "__default__": default, "full": sums["full"]}
    loader = configuration()
    return with_previews(registered, str(loader.conf_source), loader.env)


def _main_job(parameters: Parameters, source: RefinementSource) -> dict[str, Pipeline]:
    arms, sizes, sampler = parameters.finetune.arms, parameters.train_sizes, parameters.finetune.best_of_n_from
    rewarded = parameters.task.has_comparisons
    return {
        "data_prep": data_prep.create_pipeline(parameters.task),
        "refinement": refinement.create_pipeline(parameters.refinement.methods),
        "selection": selection.create_pipeline(parameters.selection.scorers, parameters.refinement.methods),
        **({"reward_model": reward_model.create_pipeline()} if rewarded else {}),
        "finetune": finetune.create_pipeline(arms, sizes, source, sampler, rewarded=rewarded),
        "reporting": _reporting(parameters),
    }


def _analyses(parameters: Parameters, source: RefinementSource) -> dict[str, Pipeline]:
    """Return what each answers a question of its own, with a page of its own; export writes files."""
    arms, sizes = policy_arms(parameters.finetune.arms), parameters.train_sizes
    rewarded, comparison = parameters.task.has_comparisons, parameters.reward_model.comparison
    rewards = {"reward_model_comparison": reward_model_comparison.create_pipeline(comparison)} if rewarded else {}
    return {
        "tournament": tournament.create_pipeline(parameters.tournament.that_can_run(rewarded=rewarded)),
        "controls": controls.create_pipeline(parameters.controls.points),
        **rewards,
        "sweep": sweep.create_pipeline(parameters.sweep.arms, parameters.sweep.train_size or min(sizes), source),
        "rounds": rounds.create_pipeline(parameters.rounds, source.scorers),
        "analysis": analysis.create_pipeline(
            parameters.finetune.arms, sizes, parameters.analysis.split, source.scorers
        ),
        "word_removal_probe": word_removal_probe.create_pipeline(parameters.word_removal_probe.models),
        "export": export.create_pipeline(arms, max(sizes), parameters.export, compared=rewarded),
    }


def _refinement_source(parameters: Parameters) -> RefinementSource:
    scorers = needed_scorers(parameters.selection.target_scorer, parameters.selection.scorers)
    return RefinementSource(parameters.finetune.top_k, parameters.finetune.refiner == "refinement_model", scorers)


def _reporting(parameters: Parameters, sections: Sequence[str] = ()) -> Pipeline:
    rewarded = parameters.task.has_comparisons
    arms, sizes, sampler = parameters.finetune.arms, parameters.train_sizes, parameters.finetune.best_of_n_from
    models = finetune.model_names(arms, sizes, sampler, rewarded=rewarded)
    return reporting.create_pipeline(models, sections, rewarded=rewarded)
