"""Every prompt that a run will use is read, and set against the task, before the run starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline

from ilf_kedro.prompting import Message, PromptTemplate, TemplateError, cleaner, fill, messages_to_json
from ilf_kedro.schemas import UserError
from ilf_kedro.tasks import Task
from ilf_kedro.wiring.config_loader import ConfigurationError

__all__ = ["PromptError", "PromptHook", "prompt_faults"]

_PREFIX = "prompt."
_WORDS = frozenset(
    {"initial_output", "feedback", "reference", "refinement", "output", "output_a", "output_b", "chosen", "rejected"}
    | {"point"}
)
# What a prompt may not show, by its name, and why.
_ANSWERS = ("feedback", "reference")
_HIDDEN = {
    "refinement_with_feedback": (("reference",), "the refiner would be shown a person's own answer"),
    "refinement_without_feedback": (_ANSWERS, "it would be no control"),
    "feedback_and_refinement": (_ANSWERS, "the model would be shown what it is to write"),
    "feedback": (_ANSWERS, "the model's feedback would be no control"),
    "policy": (_ANSWERS, "the model would be shown what it is to learn"),
    "classifier": (_ANSWERS, "its score says how good an output is, and may choose for controls"),
    "reward_model": (_ANSWERS, "a reward is of an output alone"),
    "reward_model_a_b": (_ANSWERS, "a reward is of an output alone"),
}
# What a prompt must show, by its name, to ask about what it is for.
_ASKED_ABOUT = {
    "refinement_with_feedback": ("initial_output", "feedback"),
    "refinement_without_feedback": ("initial_output",),
    "feedback": ("initial_output",),
    "feedback_and_refinement": ("initial_output",),
    "feedback_points": ("feedback",),
    **{f"instruct_rm_{number}": ("feedback", "refinement") for number in range(1, 6)},
    "log_probability_refinement": ("feedback", "refinement"),
    "log_probability_feedback": ("feedback", "refinement"),
    "point_incorporated": ("point", "refinement"),
    "privileged_context": ("feedback",),
    "classifier": ("refinement",),
    "judge": ("output_a", "output_b"),
    "reward_model": ("output",),
    "reward_model_a_b": ("output_a", "output_b"),
}
_SCORED_WHOLE = ("log_probability_refinement", "log_probability_feedback", "privileged_context")
_WRITES_OUTPUTS = ("policy", "refinement_with_feedback", "refinement_without_feedback", "feedback_and_refinement")


class PromptError(ConfigurationError):
    """A prompt's file is absent or at fault, or shows what the task's examples do not have."""


class PromptHook:
    """Reads the prompts before anything runs: a fault in the judge's would else show after all trainings."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Check every prompt among the pipeline's inputs.

        Raises:
            PromptError: naming every fault of every prompt.
        """
        names = sorted(name for name in pipeline.inputs() if name.startswith(_PREFIX))
        if not names or "params:task" not in catalog:
            return
        task = Task.model_validate(catalog.load("params:task"))
        if faults := [fault for name in names for fault in prompt_faults(name, catalog.load, task)]:
            raise PromptError("Nothing was run. " + "\n".join(faults))


def prompt_faults(name: str, load: Callable[[str], object], task: Task) -> Iterator[str]:
    """Yield what is wrong with a prompt of the catalog: it cannot be read, or does not fit the task."""
    try:
        template = load(name)
    except DatasetError as error:
        yield str(error)
        return
    if not isinstance(template, PromptTemplate):
        return
    if template.messages and name.removeprefix(_PREFIX) in _SCORED_WHOLE:
        yield f"{name} has messages, expected one text: its tokens are scored as they stand"
    yield from _faults_of_slots(name, template, task)
    try:
        fill(template, {"example_id": "", **{slot: _stand_in(task, slot) for slot in template.slots}})
    except TemplateError as error:
        yield f"{name}: {error}"
    if name.removeprefix(_PREFIX) in _WRITES_OUTPUTS and template.clean != task.output.clean:
        yield (
            f"{name} says clean: {template.clean}, but task.output.clean is {task.output.clean}; outputs that are "
            "compared must be cleaned alike: write the same in the prompt's file"
        )
        return
    try:
        cleaner(template.clean)
    except UserError as error:
        yield f"{name}: {error}"


def _faults_of_slots(name: str, template: PromptTemplate, task: Task) -> Iterator[str]:
    """Yield which fields a prompt shows though it may not, or does not show though it must."""
    kind = name.removeprefix(_PREFIX)
    known = [*task.shown_inputs, *sorted(_WORDS)]
    for slot in template.slots:
        if slot not in known:
            yield f"{name} shows {{{{ {slot} }}}}, which the task's examples do not have; expected {', '.join(known)}"
    hidden, reason = _HIDDEN.get(kind, ((), ""))
    for slot in (each for each in hidden if each in template.slots):
        yield f"{name} shows {{{{ {slot} }}}}, so that {reason}; take it out of the prompt's file"
    asked_about = _ASKED_ABOUT.get(kind, ())
    if missing := [f"{{{{ {slot} }}}}" for slot in asked_about if slot not in template.slots]:
        yield f"{name} does not show {' and '.join(missing)}, which it asks about; write it into the prompt's file"
    if name == "prompt.policy" and not set(template.slots) & set(task.shown_inputs):
        yield f"{name} shows no input of the task; expected one or more of {', '.join(task.shown_inputs)}"


def _stand_in(task: Task, slot: str) -> str:
    """Return the least that an example has in a field: a conversation of one turn, or a word."""
    is_chat = slot in task.inputs and task.inputs[slot].kind == "messages"
    return messages_to_json([Message("user", "text")]) if is_chat else "text"
