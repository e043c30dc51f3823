"""The pipeline word_removal: one namespace per arm, such as word_removal.refinements, all trained alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.namespaces import bind, namespaced
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.refine_and_select import refine_with_checkpoint
from ilf_kedro.pipelines.word_removal import measures, nodes, world
from ilf_kedro.pipelines.word_removal.section import describe

CONTROLS = ("shuffled_feedback", "no_feedback", "initial_outputs")
ARMS = ("refinements", *CONTROLS, "perfect_targets")
"""What the policy is finetuned on; the last is the upper bound, written by the hidden annotator."""

MODELS = ("initial", *ARMS, "second_round")
_PAIRS = (("second_round", "refinements"), *(("refinements", control) for control in CONTROLS))
_ROOT = "word_removal"
_POLICY = "params:word_removal.policy"


def create_pipeline() -> Pipeline:
    """Create the world, the initial and the refinement model, every arm, the second round, and the page."""
    first, second = f"{_ROOT}.refinements", f"{_ROOT}.second_round"
    return sum(
        [
            _world(),
            _models(),
            _policy("initial", [_node(nodes.demonstrate, f"{_ROOT}.notes", "targets")], "demonstration_training"),
            _feedback(f"{_ROOT}.feedback", author=f"{_ROOT}.initial", part="first_round"),
            _shuffled(),
            *(_policy(arm, _targets(arm)) for arm in ARMS),
            _feedback(f"{second}.feedback", author=first, part="second_round"),
            _policy("second_round", _second_targets(first)),
            _findings(),
        ],
        Pipeline([]),
    )


def _world() -> Pipeline:
    return _plain(
        [
            _node(world.draw_annotator, "params:word_removal.annotator", f"{_ROOT}.objections"),
            _node(world.write_refinements, ["params:word_removal.refiner", "params:seed"], f"{_ROOT}.written_examples"),
            _node(
                world.draw_task,
                [f"{_ROOT}.objections", "params:word_removal.notes", "params:seed"],
                [f"{_ROOT}.notes", f"{_ROOT}.note_answers"],
            ),
        ]
    )


def _models() -> Pipeline:
    """Create the node that trains the refinement model; the initial model is trained as the arms are."""
    templates = ["word_removal.prompt.with_feedback", "word_removal.prompt.without_feedback"]
    inputs = ["refiner", f"{_ROOT}.written_examples", *templates, "params:word_removal.refiner", "params:seed"]
    train = _node(nodes.train_refiner, [*inputs, "training_workspace"], ["checkpoint", "training_log"], "training")
    return namespaced(f"{_ROOT}.refiner", [train], tags=_ROOT)


def _feedback(name: str, *, author: str, part: str) -> Pipeline:
    """Create the nodes in which `author` passes on the notes of a part, and the annotator comments on them."""
    outputs = f"{author}.outputs"
    return _plain(
        [
            _pass_on(author, part, outputs),
            _node(
                world.comment_on_outputs,
                [outputs, f"{_ROOT}.notes", f"{_ROOT}.objections", "params:seed"],
                name,
                name=f"comment_on_{part}",
            ),
        ]
    )


def _shuffled() -> Pipeline:
    inputs = [f"{_ROOT}.feedback", "params:seed"]
    return _plain([_node(world.shuffle_feedback, inputs, f"{_ROOT}.other_feedback")])


def _targets(arm: str) -> list[Node]:
    """Create the nodes that make an arm's targets."""
    feedback = f"{_ROOT}.feedback"
    match arm:
        case "refinements":
            return _refine_and_verify(feedback)
        case "shuffled_feedback":
            return _refine_and_verify(f"{_ROOT}.other_feedback")
        case "no_feedback":
            score = _node(nodes.score_at_random, ["refined", "params:seed"], "scores")
            return _refine_and_select(feedback, "without_feedback", score)
        case "initial_outputs":
            return [_node(nodes.targets_from_outputs, feedback, "targets")]
        case _:
            return [_node(nodes.targets_from_answers, [f"{_ROOT}.notes", f"{_ROOT}.note_answers"], "targets")]


