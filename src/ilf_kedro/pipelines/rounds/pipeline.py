"""The pipeline rounds: one namespace per mode and round, such as rounds.r1.continue, and per one-round model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.finetune.nodes import log_likelihoods, sample_outputs
from ilf_kedro.pipelines.namespaces import bind, namespaced
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.refine_and_select import refinement_node, selection_nodes
from ilf_kedro.pipelines.reporting.pass_rates import verify_outputs
from ilf_kedro.pipelines.rounds import examples, measures, section, training
from ilf_kedro.pipelines.rounds.options import RoundsOptions

_TRAINING = ["base_model", "prompt.policy", "params:finetune", "params:seed", "training_workspace"]
_TRAINED = ["checkpoint", "training_log", "described"]


def create_pipeline(
    options: RoundsOptions, scorers: Sequence[str] = ("instruct_rm",), *, verified: bool = False
) -> Pipeline:
    """Create round 0, every later round in every mode, and the one-round models of the same total sizes.

    `scorers` are those that the target scorer's choice needs; `verified` says whether the verifier scores test outputs.
    """
    totals = list(accumulate(options.sizes))
    models = [_one_round_name(total) for total in totals]
    parts = [_first_examples(), _targets("rounds.one_round", scorers)]
    parts += [_one_round(number, total) for number, total in enumerate(totals)]
    for number in range(1, len(totals)):
        authors = {_author(options, mode, number): _sampler(options, mode, number, totals) for mode in options.modes}
        parts.append(_feedback(options, number, authors))
        parts += [_targets(f"rounds.r{number}.{author}", scorers) for author in authors]
        parts += [_later_round(options, mode, number, totals) for mode in options.modes]
        models += [f"rounds.r{number}.{mode}" for mode in options.modes]
    return sum([*parts, _measures(models, verified)], Pipeline([]))


def _one_round_name(total: int) -> str:
    return f"rounds.one_round.n{total}"


def _author(options: RoundsOptions, mode: str, number: int) -> str:
    """Name whose outputs a round's feedback is on: in round 1 both modes have the same model behind them."""
    if options.outputs_of == "base":
        return "base"
    return "own" if number == 1 else mode


def _sampler(options: RoundsOptions, mode: str, number: int, totals: Sequence[int]) -> str | None:
    """Name the model that writes these outputs; None is the base model."""
    return None if options.outputs_of == "base" else _model_before(mode, number, totals)


def _model_before(mode: str, number: int, totals: Sequence[int]) -> str:
    return _one_round_name(totals[0]) if number == 1 else f"rounds.r{number - 1}.{mode}"


def _first_examples() -> Pipeline:
    node = Node(examples.first_examples, ["examples.train", "params:rounds"], "examples", name="first_examples")
    return _namespaced("rounds.one_round", [node])


def _targets(name: str, scorers: Sequence[str]) -> Pipeline:
    """Create examples → refinements → scores → selections → targets in a namespace that has its examples."""
    own = f"{name}.examples"
    choose = Node(examples.round_targets, [own, "selections", "params:selection"], "targets", name="choose_targets")
    return _namespaced(name, [refinement_node(own), *selection_nodes(own, scorers), choose])


def _feedback(options: RoundsOptions, number: int, authors: Mapping[str, str | None]) -> Pipeline:
    """Create the outputs of a round and the feedback on them.

    `authors` says which model is behind each of them. One node gets the feedback for all modes, so that people are
    asked for all of it at once.
    """
    files = {f"{author}_round_{number}": f"{author}.initial_outputs" for author in authors}
    inputs = {
        "examples": "rounds.one_round.examples",
        "folder": "rounds.feedback_folder",
        "options": "params:rounds",
        "task": "params:task",
        "seed": "params:seed",
        **({"refiner": "refiner", "template": "prompt.feedback"} if options.feedback_by == "model" else {}),
        **files,
    }
    outputs = {file: f"{author}.examples" for file, author in zip(files, authors, strict=True)}
    collect = Node(examples.collect_feedback, inputs, outputs, name="collect_feedback", tags="language_model")
    sampling = [_outputs(author, number, sampler) for author, sampler in authors.items()]
    return _namespaced(f"rounds.r{number}", [*sampling, collect])


