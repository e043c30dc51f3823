"""What a task is: the parameters under `task`, one file of YAML for each task (docs/own_task.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ilf_kedro.schemas import SPLITS, Options, Split

__all__ = [
    "RESERVED",
    "Columns",
    "ComparisonColumns",
    "ComparisonFiles",
    "Expression",
    "InputField",
    "NearDuplicates",
    "Output",
    "Shares",
    "Task",
    "Words",
    "plain_task",
]

RESERVED = frozenset(
    {"example_id", "input_id", "split", "position", "sample_index", "annotator", "group", "other", "item", "words"}
    | {"initial_output", "feedback", "reference", "refinement", "output", "output_a", "output_b", "text", "raw_text"}
    | {"chosen", "rejected", "preferred", "inputs"}
)
"""The project's own words, which no input may have for a name."""

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FUNCTION = re.compile(r"(?:[\w.]+|.+\.py):[^\W\d]\w*")


def _refuse_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a column's name or a JMESPath expression")
    return text


Expression = Annotated[str, AfterValidator(_refuse_blank)]
"""A column's name, or a JMESPath expression over the row; a name that some row has as a column wins."""

_Cell = bool | int | float | str


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


_Cells = Annotated[tuple[_Cell, ...], BeforeValidator(_listed)]


class Words(Options):
    """What an input and an output of the task are called, in prompts, reports and messages."""

    input: str = "input"
    output: str = "output"
    inputs: str | None = Field(default=None, description="the plural, where it is not formed by rule")
    outputs: str | None = Field(default=None, description="the plural, where it is not formed by rule")

    @property
    def plural_inputs(self) -> str:
        """Return what several inputs are called."""
        return self.inputs or _plural(self.input)

    @property
    def plural_outputs(self) -> str:
        """Return what several outputs are called."""
        return self.outputs or _plural(self.output)


class InputField(Options):
    """One input: where it stands in a row, and what may be done with it.

    `kind: messages` is a list of {role, content}. An input that is not `shown` stays out of prompts, but verifiers
    see it. `truncate` lets it be shortened where a prompt exceeds the model's context (messages lose their oldest
    turns first). An `optional` one may be missing.
    """

    column: Expression
    kind: Literal["text", "messages"] = "text"
    shown: bool = True
    truncate: bool = False
    optional: bool = False


class ComparisonColumns(Options):
    """Two outputs for one input, and which people preferred.

    `values` says what stands for each in the column `preferred`, and what for a tie, which is left out. Without
    `preferred`, `a` is always the preferred one, and the places in which the two are shown are drawn by identifier.
    """

    a: Expression
    b: Expression
    preferred: Expression | None = None
    values: Mapping[Literal["a", "b", "tie"], _Cells] = Field(default={"a": ("a",), "b": ("b",)})

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        cells = [(type(cell), cell) for side in self.values.values() for cell in side]
        if not {"a", "b"} <= set(self.values):
            raise ValueError("values: expected both a and b, what each is called in the column `preferred`")
        if len(set(cells)) < len(cells):
            raise ValueError("values: one of them stands for two sides")
        return self


class Columns(Options):
    """The project's words: where each stands in a row; what is null the data do not have."""

    example_id: Expression | None = Field(default=None, description="left out: a hash of the inputs")
    initial_output: Expression | None = None
    feedback: Expression | None = None
    reference: Expression | None = None
    annotator: Expression | None = None
    group: Expression | None = None
    comparison: ComparisonColumns | None = None


class ComparisonFiles(ComparisonColumns):
    """Comparisons in files of their own: where the task's inputs and the two outputs stand in their rows."""

    inputs: Mapping[str, Expression]
    example_id: Expression | None = None
    annotator: Expression | None = None
    group: Expression | None = None
    explode: Expression | None = None


class Shares(Options):
    """The share of the inputs that each split gets; with `by: group`, in proportion within each group."""

    train: float = Field(gt=0, le=1)
    development: float = Field(default=0, ge=0, lt=1)
    validation: float = Field(default=0, ge=0, lt=1)
    test: float = Field(default=0, ge=0, lt=1)
    by: Literal["group"] | None = None

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if abs(sum(self.of_splits.values()) - 1) > 1e-6:  # decimal fractions are not exact
            raise ValueError(f"the shares sum to {sum(self.of_splits.values()):g}, expected 1")
        return self

    @property
    def of_splits(self) -> dict[Split, float]:
        """Return the shares by split, in the splits' order."""
        return {
            "train": self.train,
            "development": self.development,
            "validation": self.validation,
            "test": self.test,
        }


class NearDuplicates(Options):
    """How alike two inputs of different splits may be: the Jaccard similarity of their runs of words, in [0, 1].

    Pairs from `report` on are listed, from `refuse` on they stop the run; null refuses none.
    """

    report: float = Field(default=0.6, ge=0.3, le=1)
    refuse: float | None = Field(default=0.9, ge=0.3, le=1)


class Output(Options):
    """What models write: how it is cleaned, and by what models are measured on the test inputs.

    `clean` is sentences (the paper's post-processing), verbatim, code, or a function of a text that returns a text,
    as package.module:function or path/to/file.py:function.
    """

    clean: str = "sentences"
    metrics: tuple[Literal["verifier", "rouge", "length"], ...] = ("rouge", "length")

    @model_validator(mode="after")
    def _check_clean(self) -> Self:
        if self.clean not in ("sentences", "verbatim", "code") and not _FUNCTION.fullmatch(self.clean):
            raise ValueError(
                f"clean: found {self.clean!r}, expected sentences, verbatim, code, or a function of yours as "
                "package.module:function or path/to/file.py:function"
            )
        return self


