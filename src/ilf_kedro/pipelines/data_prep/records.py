"""One row of an SLF5K-shaped file: which columns it may have, and what each must hold.

The model's field names are the project's words, their aliases the columns of the file. A field's
description is what a fault message says was expected.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

__all__ = ["COLUMNS", "Identifier", "Record", "Text", "columns_of"]


def _is_blank(text: str) -> bool:
    """Tell whether nothing in the text can be seen: white space and zero-width characters only."""
    return not any(character.isprintable() and not character.isspace() for character in text)


def _refuse_blank(text: str) -> str:
    if _is_blank(text):
        raise PydanticCustomError("blank", "nothing that can be seen")
    return text


def _refuse_lone_surrogates(text: str) -> str:
    """Refuse half an emoji (half a surrogate pair), which JSON can spell but no file can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PydanticCustomError("lone_surrogate", "half a surrogate pair") from error
    return text


def _blank_to_null(value: object) -> object:
    """An optional text that says nothing is a missing one."""
    return None if isinstance(value, str) and _is_blank(value) else value


_Writable = Annotated[str, AfterValidator(_refuse_lone_surrogates)]
Text = Annotated[_Writable, AfterValidator(_refuse_blank), Field(description="text that is not empty")]
Identifier = Annotated[Text, AfterValidator(str.strip)]
_OptionalText = Annotated[_Writable | None, BeforeValidator(_blank_to_null), Field(description="text or null")]
_Seconds = Annotated[float | None, Field(ge=0, description="a number of seconds, 0 or more, or null")]


class Record(BaseModel):
    """A validated row (SLF5K's data card). Only id and post are required; what is missing is null.

    Types are strict: 7 is no text, "7" no number. Blank optional texts become null; blanks around an id go.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    example_id: Identifier = Field(alias="id")
    post: Text
    subreddit: _OptionalText = None
    title: _OptionalText = None
    tldr_reference: _OptionalText = Field(default=None, alias="tldr_human_reference_summary")
    summary_prompt: _OptionalText = None
    reference: _OptionalText = Field(default=None, alias="ideal_human_summary")
    initial_output: _OptionalText = Field(default=None, alias="generated_summary_for_feedback")
    feedback: _OptionalText = None
    feedback_class: _OptionalText = None
    has_additional_feedback: bool | None = Field(default=None, description="true, false or null")
    output_a: _OptionalText = Field(default=None, alias="generated_summary_for_comparison_A")
    output_b: _OptionalText = Field(default=None, alias="generated_summary_for_comparison_B")
    preference: Literal["Summary A", "Summary B"] | None = Field(
        default=None, alias="comparison_preference", description='"Summary A", "Summary B" or null'
    )
    seconds_feedback: _Seconds = Field(default=None, alias="time_spent_in_seconds_feedback")
    seconds_reference: _Seconds = Field(default=None, alias="time_spent_in_seconds_ideal_human_summary")
    seconds_comparison: _Seconds = Field(default=None, alias="time_spent_in_seconds_comparison")

    @field_validator("preference")
    @classmethod
    def _check_outputs(cls, preference: str | None, info: ValidationInfo) -> str | None:
        """Refuse a preference between outputs that are not both there (a broken one is its own fault)."""
        missing = [letter for letter in "AB" if info.data.get(f"output_{letter.lower()}", "broken") is None]
        if preference is not None and missing:
            columns = " and ".join(f"generated_summary_for_comparison_{letter}" for letter in missing)
            wanted = {"columns": columns, "wanted": "both outputs, or a preference of null"}
            raise PydanticCustomError("contradiction", "a preference, but no {columns}", wanted)
        return preference

    @property
    def preferred(self) -> Literal["a", "b"] | None:
        """Which of the two outputs people preferred; null where nobody compared them."""
        if self.preference is None:
            return None
        return "a" if self.preference == "Summary A" else "b"


def columns_of(record_type: type[BaseModel]) -> dict[str, str]:
    """Return every column that a file may have, with what it must hold; those within a list as rows[].column."""
    columns = {}
    for name, field in record_type.model_fields.items():
        column = field.alias or name
        columns[column] = field.description or ""
        for inner in get_args(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                columns |= {f"{column}[].{key}": expected for key, expected in columns_of(inner).items()}
    return columns


COLUMNS = columns_of(Record)
"""Every column that a file of SLF5K's shape may have, with what it must hold."""
