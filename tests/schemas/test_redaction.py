"""What must not leave the machine: secrets, and where the user's files lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.schemas.redaction import MASK, redact, redact_values, show_masked


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("api_key=abc123", f"api_key={MASK}"),  # pragma: allowlist secret
        ("OPENAI_API_KEY: 'abc123'", f"OPENAI_API_KEY: '{MASK}'"),  # pragma: allowlist secret
        ('{"password": "abc"}', f'{{"password": "{MASK}"}}'),  # pragma: allowlist secret
        ("s3://user:pass@host/x", f"s3://{MASK}@host/x"),  # pragma: allowlist secret
        ("AKIAABCDEFGHIJKLMNOP", MASK),  # pragma: allowlist secret
        ("max_new_tokens=48, max_tokens: 10, n_tokens=3", "max_new_tokens=48, max_tokens: 10, n_tokens=3"),
        ("a risk-averse mask-like task-oriented text", "a risk-averse mask-like task-oriented text"),
    ],
)
def test_secrets_are_masked_and_settings_are_not(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_values_are_masked_by_their_keys() -> None:
    values = {"api_key": "x", "token": "y", "max_new_tokens": 48, "secret": None, "list": [{"password": 1}], "n": 1.5}
    assert redact_values(values) == {
        "api_key": MASK,
        "token": MASK,
        "max_new_tokens": 48,
        "secret": None,
        "list": [{"password": MASK}],
        "n": 1.5,
    }


@given(st.text(alphabet="abcdefghijklmnop ./:=_-1234567890", max_size=60))
def test_redaction_settles_at_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("in /home/some/x and /home/some.", "in ~/x and ~."),
        ("file:///home/some/x", "file://~/x"),
        ("/home/some/one/data/a.json", "data/a.json"),
        ("'/home/some/one'", "'.'"),
        ("/home/somebody/x, /home/some-one, /mnt/home/some/x", "/home/somebody/x, /home/some-one, /mnt/home/some/x"),
        ("/home/some/one2/x", "~/one2/x"),
    ],
)
def test_folders_are_shortened_where_a_path_begins_with_them(
    text: str, redacted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/some")
    assert redact(text, Path("/home/some/one")) == redacted


def test_whose_home_is_the_root_or_nowhere_keeps_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a/b of /c/d"
    monkeypatch.setenv("HOME", "/")
    assert redact(text, Path("/")) == text

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("--params refinement.api_token=abc", f"--params refinement.api_token={MASK}"),
        ("selection.verifier.arguments.auth=abc", f"selection.verifier.arguments.auth={MASK}"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {MASK}"),
        ("slack_token=abc, private-key: abc", f"slack_token={MASK}, private-key: {MASK}"),
        ("pad_token=</s>, nats_per_token: 0.3, first_token=a", "pad_token=</s>, nats_per_token: 0.3, first_token=a"),
        ("author=a, authored: 1, keys=2, key: b", "author=a, authored: 1, keys=2, key: b"),
    ],
)
def test_a_secret_is_told_by_the_words_of_its_name(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_a_secret_that_was_pasted_in_place_of_a_key_is_masked() -> None:
    assert redact_values({"sk-0123456789abcdef": {"auth": "x"}}) == {MASK: {"auth": MASK}}


def test_a_wrong_value_is_shown_short_and_without_secrets() -> None:
    assert show_masked("auth", "hunter2") == repr(MASK)
    assert show_masked("seed", {"a": {"api_token": "hunter2"}}) == repr({"a": {"api_token": MASK}})
    assert show_masked("", "sk-0123456789abcdef") == repr(MASK)
    assert show_masked("seed", 3) == "3"
    assert len(show_masked("seed", "x" * 500)) < 100
