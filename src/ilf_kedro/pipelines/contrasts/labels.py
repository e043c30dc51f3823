"""What the contrasts' measures are called, and what is to be said of each."""

from __future__ import annotations

from ilf_kedro.evaluation.measurements import PEOPLE, RANKS, judge_of

__all__ = ["is_of_wins", "measure_label", "measure_note"]

_LABELS = {
    PEOPLE: "People's rankings",
    "incorporated": "Feedback incorporated",
    "pass_rate": "Pass rate",
    "reward": "Reward",
    "rouge_l": "ROUGE-L",
    "log_likelihood": "Log-likelihood",
}
_NOTES = {
    "incorporated": ": the share of refinements that do what the feedback's most important point asks, by people",
    "pass_rate": ": the share of an input's outputs that the verifier passes",
    "reward": ": the reward model's p(excellent), no person's",
    "rouge_l": ": F1 against the reference",
    "log_likelihood": ": of the references, nats per token, mean over inputs; higher is better",
}


def measure_label(measure: str) -> str:
    """Return a measure's name as the report shows it; what a language model judged has the word judge."""
    judge = judge_of(measure)
    if judge is None:
        return _LABELS.get(measure, measure)
    return f"Rankings by the judge {judge}" if measure.startswith(RANKS) else f"The judge {judge}"


def measure_note(measure: str) -> str:
    """Return what a caption adds to the measure's name."""
    if judge_of(measure) is not None and not measure.startswith(RANKS):
        return ": a language model's verdicts, not people's, as mean log-odds of both orders over the reference"
    return _NOTES.get(measure, "")


def is_of_wins(measure: str) -> bool:
    """Tell whether wins are what the measure is about: of ranks and verdicts. Else it is differences."""
    return measure.startswith(RANKS) or judge_of(measure) is not None
