"""Which refinements a scorer asks about, and the texts that its prompts are filled with."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.schemas import DataFrame, Examples, Refinements, text_or_empty

__all__ = ["PromptRow", "rows_to_ask"]

PromptRow = dict[str, str]  # what prompts may show, and example_id


def rows_to_ask(
    examples: DataFrame[Examples], refinements: DataFrame[Refinements], *needed: str
) -> tuple[list[PromptRow], pd.Index]:
    """Return the texts of those refinements that can be asked about, and where they stand in `refinements`.

    Left out are empty refinements, and those of examples that are not there or lack a `needed` text: their scores
    are undefined. Nulls are empty texts.
    """
    columns = [*Examples.input_names(examples), "initial_output", "feedback", "reference"]
    refined = refinements[["example_id", "text"]].rename(columns={"text": "refinement"})
    texts = refined.merge(
        examples[["example_id", *columns]], on="example_id", how="left", validate="many_to_one", indicator="_found"
    ).set_axis(refinements.index)
    texts[columns] = texts[columns].map(text_or_empty)
    found = texts.pop("_found") == "both"
    asked = found & (texts[["refinement", *needed]].map(str.strip) != "").all(axis=1)
    rows = [{str(name): text for name, text in row.items()} for row in texts[asked].to_dict("records")]
    return rows, refinements.index[asked]