def _outputs(author: str, number: int, sampler: str | None) -> Node:
    function = bind(examples.sample_initial_outputs, round=number, author=sampler or "base_model")
    inputs = ["base_model", "rounds.one_round.examples", "prompt.policy", "params:finetune", "params:seed"]
    inputs += [f"{sampler}.checkpoint"] if sampler else []
    return Node(
        function, inputs, f"{author}.initial_outputs", name=f"sample_initial_outputs_{author}", tags="language_model"
    )


def _one_round(number: int, total: int) -> Pipeline:
    """Create the model that learns from `total` examples at once; the one of the first size is round 0 of all."""
    name = _one_round_name(total)
    function = bind(training.train_from_base, model=name, mode="one_round", round=number, train_size=total)
    train = Node(function, [*_TRAINING, "rounds.one_round.targets"], _TRAINED, name="train", tags="training")
    return _namespaced(name, [train, *_answering_nodes(name)])


def _later_round(options: RoundsOptions, mode: str, number: int, totals: Sequence[int]) -> Pipeline:
    """Create a later round's model, and its answers about the test inputs."""
    name, total = f"rounds.r{number}.{mode}", totals[number]
    own = [f"rounds.r{each}.{_author(options, mode, each)}.targets" for each in range(1, number + 1)]
    if mode == "continue":
        before = _model_before(mode, number, totals)
        function = bind(training.train_further, model=name, round=number, size=options.sizes[number], train_size=total)
        inputs = [*_TRAINING, f"{before}.checkpoint", f"{before}.described", own[-1]]
    else:
        function = bind(training.train_from_base, model=name, mode=mode, round=number, train_size=total)
        inputs = [*_TRAINING, "rounds.one_round.targets", *own]
    return _namespaced(name, [Node(function, inputs, _TRAINED, name="train", tags="training"), *_answering_nodes(name)])


def _answering_nodes(name: str) -> list[Node]:
    asked = ["base_model", "checkpoint", "examples.test", "prompt.policy"]
    return [
        Node(
            bind(sample_outputs, model_name=name),
            [*asked, "params:finetune", "params:seed"],
            "outputs",
            name="sample_outputs",
            tags="language_model",
        ),
        Node(
            bind(log_likelihoods, model_name=name),
            asked,
            "log_likelihoods",
            name="measure_log_likelihoods",
            tags="language_model",
        ),
    ]


def _measures(models: Sequence[str], verified: bool) -> Pipeline:
    def collecting(function: object, table: str) -> Node:
        name = f"collect_{table}"
        made = "described" if table == "models" else table
        return Node(function, [f"{model}.{made}" for model in models], f"rounds.{table}", name=name)  # type: ignore[arg-type]

    verifying = ["examples.test", "rounds.outputs", "params:selection", "params:task"]
    measured = {
        "examples": "examples.test",
        **{table: f"rounds.{table}" for table in ("models", "outputs", "log_likelihoods")},
        **({"verified": "rounds.verified"} if verified else {}),
        "base_model": "base_model",
        "options": "params:reporting",
        "seed": "params:seed",
    }
    members = [
        collecting(measures.collect_models, "models"),
        collecting(measures.collect_outputs, "outputs"),
        collecting(measures.collect_log_likelihoods, "log_likelihoods"),
        *([Node(verify_outputs, verifying, "rounds.verified", name="verify_outputs")] if verified else []),
        Node(measures.measure_rounds, measured, "rounds.metrics", name="measure_rounds"),
        Node(
            section.describe_rounds,
            ["rounds.models", "rounds.metrics", "published_results", "params:rounds", "params:reporting"],
            "section.rounds",
            name="describe_rounds",
        ),
        page_node("rounds", "Rounds"),
    ]
    return Pipeline(members, namespace="rounds", prefix_datasets_with_namespace=False, tags="rounds")


def _namespaced(name: str, members: Sequence[Node]) -> Pipeline:
    return namespaced(name, members, tags="rounds")