def _short_form(value: object) -> object:
    """Take `problem: prompt` for `problem: {column: prompt}`."""
    if isinstance(value, Mapping):
        return {name: {"column": each} if isinstance(each, str) else each for name, each in value.items()}
    return value


class Task(Options):
    """A task: what its rows hold, what its outputs are, and what to call them."""

    name: str
    words: Words = Words()
    inputs: Annotated[Mapping[str, InputField], BeforeValidator(_short_form)] = Field(min_length=1)
    columns: Columns = Columns()
    explode: Expression | None = Field(default=None, description="a list: one example per member, seen as `item`")
    other_columns: Literal["keep", "refuse"] = "keep"
    comparisons: ComparisonFiles | None = None
    rankings: bool = Field(default=False, description="people ranked outputs of the development split")
    seconds: Mapping[str, str] = Field(default={}, description="kept columns with the seconds that people spent")
    splits: Literal["given"] | tuple[Split, ...] | Shares = "given"
    near_duplicates: NearDuplicates = NearDuplicates()
    output: Output = Output()

    @model_validator(mode="before")
    @classmethod
    def _name_the_fault_of_splits(cls, values: Any) -> Any:
        """Let a mapping be shares and nothing else, so that a fault in them is not one of two alternatives."""
        if isinstance(values, Mapping) and isinstance(values.get("splits"), Mapping):
            return {**values, "splits": Shares.model_validate(values["splits"])}
        return values

    @model_validator(mode="after")
    def _check_inputs(self) -> Self:
        faults = [
            f"inputs.{name}: a name of small letters, digits and underscores is expected"
            for name in self.inputs
            if not _FIELD_NAME.fullmatch(name)
        ]
        faults += [f"inputs.{name}: {name!r} is one of the project's words" for name in self.inputs if name in RESERVED]
        shortened = [name for name, field in self.inputs.items() if field.truncate]
        if len(shortened) > 1:
            faults.append(f"inputs: {', '.join(shortened)} have truncate; at most one may")
        if not self.shown_inputs:
            faults.append("inputs: none is shown to the model; at least one must be")
        if faults_of_hidden := [name for name in shortened if not self.inputs[name].shown]:
            faults.append(f"inputs.{faults_of_hidden[0]}: what is not shown cannot be truncated")
        if self.comparisons is not None:
            needed = [name for name, field in self.shown_inputs.items() if not field.optional]
            missing = [name for name in needed if name not in self.comparisons.inputs]
            unknown = [name for name in self.comparisons.inputs if name not in self.inputs]
            faults += [f"comparisons.inputs.{name}: missing; say where it stands in their rows" for name in missing]
            faults += [f"comparisons.inputs.{name}: no input of the task" for name in unknown]
        if self.comparisons is not None and self.columns.comparison is not None:
            faults.append("comparisons: they have files of their own, so columns.comparison must be null")
        if isinstance(self.splits, tuple) and "train" not in self.splits:
            faults.append(f"splits: found {', '.join(self.splits) or 'none'}; expected train among them")
        if isinstance(self.splits, Shares) and self.splits.by == "group" and self.columns.group is None:
            faults.append("splits.by: group needs columns.group")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def has_comparisons(self) -> bool:
        """Tell whether the data say which of two outputs people preferred."""
        return self.columns.comparison is not None or self.comparisons is not None

    @property
    def has_feedback(self) -> bool:
        """Tell whether the data have feedback on outputs."""
        return self.columns.feedback is not None

    @property
    def has_initial_outputs(self) -> bool:
        """Tell whether the data have the outputs that feedback is on."""
        return self.columns.initial_output is not None

    @property
    def has_references(self) -> bool:
        """Tell whether the data have outputs that people wrote."""
        return self.columns.reference is not None

    @property
    def has_test(self) -> bool:
        """Tell whether there is a test split."""
        return self.splits.test > 0 if isinstance(self.splits, Shares) else "test" in self.given_splits

    @property
    def given_splits(self) -> tuple[Split, ...]:
        """Return the splits that have a source of their own; none where one source is split by shares."""
        if isinstance(self.splits, Shares):
            return ()
        return SPLITS if self.splits == "given" else tuple(split for split in SPLITS if split in self.splits)

    @property
    def shown_inputs(self) -> dict[str, InputField]:
        """Return the inputs that prompts may show."""
        return {name: field for name, field in self.inputs.items() if field.shown}

    @property
    def truncatable_input(self) -> str | None:
        """Return the input that may be shortened, if there is one."""
        return next((name for name, field in self.inputs.items() if field.truncate), None)

    @property
    def identifying_inputs(self) -> tuple[str, ...]:
        """Return the inputs by which two rows have the same input: the one that may be shortened, else all shown."""
        return (self.truncatable_input,) if self.truncatable_input else tuple(self.shown_inputs)


def plain_task() -> Task:
    """Return the task of data whose columns are the project's own words, with one input called input."""
    comparison = ComparisonColumns(a="output_a", b="output_b", preferred="preferred")
    columns = Columns(
        example_id="example_id",
        initial_output="initial_output",
        feedback="feedback",
        reference="reference",
        comparison=comparison,
    )
    return Task(name="Outputs", inputs={"input": InputField(column="input", truncate=True)}, columns=columns)


def _plural(word: str) -> str:
    """Form a plural by the rules of English that most nouns follow."""
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(s|x|z|ch|sh)$", word) else f"{word}s"
