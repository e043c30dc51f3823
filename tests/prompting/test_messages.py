"""Chat messages there and back, and as a transcript."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.prompting.messages import Message, messages_from_json, messages_to_json, parse_messages, transcript

TURNS = st.lists(st.builds(Message, st.sampled_from(["system", "user", "tool"]), st.text()))


@given(TURNS)
def test_messages_come_back_from_json_as_they_were(messages: list[Message]) -> None:
    assert messages_from_json(messages_to_json(messages)) == tuple(messages)
    assert parse_messages([{"role": each.role, "content": each.content} for each in messages]) == tuple(messages)


def test_a_null_beside_role_and_content_says_nothing() -> None:
    assert parse_messages([{"role": "user", "content": "Hi", "name": None}]) == (Message("user", "Hi"),)


def test_a_transcript_names_who_speaks() -> None:
    turns = (Message("user", "Hi"), Message("assistant", "Hello.\nYes?"), Message("user", "Bye"))
    assert transcript(turns) == "User: Hi\n\nAssistant: Hello.\nYes?\n\nUser: Bye"
