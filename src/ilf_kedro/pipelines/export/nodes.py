"""From the project's tables to other programs' records; docs/exports.md describes each format."""

from __future__ import annotations

import logging

import pandas as pd

from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import Message, Prompt, PromptTemplate, prompts_of
from ilf_kedro.schemas import (
    ChatRecords,
    Comparisons,
    DataFrame,
    Examples,
    ImplicitPreferenceRecords,
    OpenAIChatRecords,
    PreferenceRecords,
    PrivilegedRecords,
    Selections,
    SupervisedRecords,
    Targets,
    UserError,
)
from ilf_kedro.schemas.names import WITH_FEEDBACK

logger = logging.getLogger(__name__)

_OPENAI_MINIMUM = 10


def export_supervised(targets: DataFrame[Targets], template: PromptTemplate) -> DataFrame[SupervisedRecords]:
    """Return an arm's targets as prompts and completions."""
    table = pd.DataFrame({"example_id": targets["example_id"].to_numpy(), "prompt": _prompts(targets, template)})
    return SupervisedRecords.validate(table.assign(completion=_answers(targets["target"])))


def export_chat(targets: DataFrame[Targets], template: PromptTemplate) -> str:
    """Return an arm's targets as conversations, one line of JSON each."""
    table = _conversations(targets, template).assign(example_id=targets["example_id"].to_numpy())
    return _lines(ChatRecords.validate(table))


def export_openai_chat(targets: DataFrame[Targets], template: PromptTemplate) -> str:
    """Return an arm's targets as conversations, one line of JSON each, as OpenAI's fine-tuning API takes them."""
    if len(targets) < _OPENAI_MINIMUM:
        logger.warning(
            "OpenAI's fine-tuning API takes no fewer than %d conversations, and the file has %d",
            _OPENAI_MINIMUM,
            len(targets),
        )
    return _lines(OpenAIChatRecords.validate(_conversations(targets, template)))


def export_preferences(
    examples: DataFrame[Examples],
    selections: DataFrame[Selections],
    template: PromptTemplate,
    options: SelectionOptions,
) -> DataFrame[PreferenceRecords]:
    """Return the refinement that the target scorer chose as better than the initial output.

    Where the refinement is empty, or is the initial output, there is no pair; these are counted in the log.

    Raises:
        UserError: no pair is left.
    """
    chosen = selections[(selections["scorer"] == options.target_scorer) & (selections["method"] == WITH_FEEDBACK)]
    table = examples.merge(chosen[["example_id", "text"]], on="example_id")
    initial = table["initial_output"].fillna("").str.strip()
    usable = (table["text"].str.strip() != "") & (initial != "") & (table["text"].str.strip() != initial)
    _report_left_out("preference pairs", usable, "an empty or an unchanged refinement")
    kept = table[usable]
    return PreferenceRecords.validate(
        pd.DataFrame(
            {
                "example_id": kept["example_id"].to_numpy(),
                "prompt": _prompts(kept, template),
                "chosen": _answers(kept["text"]),
                "rejected": _answers(kept["initial_output"]),
            }
        )
    )


def export_reward_pairs(
    comparisons: DataFrame[Comparisons], template: PromptTemplate
) -> tuple[DataFrame[PreferenceRecords], DataFrame[ImplicitPreferenceRecords]]:
    """Return people's comparisons, once with the prompt apart and once with it in both texts.

    Raises:
        UserError: no two outputs of a comparison differ.
    """
    better, worse = comparisons["chosen"], comparisons["rejected"]
    usable = (better.str.strip() != worse.str.strip()) & (better.str.strip() != "") & (worse.str.strip() != "")
    _report_left_out("reward-model pairs", usable, "an empty output, or the same one twice")
    kept = comparisons[usable]
    explicit = pd.DataFrame(
        {
            "example_id": kept["example_id"].to_numpy(),
            "prompt": _prompts(kept, template),
            "chosen": _answers(better[usable]),
            "rejected": _answers(worse[usable]),
        }
    )
    implicit = explicit[["example_id"]].assign(
        chosen=explicit["prompt"] + explicit["chosen"], rejected=explicit["prompt"] + explicit["rejected"]
    )
    return PreferenceRecords.validate(explicit), ImplicitPreferenceRecords.validate(implicit)


def export_privileged(
    examples: DataFrame[Examples], template: PromptTemplate, privileged_template: PromptTemplate
) -> DataFrame[PrivilegedRecords]:
    """Return the prompt that a student answers, and initial output and feedback as what its teacher sees besides.

    Raises:
        UserError: no example has both an initial output and feedback.
    """
    usable = (examples["initial_output"].fillna("").str.strip() != "") & (
        examples["feedback"].fillna("").str.strip() != ""
    )
    _report_left_out("records with privileged feedback", usable, "no initial output, or no feedback")
    kept = examples[usable]
    prompts = _prompts(kept, template)
    contexts = [
        privileged_template.render(example_id, initial_output=initial, feedback=feedback).text
        for example_id, initial, feedback in zip(
            kept["example_id"], kept["initial_output"], kept["feedback"], strict=True
        )
    ]
    table = pd.DataFrame({"example_id": kept["example_id"].to_numpy(), "prompt": prompts})
    table["privileged_context"] = contexts
    table["teacher_prompt"] = table["prompt"] + "\n\n" + table["privileged_context"]
    return PrivilegedRecords.validate(table)


def _prompts(table: pd.DataFrame, template: PromptTemplate) -> list[str]:
    return [prompt.text for prompt in prompts_of(table, template)]


def _conversations(targets: pd.DataFrame, template: PromptTemplate) -> pd.DataFrame:
    messages = [
        [*_turns(prompt), {"role": "assistant", "content": target}]
        for prompt, target in zip(prompts_of(targets, template), targets["target"], strict=True)
    ]
    return pd.DataFrame({"messages": messages})


def _turns(prompt: Prompt) -> list[dict[str, str]]:
    turns = prompt.chat or (Message("user", prompt.text),)
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _lines(table: pd.DataFrame) -> str:
    return table.to_json(orient="records", lines=True, force_ascii=False)


def _answers(texts: pd.Series) -> list[str]:
    """Return texts as they follow a prompt's last word: after one blank."""
    return [f" {text}" for text in texts]


def _report_left_out(what: str, usable: pd.Series, reason: str) -> None:
    if not usable.any():
        raise UserError(
            f"there are no {what} to export: all {len(usable)} examples have {reason}; "
            "add such texts to the train split, or run the other pipelines alone"
        )
    if not usable.all():
        logger.warning("%d of %d examples give no %s: %s", (~usable).sum(), len(usable), what, reason)
