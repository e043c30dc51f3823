"""Feedback by a function of the user's own, in place of people: a rule, a program, or a simulated annotator."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.pipelines.rounds.options import AnnotatorOptions
from ilf_kedro.schemas import UserError
from ilf_kedro.schemas.functions import find_function
from ilf_kedro.tasks import Task, fields_of
from ilf_kedro.verifiers import Row

__all__ = ["annotate"]


def annotate(table: pd.DataFrame, options: AnnotatorOptions, task: Task) -> pd.Series[str]:
    """Return what the function says about each row's initial output.

    It sees the inputs and the kept columns, and neither the data's feedback nor the reference.

    Raises:
        UserError: there is no such function, it raises, or what it returns is no text.
    """
    function = find_function(options.callable, where="rounds.annotator.callable")
    hidden = {"feedback": None, "reference": None}
    texts = []
    for row in table.to_dict("records"):
        fields = {**fields_of(task, {str(name): value for name, value in row.items()}), **hidden}
        output = str(row["initial_output"])
        try:
            text = function(Row(output, output, fields), **options.arguments)
        except Exception as error:  # the user's function may raise anything, which the message says
            raise UserError(
                f"rounds.annotator: {options.callable} raised {type(error).__name__} ({error}) for the example "
                f"{row['example_id']!r}; mend it, or its arguments"
            ) from error
        if not isinstance(text, str):
            raise UserError(
                f"rounds.annotator: {options.callable} returned a {type(text).__name__} for the example "
                f"{row['example_id']!r}, expected text"
            )
        texts.append(text.strip())
    return pd.Series(texts, index=table.index, dtype=object)
