"""Chat messages there and back, and as a transcript."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.prompting import PromptTemplate, fill
from ilf_kedro.prompting.messages import (
    Message,
    conversation_in,
    messages_from_json,
    messages_to_json,
    parse_messages,
    transcript,
    without_oldest,
)

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


def test_a_prompt_shows_a_conversation_as_its_transcript() -> None:
    turns = (Message("user", "Hi"), Message("assistant", "Hello."))
    template = PromptTemplate(text="Say more.\n\n{{ request }}\n\nAnswer:", truncate="request")
    prompt = fill(template, {"example_id": "x", "request": messages_to_json(turns)})
    assert prompt.text == "Say more.\n\nUser: Hi\n\nAssistant: Hello.\n\nAnswer:"


def test_only_what_was_written_as_a_conversation_is_one() -> None:
    assert conversation_in('[{"role": "user", "content": "Hi"}]') == (Message("user", "Hi"),)
    for text in ("", "Hi", '[{"role": "user"}]', '[{"role": "user", "content": "Hi"}', '[{"role": "a", "x": 1}]'):
        assert conversation_in(text) is None
    assert conversation_in('[{"role": "user",  "content": "Hi"}]') is None


TALK = tuple(map(Message, ("system", "user", "assistant", "tool", "user"), "Sabcd"))


def test_a_conversation_that_is_the_whole_prompt_keeps_its_turns() -> None:
    row = {"example_id": "x", "request": messages_to_json(TALK), "hint": ""}
    assert fill(PromptTemplate(text="{{ request }}"), row).chat == TALK
    assert fill(PromptTemplate(text="{{ request }}", truncate="request"), row).chat == TALK
    for text in ("{{ request }}.", "{{ request }}{{ hint }}", "{{ hint }}"):
        assert fill(PromptTemplate(text=text), row).chat == ()


def test_the_oldest_turns_go_but_the_systems_and_none_begins_with_an_answer() -> None:
    assert list(without_oldest(TALK)) == [(TALK[0], TALK[4])]
    assert list(without_oldest(TALK[1:2])) == []
    twice = (TALK[1], TALK[4], TALK[1])
    assert list(without_oldest(twice)) == [twice[1:], twice[2:]]
