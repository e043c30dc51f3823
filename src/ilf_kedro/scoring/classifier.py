"""A language model as classifier: how probable it finds it that a refinement is an excellent output.

It sees neither the initial output nor the feedback, so it says how good an output is, not whether it
follows the feedback (that is InstructRM's question). Any model that weighs two answers will do: a local
one, or one behind an API that lists its likeliest tokens.
"""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceModel, require
from ilf_kedro.prompting import FilledPrompts, PromptTemplate
from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.rows import rows_to_ask
from ilf_kedro.scoring.tables import score_table

SCORER = "classifier"


@scorer(SCORER, takes=("classifier", "prompt.classifier"), asks=Capability.CHOICE_PROBABILITIES)
def classifier_scores(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    model: ChoiceModel,
    template: PromptTemplate,
) -> DataFrame[Scores]:
    """Score each refinement by p₊ / (p₊ + p₋) of the template's two answers, in [0, 1].

    Null is the score of an empty refinement, which is not asked about, and of a request that the model
    refused or answered with neither word in sight.

    Raises:
        MissingCapabilityError: the model cannot say how probable an answer is.
        TemplateError: the template has a slot that is no text of a refinement's row.
    """
    require(model, Capability.CHOICE_PROBABILITIES, user=f"the scorer {SCORER}")
    rows, index = rows_to_ask(examples, refinements)
    choices = (Choice("positive", template.positive), Choice("negative", template.negative))
    replies = model.choice_probabilities(FilledPrompts(rows, template), choices, label=SCORER)
    values = [reply.probability(0) for reply in replies]
    scores = pd.Series(values, index=index, dtype="float64").reindex(refinements.index)
    return score_table(refinements, SCORER, list(scores))
