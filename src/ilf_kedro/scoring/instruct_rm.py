"""InstructRM: a language model is asked whether a refinement incorporates the feedback (paper, section 3.1.1).

Five templates ask it in five ways; a template's score is p₊ / (p₊ + p₋) at the answer's position, and the
ensemble is the mean of the five.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceModel, require
from ilf_kedro.prompting import FilledPrompts, PromptTemplate
from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores, TemplateDisagreement
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.tables import score_table

SCORER = "instruct_rm"
ENSEMBLE = "instruct_rm_ensemble"
_TEMPLATES = range(1, 6)  # by number


def template_scorer(number: int) -> str:
    """Return the scorer's name for template `number`, counted from 1."""
    return f"instruct_rm_{number}"


@scorer(
    SCORER,
    scores=(*map(template_scorer, _TEMPLATES), ENSEMBLE),
    takes=("instruct_rm", *(f"prompt.instruct_rm_{number}" for number in _TEMPLATES)),
    asks=Capability.CHOICE_PROBABILITIES,
    needs=("initial_output", "feedback"),
)
def instruct_rm_scores(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    model: ChoiceModel,
    *templates: PromptTemplate,
) -> DataFrame[Scores]:
    """Score each refinement by each template and by their mean, in [0, 1].

    Null are the scores of empty refinements, which are not asked about, and of requests that the model refused
    or answered with none of the words; the ensemble needs all templates.

    Raises:
        MissingCapabilityError: the model cannot say how probable an answer is.
    """
    require(model, Capability.CHOICE_PROBABILITIES, user=f"the scorer {SCORER}")
    asked = refinements[refinements["text"] != ""]
    by_id = {row["example_id"]: row for row in examples.to_dict("records")}
    rows = [{**by_id[name], "refinement": text} for name, text in zip(asked["example_id"], asked["text"], strict=True)]
    tables = []
    for number, probabilities in enumerate(_positive_probabilities(model, templates, rows), start=1):
        scores = pd.Series(probabilities, index=asked.index, dtype="float64").reindex(refinements.index)
        tables.append(score_table(refinements, template_scorer(number), list(scores)))
    mean = pd.concat([table["score"] for table in tables], axis=1).mean(axis=1, skipna=False)
    tables.append(score_table(refinements, ENSEMBLE, list(mean)))
    return Scores.validate(pd.concat(tables, ignore_index=True))


def template_disagreement(scores: DataFrame[Scores]) -> DataFrame[TemplateDisagreement]:
    """Return how far the templates disagree on each refinement: the standard deviation (n - 1) of their scores.

    It is null where a template's score is. Rows come in the order of the refinements.
    """
    keys = ["example_id", "method", "sample_index"]
    mean = scores.loc[scores["scorer"] == ENSEMBLE, [*keys, "score"]]
    templates = scores[scores["scorer"].str.fullmatch(r"instruct_rm_\d+")]
    deviations = templates.groupby(keys, sort=False)["score"].std(ddof=1, skipna=False).rename("disagreement")
    return TemplateDisagreement.validate(mean.merge(deviations, on=keys, how="left"))


def _positive_probabilities(
    model: ChoiceModel, templates: Sequence[PromptTemplate], rows: Sequence[Mapping[Any, object]]
) -> list[list[float]]:
    """Return p₊ / (p₊ + p₋) per template and row.

    All templates go in one request, in which each row's stand together: a backend can then share what
    their texts have in common. Every prompt is asked for every template's answers; the ratio of its own
    two does not depend on the others.
    """
    answers = list(dict.fromkeys(answer for t in templates for answer in (t.positive, t.negative)))
    choices = [Choice(answer[0], answer) for answer in answers]
    replies = model.choice_probabilities(FilledPrompts(rows, *templates), choices, label="InstructRM")
    scores: list[list[float]] = [[] for _ in templates]
    for place, reply in enumerate(replies):
        number = place % len(templates)
        template = templates[number]
        own = reply.among(answers.index(template.positive), answers.index(template.negative))
        scores[number].append(own.probability(0))
    return scores
