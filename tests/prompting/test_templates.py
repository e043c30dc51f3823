"""Templates: fields are found, values are literal, spans are right, and nothing leaves the sandbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ilf_kedro.prompting import Message, PromptTemplate, TemplateError
from ilf_kedro.prompting.messages import transcript

# What Jinja would read, and what the template itself uses to find a place, among all other letters.
TEXT = st.text(st.one_of(st.characters(), st.sampled_from("{%}#\U000f0000\U000f0001")))


@given(title=TEXT, post=TEXT)
def test_values_are_inserted_literally_and_the_span_is_the_post(title: str, post: str) -> None:
    template = PromptTemplate(text="T: {{ title }}\nP: {{ post }}\nTL;DR:", truncate="post")
    prompt = template.render("x", title=title, post=post)
    assert prompt.text == "T: " + title + "\nP: " + post + "\nTL;DR:"
    if not post:
        assert prompt.truncatable is None
        return
    assert prompt.truncatable is not None
    start, end = prompt.truncatable
    assert prompt.text[start:end] == post


@given(TEXT, TEXT, TEXT)
def test_every_part_is_found_where_it_stands(a: str, b: str, c: str) -> None:
    values = {"a": a, "b": b, "c": c}
    text, spans = PromptTemplate(text="<{{ b }}|{{ a }}{{ c }}>").locate(values, ["a", "b", "c"])
    assert text == f"<{b}|{a}{c}>"
    assert {name: text[start:end] for name, (start, end) in spans.items()} == {n: v for n, v in values.items() if v}


def test_a_text_without_a_field_or_with_its_longest_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="the text shows no field"):
        PromptTemplate(text="{title}")
    with pytest.raises(ValidationError, match="only once"):
        PromptTemplate(text="{{ post }} {{ post }}", truncate="post")


def test_templates_test_and_loop_over_the_turns_of_a_conversation() -> None:
    talk = transcript([Message("user", "Hi {{ hint }}"), Message("assistant", "Yes?"), Message("user", "Why?")])
    template = PromptTemplate(
        text="{% for turn in talk.turns %}\n[{{ turn.role }}] {{ turn.content }}\n{% endfor %}\n"
        "{% if hint %}Hint: {{ hint }}{% endif %}"
    )
    assert template.slots == ("talk", "hint")
    expected = "[user] Hi {{ hint }}\n[assistant] Yes?\n[user] Why?\n"
    assert template.render(talk=talk, hint="").text == expected
    assert template.render(talk=talk, hint="ask").text == expected + "Hint: ask"


def test_a_conversations_turns_are_known_where_its_transcript_stands() -> None:
    talk = transcript([Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Why?")])
    prompt = PromptTemplate(text="Go on.\n\n{{ talk }}\n\nAnswer:", truncate="talk").render(talk=talk)
    assert prompt.text == "Go on.\n\nUser: Hi\n\nAssistant: Yes?\n\nUser: Why?\n\nAnswer:"
    assert prompt.truncatable is not None
    ends = [*prompt.turns[1:], prompt.truncatable[1]]
    pieces = [prompt.text[start:end] for start, end in zip(prompt.turns, ends, strict=True)]
    assert pieces == ["User: Hi\n\n", "Assistant: Yes?\n\n", "User: Why?"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\n{{ post.__class__.__mro__ }}", "text, line 2: found .__mro__, expected one of turns, role, content"),
        ("{{ post.format.__globals__ }}", "found .format"),
        ("{{ post['format'] }}", "without a number"),
        ("{{ post[feedback] }}", "without a number"),
        ("{{ post.center(1000000000) }}", "found Call"),
        ("{{ post | center(1000000000) }}", "found the filter center"),
        ("{{ post | map('upper') }}", "found the filter map"),
        ("{{ 'x' * 10 ** 10 }}{{ post }}", "found Mul.*found Pow"),
        ("{% for i in range(1000000000) %}{{ post }}{% endfor %}", "a loop over something else"),
        ("{% for letter in post %}{{ letter }}{% endfor %}", "a loop over something else"),
        ("{% set x = post ~ post %}{{ x }}", "found Assign"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ post }}", "found Macro"),
        ("{% include 'x' %}{{ post }}", "found Include"),
        ("{{ 1 / 0 }}{{ post }}", "found Div"),
    ],
)
def test_what_reaches_out_or_has_no_end_is_refused_when_loaded(text: str, found: str) -> None:
    with pytest.raises(ValidationError, match=found):
        PromptTemplate(text=text)


def test_loops_within_loops_within_loops_are_refused() -> None:
    inner = "{{ a }}"
    for name in "xyz":
        inner = f"{{% for {name} in a.turns %}}{inner}{{% endfor %}}"
    with pytest.raises(ValidationError, match="more than 2 loops"):
        PromptTemplate(text=inner)


@pytest.mark.parametrize("text", ["{{ post.turns }}", "{{ post[0].role }}"])
def test_what_a_field_does_not_have_is_refused_when_filled(text: str) -> None:
    with pytest.raises(TemplateError, match="template cannot be filled"):
        PromptTemplate(text=text).render(post="x")


def test_rendering_needs_every_slot_and_no_other() -> None:
    template = PromptTemplate(text="{{ post }}")
    with pytest.raises(TemplateError, match="expected values for"):
        template.render(post="a", title="b")


def test_any_change_changes_the_hash() -> None:
    one = PromptTemplate(text="{{ post }}")
    assert one.content_hash != PromptTemplate(text="{{ post }} ").content_hash
    assert one.content_hash == PromptTemplate(text="{{ post }}").content_hash


@pytest.mark.parametrize(
    "text", ["{{ a | trim }}", "{% for turn in a.turns %}{{ turn.content }}{% endfor %}", "{{ a[:9] }}"]
)
def test_what_may_be_shortened_is_shown_whole(text: str) -> None:
    with pytest.raises(ValidationError, match="must stand as "):
        PromptTemplate(text=text, truncate="a")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "found neither text nor messages"),
        ({"text": "{{ a }}", "messages": [{"turns": "a"}]}, "found both text and messages"),
        ({"messages": [{"role": "user"}]}, "expected role and content, or turns alone"),
        ({"messages": [{"role": "user", "content": "x", "turns": "a"}]}, "expected role and content, or turns alone"),
        ({"messages": [{"role": "user", "content": "Go on."}]}, "the messages shows no field"),
        ({"messages": [{"role": "user", "content": "{{ a"}]}, r"messages\[0\].content, line 1"),
        ({"messages": [{"role": "user", "content": "{{ a.b }}"}]}, r"messages\[0\].content, line 1: found .b"),
        ({"messages": [{"role": "assistant", "content": "{{ a }}"}]}, "the last of messages is the assistant's"),
        ({"messages": [{"turns": "a"}, {"role": "user", "content": "{{ a }}"}], "truncate": "a"}, "only once"),
        ({"messages": [{"role": "user", "content": "{{ a | trim }}"}], "truncate": "a"}, "must stand as"),
    ],
)
def test_faulty_messages_are_refused_when_loaded(keys: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, TemplateError), match=message):
        PromptTemplate.model_validate(keys)


def test_turns_of_a_text_among_messages_are_refused() -> None:
    template = PromptTemplate.model_validate({"messages": [{"turns": "a"}]})
    with pytest.raises(TemplateError, match="turns: a is a text, expected a conversation"):
        template.render(a="text")
