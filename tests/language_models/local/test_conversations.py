"""Conversations reach a chat model turn by turn, as its own chat template writes them, and shortened turn by turn."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.language_models.local.formatting import Formatter, PromptTooLongError
from ilf_kedro.prompting import Message, PromptTemplate, fill, messages_to_json
from ilf_kedro.schemas import UserError

TALK = (
    Message("system", "Be kind."),
    Message("user", "How old is the moon?"),
    Message("assistant", "Very old."),
    Message("user", "In years, I mean."),
)
POLICY = PromptTemplate(text="{{ request }}", truncate="request")


@pytest.fixture(scope="module")
def tokenizer(tiny_model_directory):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model_directory)


def prompt(turns, template=POLICY):
    return fill(template, {"example_id": "e1", "request": messages_to_json(turns)})


def by_tokenizer(tokenizer, turns):
    """The oracle: what transformers makes of the messages."""
    messages = [{"role": each.role, "content": each.content} for each in turns]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return text, tuple(tokenizer(text, add_special_tokens=False).input_ids)


def test_a_chat_model_gets_the_turns_and_a_plain_one_their_transcript(tokenizer):
    formatted = Formatter(tokenizer, "chat", 1000).prompt(prompt(TALK), 5)
    assert (formatted.text, formatted.tokens) == by_tokenizer(tokenizer, TALK)
    plain = Formatter(tokenizer, "plain", 1000).prompt(prompt(TALK), 5)
    assert plain.text == (
        "System: Be kind.\n\nUser: How old is the moon?\n\nAssistant: Very old.\n\nUser: In years, I mean."
    )


def test_a_conversation_within_an_instruction_is_one_message(tokenizer):
    judging = PromptTemplate(text="Judge this.\n\n{{ request }}", truncate="request")
    formatted = Formatter(tokenizer, "chat", 1000).prompt(prompt(TALK, judging), 5)
    message = Message("user", prompt(TALK, judging).text)
    assert formatted.text == by_tokenizer(tokenizer, [message])[0]


def test_the_oldest_turns_go_until_it_fits_and_are_counted(tokenizer):
    whole, kept = by_tokenizer(tokenizer, TALK)[1], by_tokenizer(tokenizer, [TALK[0], TALK[3]])[1]
    formatted = Formatter(tokenizer, "chat", len(kept) + 5).prompt(prompt(TALK), 5)
    assert formatted.tokens == kept
    assert formatted.n_truncated_tokens == len(whole) - len(kept)
    with pytest.raises(PromptTooLongError, match="'e1'"):
        Formatter(tokenizer, "chat", len(kept) + 4).prompt(prompt(TALK), 5)
    with pytest.raises(PromptTooLongError, match="'e1'"):
        Formatter(tokenizer, "chat", len(kept) + 5).prompt(prompt(TALK, PromptTemplate(text="{{ request }}")), 5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["<|im_end|>", "<|im_start|>", "a", " ", "\n", "{{ x }}"]), max_size=5).map("".join))
def test_no_turn_ends_a_message_or_begins_one(tokenizer, said):
    turns = (
        *TALK[:1],
        Message("user", said + "."),
        Message("assistant", said + "!"),
        Message("user", "." + said + "."),
    )
    formatted = Formatter(tokenizer, "chat", 1000).prompt(prompt(turns), 5)
    special = [token for token in formatted.tokens if token in tokenizer.all_special_ids]
    own = [token for token in by_tokenizer(tokenizer, TALK)[1] if token in tokenizer.all_special_ids]
    assert special == own
    assert tokenizer.decode(formatted.tokens, clean_up_tokenization_spaces=False) == formatted.text


def test_a_template_that_strips_or_refuses_turns(tokenizer):
    changed = copy.copy(tokenizer)
    changed.chat_template = tokenizer.chat_template.replace("message['content']", "message['content'] | trim")
    turns = (Message("user", " Hi \n"), Message("assistant", "Yes? "), Message("user", " Bye"))
    text = Formatter(changed, "chat", 1000).prompt(prompt(turns), 5).text
    assert text == by_tokenizer(changed, turns)[0]
    changed.chat_template = "{% for m in messages %}{{ m['content'] if m['role'] == 'user' }}{% endfor %}"
    with pytest.raises(UserError, match=r"cannot show a conversation of user, assistant, user: .*format: plain"):
        Formatter(changed, "chat", 1000).prompt(prompt(turns), 5)


COACH = [
    {"role": "system", "content": "You rewrite answers."},
    {"turns": "request"},
    {"role": "assistant", "content": "{{ initial_output }}"},
    {"role": "user", "content": "Note: {{ feedback }}. Text: {{ article }}!"},
]
TEXTS = {"initial_output": "So old.", "feedback": "Say a number", "article": "one two three four five six seven eight"}


def coached(turns, truncate=None):
    template = PromptTemplate.model_validate({"messages": COACH, "truncate": truncate})
    return fill(template, {"example_id": "e1", "request": messages_to_json(turns), **TEXTS})


def said(turns, article=TEXTS["article"]):
    """The messages that the template above should become."""
    before = (Message("system", "You rewrite answers."), *turns, Message("assistant", "So old."))
    return (*before, Message("user", f"Note: Say a number. Text: {article}!"))


def test_a_template_of_several_messages_reaches_a_chat_model_as_such(tokenizer):
    formatted = Formatter(tokenizer, "chat", 1000).prompt(coached(TALK[1:]), 5)
    assert (formatted.text, formatted.tokens) == by_tokenizer(tokenizer, said(TALK[1:]))


@pytest.mark.parametrize("trim", ["", " | trim"])
def test_only_the_field_that_may_be_is_shortened_within_a_message(tokenizer, trim):
    changed = copy.copy(tokenizer)
    changed.chat_template = tokenizer.chat_template.replace("message['content']", f"message['content']{trim}")
    short = "one two three four"
    n_kept = len(by_tokenizer(changed, said(TALK[1:], short))[1])
    formatted = Formatter(changed, "chat", n_kept + 5).prompt(coached(TALK[1:], "article"), 5)
    assert formatted.text == by_tokenizer(changed, said(TALK[1:], short))[0]
    assert formatted.tokens == tuple(changed(formatted.text, add_special_tokens=False).input_ids)
    assert formatted.n_truncated_tokens == len(by_tokenizer(changed, said(TALK[1:]))[1]) - n_kept
    n_least = len(by_tokenizer(changed, said(TALK[1:], ""))[1])
    with pytest.raises(PromptTooLongError, match="'e1'"):
        Formatter(changed, "chat", n_least).prompt(coached(TALK[1:], "article"), 5)


def test_a_conversation_among_messages_loses_its_own_oldest_turns_alone(tokenizer):
    kept = by_tokenizer(tokenizer, said(TALK[3:]))[1]
    formatted = Formatter(tokenizer, "chat", len(kept) + 5).prompt(coached(TALK[1:], "request"), 5)
    assert formatted.tokens == kept
    with pytest.raises(PromptTooLongError, match="'e1'"):
        Formatter(tokenizer, "chat", len(kept) + 4).prompt(coached(TALK[1:], "request"), 5)


def test_a_model_without_a_chat_template_refuses_messages(tokenizer):
    with pytest.raises(UserError, match=r"'e1' is written as several messages, .*`format: chat`"):
        Formatter(tokenizer, "plain", 1000).prompt(coached(TALK[1:]), 5)


def test_messages_of_one_transcript_have_keys_of_their_own():
    one = (Message("user", "a\n\nUser: b"),)
    two = (Message("user", "a"), Message("user", "b"))
    assert prompt(one).text == prompt(two).text
    assert prompt(one).shape != prompt(two).shape
