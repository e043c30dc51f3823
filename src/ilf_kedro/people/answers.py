"""What an annotator can answer, by kind of item, and what is no answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from ilf_kedro.schemas.base import Options

__all__ = ["ANSWER", "Answer", "FeedbackAnswer", "IncorporatedAnswer", "RankingAnswer", "check_answer", "rename_ranks"]


class FeedbackAnswer(Options):
    """What is wrong or missing, in words; or, said outright, that there is nothing to say."""

    kind: Literal["feedback"] = "feedback"
    feedback: str = ""
    feedback_class: str | None = None
    ideal_output: str | None = None
    nothing_to_say: bool = False

    @model_validator(mode="after")
    def _check(self) -> FeedbackAnswer:
        if self.nothing_to_say == bool(self.feedback.strip()):
            raise ValueError("give feedback, or tick that there is nothing to say, not both and not neither")
        return self


class RankingAnswer(Options):
    """Ranks by candidate: 1 is the best, equal ranks are ties.

    `all_bad` says that none is acceptable. That is no tie: ranks may stand beside it, or be left out.
    """

    kind: Literal["compare", "rank"]
    ranks: dict[str, Annotated[int, Field(ge=1, le=6)]]
    all_bad: bool = False


class IncorporatedAnswer(Options):
    """Whether the refinement does what the most important point of the feedback asks."""

    kind: Literal["incorporated"] = "incorporated"
    incorporated: bool


Answer = Annotated[FeedbackAnswer | RankingAnswer | IncorporatedAnswer, Field(discriminator="kind")]
ANSWER: TypeAdapter[FeedbackAnswer | RankingAnswer | IncorporatedAnswer] = TypeAdapter(Answer)


def check_answer(answer: Answer, kind: str, candidate_ids: Collection[str]) -> None:
    """Refuse an answer to another question, or to a part of this one.

    Raises:
        ValueError: it says what was found and what is expected.
    """
    if answer.kind != kind:
        raise ValueError(f"an answer of the kind {answer.kind} to an item of the kind {kind}")
    if not isinstance(answer, RankingAnswer) or (answer.all_bad and not answer.ranks):
        return
    if set(answer.ranks) != set(candidate_ids):
        raise ValueError(f"ranks for {sorted(answer.ranks)}; each of {sorted(candidate_ids)} needs one")
    if max(answer.ranks.values()) > len(candidate_ids):
        raise ValueError(f"rank {max(answer.ranks.values())} among {len(candidate_ids)} candidates")


def rename_ranks(answer: Answer, names: Mapping[str, str]) -> Answer:
    """Return the answer with the candidates called by other names, as from the letters shown to the key.

    Raises:
        ValueError: a candidate has no name.
    """
    if not isinstance(answer, RankingAnswer):
        return answer
    if unknown := sorted(set(answer.ranks) - set(names)):
        raise ValueError(f"a rank for {', '.join(unknown)}; the candidates are {', '.join(names)}")
    return answer.model_copy(update={"ranks": {names[key]: rank for key, rank in answer.ranks.items()}})
