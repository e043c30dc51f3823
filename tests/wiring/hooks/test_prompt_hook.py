"""Every prompt that a run will use is set against the task before it starts, and all faults are named at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from ilf_kedro.datasets import PromptTemplateDataset
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.wiring.hooks.prompts import PromptError, PromptHook, prompt_faults
from tests.support.tasks import task


def read(*_: object) -> int:
    return 1


def check(output: dict[str, object] | None = None, **prompts: object) -> None:
    inputs = [f"prompt.{name}" for name in prompts]
    of = task(output=output or {})
    entries = {
        f"prompt.{name}": prompt if isinstance(prompt, PromptTemplateDataset) else MemoryDataset(prompt)
        for name, prompt in prompts.items()
    }
    catalog = DataCatalog({**entries, "params:task": MemoryDataset(of)})
    PromptHook().before_pipeline_run(Pipeline([Node(read, inputs, "out", name="read")]), catalog)


def test_prompts_that_fit_the_task_pass() -> None:
    check(
        policy=PromptTemplate(text="{{ source }}"),
        judge=PromptTemplate(text="{{ source }} {{ output_a }} {{ output_b }}"),
    )


def test_every_fault_of_every_prompt_is_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(PromptError) as caught:
        check(
            {"clean": "code"},
            policy=PromptTemplate(text="{{ post }}"),
            judge=PromptTemplateDataset(filepath=str(tmp_path / "judge.yml")),
            feedback=PromptTemplate(text="{{ source }}", clean="no.such:function"),
        )
    message = str(caught.value)
    assert message.startswith("Nothing was run. ")
    assert "there is no prompt template" in message
    assert "prompt.policy shows {{ post }}, which the task's examples do not have; expected source, chosen," in message
    assert "prompt.policy says clean: sentences, but task.output.clean is code" in message
    assert "prompt.feedback: task.output.clean: 'no.such:function' cannot be used" in message


def test_turns_of_a_text_are_named_before_anything_runs() -> None:
    talk = PromptTemplate(text="{% for turn in source.turns %}{{ turn.content }}{% endfor %}")
    with pytest.raises(PromptError, match=r"prompt\.policy: .*has no attribute 'turns'"):
        check(policy=talk)
    of_chats = task(inputs={"source": {"column": "text", "kind": "messages"}})
    assert not list(prompt_faults("prompt.policy", lambda _: talk.model_copy(), of_chats))


def test_prompts_that_would_leak_the_answer_are_refused_before_anything_runs() -> None:
    answers = "{{ source }} {{ feedback }} {{ reference }}"
    leaking = PromptTemplate(text=answers)
    honest = PromptTemplate(text="{{ source }} {{ feedback }} {{ initial_output }}")
    guided = PromptTemplate(text="{{ source }} {{ reference }} {{ output_a }} {{ output_b }}")
    names = (
        "feedback_and_refinement",
        "refinement_without_feedback",
        "feedback",
        "policy",
        "classifier",
        "reward_model",
        "reward_model_a_b",
    )
    with pytest.raises(PromptError) as caught:
        check({}, refinement_with_feedback=honest, judge=guided, **dict.fromkeys(names, leaking))
    message = str(caught.value)
    assert "prompt.feedback shows {{ feedback }}, so that the model's feedback would be no control; take it" in message
    for name in names:
        for slot in ("feedback", "reference"):
            assert message.count(f"prompt.{name} shows {{{{ {slot} }}}}, so that ") == 1
    assert "refinement_with_feedback" not in message
    assert "judge" not in message
    with pytest.raises(PromptError, match="so that the refiner would be shown a person's own answer"):
        check(refinement_with_feedback=PromptTemplate(text=answers + " {{ initial_output }}"))


@pytest.mark.parametrize(
    ("name", "text", "missing"),
    [
        ("refinement_with_feedback", "{{ source }}", "{{ initial_output }} and {{ feedback }}"),
        ("refinement_without_feedback", "{{ source }}", "{{ initial_output }}"),
        ("instruct_rm_3", "{{ source }} {{ feedback }}", "{{ refinement }}"),
        ("judge", "{{ source }} {{ output_a }}", "{{ output_b }}"),
        ("reward_model", "{{ source }}", "{{ output }}"),
    ],
)
def test_a_prompt_that_does_not_show_what_it_asks_about_is_refused(name: str, text: str, missing: str) -> None:
    with pytest.raises(PromptError) as caught:
        check(**{name: PromptTemplate(text=text)})
    assert f"prompt.{name} does not show {missing}, which it asks about" in str(caught.value)


def test_a_policys_prompt_shows_an_input() -> None:
    with pytest.raises(PromptError, match="shows no input of the task; expected one or more of source"):
        check(policy=PromptTemplate(text="{{ initial_output }}"))