def _second_targets(first: str) -> list[Node]:
    """Create the second round's targets, and join them to the first round's."""
    *members, choose = _refine_and_verify(f"{_ROOT}.second_round.feedback")
    new = _node(choose.func, choose.inputs, "new_targets")
    return [*members, new, _node(nodes.join_targets, [f"{first}.targets", "new_targets"], "targets")]


def _refine_and_verify(examples: str) -> list[Node]:
    return _refine_and_select(examples, "with_feedback", _node(nodes.verify, [examples, "refined"], "scores"))


def _refine_and_select(examples: str, template: str, score: Node) -> list[Node]:
    """Create refinement, scoring, selection and the choice of targets, in this order."""
    inputs = [examples, "refiner", f"{_ROOT}.refiner.checkpoint", f"word_removal.prompt.{template}"]
    refine = bind(refine_with_checkpoint, method=f"refinement_{template}")
    return [
        _node(
            refine, [*inputs, "params:word_removal.refinements", "params:seed"], "refined", "language_model", "refine"
        ),
        score,
        _node(nodes.select, ["scores", "refined"], "selections"),
        _node(nodes.targets_from_selections, [examples, "selections"], "targets"),
    ]


def _policy(arm: str, targets: Sequence[Node], training: str = "policy.training") -> Pipeline:
    """Create an arm's targets, its finetuned policy, and what that makes of the test notes."""
    name = f"{_ROOT}.{arm}"
    inputs = ["base_model", "targets", "word_removal.prompt.pass_on", f"params:word_removal.{training}", "params:seed"]
    train = _node(
        bind(nodes.train_policy, label=name),
        [*inputs, "training_workspace"],
        ["checkpoint", "training_log"],
        "training",
    )
    test = _pass_on(arm, "test", "answers", checkpoint="checkpoint")
    return namespaced(name, [*targets, train, test], tags=_ROOT)


def _pass_on(author: str, part: str, output: str, *, checkpoint: str | None = None) -> Node:
    name = author.removeprefix(f"{_ROOT}.")
    return _node(
        bind(nodes.pass_on, part=part, model_name=name),
        [
            "base_model",
            checkpoint or f"{author}.checkpoint",
            f"{_ROOT}.notes",
            "word_removal.prompt.pass_on",
            _POLICY,
            "params:seed",
        ],
        output,
        "language_model",
        f"pass_on_{part}",
    )


def _findings() -> Pipeline:
    whole, first = "params:word_removal", f"{_ROOT}.refinements"
    exact, joints, differences = (f"{_ROOT}.{name}" for name in ("exact_match", "joints", "differences"))
    right = f"{_ROOT}.note_answers"
    return _plain(
        [
            _node(measures.collect_answers, [f"{_ROOT}.{model}.answers" for model in MODELS], f"{_ROOT}.answers"),
            _node(measures.measure_exact_match, [f"{_ROOT}.answers", right, whole], exact),
            _node(
                bind(measures.compare_arms, pairs=_PAIRS),
                [f"{_ROOT}.answers", right, whole, "params:seed"],
                differences,
            ),
            _node(
                measures.measure_joints,
                [f"{_ROOT}.feedback", f"{first}.refined", f"{first}.selections", right, exact, whole, "params:seed"],
                joints,
            ),
            _node(
                describe,
                [exact, joints, differences, f"{_ROOT}.answers", f"{_ROOT}.notes", right, whole],
                f"section.{_ROOT}",
            ),
            page_node(_ROOT, "Learning to leave words out"),
        ]
    )


def _plain(members: list[Node]) -> Pipeline:
    return Pipeline(members, namespace=_ROOT, prefix_datasets_with_namespace=False, tags=_ROOT)


def _node(
    function: Callable[..., Any],
    inputs: str | list[str],
    outputs: str | list[str],
    tags: str | None = None,
    name: str | None = None,
) -> Node:
    """Create a node under its function's name."""
    return Node(function, inputs, outputs, name=name or function.__name__, tags=tags)
