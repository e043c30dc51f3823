"""Which refinements a scorer asks about, and the texts that its prompts are filled with."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.schemas import DataFrame, Examples, Refinements, text_or_empty

__all__ = ["Row", "render", "rows_to_ask"]

Row = dict[str, str]  # the slots of prompts, and example_id


def rows_to_ask(
    examples: DataFrame[Examples], refinements: DataFrame[Refinements], *needed: str
) -> tuple[list[Row], pd.Index]:
    """Return the texts of those refinements that can be asked about, and where they stand in `refinements`.

    Left out are empty refinements, and those of examples that lack the post or a `needed` text: their scores
    are undefined. Null titles are empty texts.
    """
    columns = ["title", "post", "initial_output", "feedback"]
    texts = refinements[["example_id", "text"]].merge(
        examples[["example_id", *columns]], on="example_id", how="left", validate="many_to_one"
    )
    texts = texts.rename(columns={"text": "refinement"}).set_axis(refinements.index)
    texts[columns] = texts[columns].map(text_or_empty)
    asked = (texts[["refinement", "post", *needed]].map(str.strip) != "").all(axis=1)
    rows = [{str(name): text for name, text in row.items()} for row in texts[asked].to_dict("records")]
    return rows, refinements.index[asked]


def render(template: PromptTemplate, row: Row) -> Prompt:
    """Fill the slots that the template has with the texts of a row.

    Raises:
        TemplateError: the template has a slot that no row fills.
    """
    return template.render(row["example_id"], **{slot: row[slot] for slot in template.slots if slot in row})
