"""What a run leaves out because the data lack it: one sentence each, with the reason."""

from __future__ import annotations

from ilf_kedro.tasks.offer import Offer
from ilf_kedro.tasks.options import Task

__all__ = ["left_out"]


def left_out(task: Task, offer: Offer) -> list[str]:
    """Return a sentence for each part that a run leaves out, or does in another way, for lack of data."""
    sentences = (_comparisons(task, offer), _feedback(task, offer), _initial_outputs(task, offer), *_tests(task, offer))
    return [sentence for sentence in sentences if sentence]


def _comparisons(task: Task, offer: Offer) -> str:
    if not task.has_comparisons:
        return (
            "There is no reward model: the data have no comparisons (task.columns.comparison). A verifier or a judge "
            "can choose the best of N in its place (finetune.best_of_n_by)."
        )
    if not offer.has("comparisons", "train"):
        return f"A reward model cannot be trained: {offer.missing('comparisons', 'train')}."
    return ""


def _feedback(task: Task, offer: Offer) -> str:
    has = offer.splits["train"]
    if not task.has_feedback:
        return "Nothing is refined: the data have no feedback (task.columns.feedback)."
    if has.feedback < has.examples:
        return (
            f"{has.examples - has.feedback:,} of {has.examples:,} training examples have no feedback "
            f"(task.columns.feedback: {task.columns.feedback}) and are not refined."
        )
    return ""


def _initial_outputs(task: Task, offer: Offer) -> str:
    if task.has_initial_outputs or not task.has_feedback:
        return ""
    return (
        "The base model writes the initial outputs: the data have none (task.columns.initial_output). Their feedback "
        "is therefore on other outputs."
    )


def _tests(task: Task, offer: Offer) -> tuple[str, ...]:
    has = offer.splits["test"]
    if not task.has_test:
        return ("Models are trained but not measured: there is no test split (task.splits).",)
    if not task.has_references:
        return (
            "There are no likelihoods, no ROUGE-L and no judge's win rates, which all compare with references: "
            "the data have none (task.columns.reference).",
        )
    if has.references < has.examples:
        return (
            f"Likelihoods, ROUGE-L and win rates are of the {has.references:,} test examples of {has.examples:,} that "
            f"have a reference (task.columns.reference: {task.columns.reference}).",
        )
    return ()
