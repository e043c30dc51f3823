"""What a task is: its columns, its words, and what the data have for it."""

from ilf_kedro.tasks.annotators import without_annotators
from ilf_kedro.tasks.left_out import left_out
from ilf_kedro.tasks.mapping import Mapped, map_rows
from ilf_kedro.tasks.offer import Offer
from ilf_kedro.tasks.options import (
    Columns,
    ComparisonColumns,
    ComparisonFiles,
    InputField,
    NearDuplicates,
    Output,
    Shares,
    Task,
    Words,
    plain_task,
)
from ilf_kedro.tasks.rows import Comparison, Example, Preference, Subject
from ilf_kedro.tasks.splits import Divided, divide
from ilf_kedro.tasks.tables import Field, comparisons_table, examples_table, fields_of

__all__ = [
    "Columns",
    "Comparison",
    "ComparisonColumns",
    "ComparisonFiles",
    "Divided",
    "Example",
    "Field",
    "InputField",
    "Mapped",
    "NearDuplicates",
    "Offer",
    "Output",
    "Preference",
    "Shares",
    "Subject",
    "Task",
    "Words",
    "comparisons_table",
    "divide",
    "examples_table",
    "fields_of",
    "left_out",
    "map_rows",
    "plain_task",
    "without_annotators",
]
