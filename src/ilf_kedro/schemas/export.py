"""The records that are written for other programs, one line of JSON each; docs/exports.md has the formats."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table


def _are_messages(value: object) -> bool:
    """Tell whether a cell is a conversation with a user that an assistant's answer ends, and nothing else."""
    if not isinstance(value, list) or not all(isinstance(message, Mapping) for message in value):
        return False
    roles = [message.get("role") for message in value]
    texts = [message.get("content") for message in value]
    return (
        roles[-1:] == ["assistant"]
        and "user" in roles
        and all(set(message) == {"role", "content"} for message in value)
        and all(isinstance(text, str) and text for text in texts)
    )


class SupervisedRecords(Table):
    """A prompt and the completion to imitate, which begins with the blank before its first word."""

    example_id: Series[str]
    prompt: Series[str] = pa.Field(str_length={"min_value": 1})
    completion: Series[str] = pa.Field(str_matches=r"(?s)^ .+")


class _Messages(Table):
    """What has messages: the user's, then the assistant's."""

    messages: Series[object]

    @pa.check("messages", name="a user's and an assistant's message")
    @classmethod
    def _check_messages(cls, messages: pd.Series) -> pd.Series:
        return messages.map(_are_messages).astype(bool)


class ChatRecords(_Messages):
    """A supervised record as a conversation."""

    example_id: Series[str]


class OpenAIChatRecords(_Messages):
    """A conversation and nothing else: OpenAI's fine-tuning API refuses further keys."""


class PreferenceRecords(Table):
    """Two completions of one prompt, the better one first; never the same."""

    example_id: Series[str]
    prompt: Series[str] = pa.Field(str_length={"min_value": 1})
    chosen: Series[str] = pa.Field(str_matches=r"(?s)^ .+")
    rejected: Series[str] = pa.Field(str_matches=r"(?s)^ .+")

    @pa.dataframe_check(name="chosen differs from rejected")
    @classmethod
    def _check_difference(cls, table: pd.DataFrame) -> pd.Series:
        return table["chosen"] != table["rejected"]


class ImplicitPreferenceRecords(Table):
    """Two whole texts, each with the prompt in it, the better one first; never the same."""

    example_id: Series[str]
    chosen: Series[str] = pa.Field(str_length={"min_value": 1})
    rejected: Series[str] = pa.Field(str_length={"min_value": 1})

    @pa.dataframe_check(name="chosen differs from rejected")
    @classmethod
    def _check_difference(cls, table: pd.DataFrame) -> pd.Series:
        return table["chosen"] != table["rejected"]


class PrivilegedRecords(Table):
    """A prompt for a student, what only its teacher sees besides, and both together."""

    example_id: Series[str] = pa.Field(unique=True)
    prompt: Series[str] = pa.Field(str_length={"min_value": 1})
    privileged_context: Series[str] = pa.Field(str_length={"min_value": 1})
    teacher_prompt: Series[str] = pa.Field(str_length={"min_value": 1})
