"""The types of a record's fields: what each must hold is its description, which fault messages quote."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

__all__ = ["Identifier", "Text", "columns_of"]


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


_Writable = Annotated[str, AfterValidator(_refuse_lone_surrogates)]
Text = Annotated[_Writable, AfterValidator(_refuse_blank), Field(description="text that is not empty")]
Identifier = Annotated[Text, AfterValidator(str.strip)]


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
