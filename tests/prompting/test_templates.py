"""Templates: slots are checked, values are literal, and the post's span is right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ilf_kedro.prompting import PromptTemplate, TemplateError


@given(title=st.text(), post=st.text())
def test_values_are_inserted_literally_and_the_span_is_the_post(title: str, post: str) -> None:
    template = PromptTemplate(text="T: {title}\nP: {post}\nTL;DR:", slots=("title", "post"), truncate="post")
    prompt = template.render("x", title=title, post=post)
    assert prompt.text == "T: " + title + "\nP: " + post + "\nTL;DR:"
    assert prompt.truncatable is not None
    start, end = prompt.truncatable
    assert prompt.text[start:end] == post


def test_slots_must_agree_with_the_text() -> None:
    with pytest.raises(ValidationError, match="lacks the declared slots"):
        PromptTemplate(text="{title}", slots=("title", "post"))
    with pytest.raises(ValidationError, match="undeclared slots"):
        PromptTemplate(text="{title} {post}", slots=("title",))
    with pytest.raises(ValidationError, match="only once"):
        PromptTemplate(text="{post} {post}", slots=("post",), truncate="post")


def test_rendering_needs_every_slot_and_no_other() -> None:
    template = PromptTemplate(text="{post}", slots=("post",))
    with pytest.raises(TemplateError, match="expected values for"):
        template.render(post="a", title="b")


def test_any_change_changes_the_hash() -> None:
    one = PromptTemplate(text="{post}", slots=("post",))
    assert one.content_hash != PromptTemplate(text="{post} ", slots=("post",)).content_hash
    assert one.content_hash == PromptTemplate(text="{post}", slots=("post",)).content_hash
