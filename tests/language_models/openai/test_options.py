"""Options of an API model: where the key comes from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from ilf_kedro.language_models.openai.options import ApiCredentials, ApiKeyMissingError, ApiOptions, Price, find_api_key

REMOTE = {"model": "m", "base_url": "https://api.example.org/v1"}


def key(tmp_path: Path, credentials: str | None = None, **changes: Any) -> str:
    given = ApiCredentials(api_key=SecretStr(credentials)) if credentials else None
    return find_api_key(ApiOptions(**{**REMOTE, **changes}), given, tmp_path / ".env").get_secret_value()


def test_key_comes_from_credentials_then_environment_then_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ApiKeyMissingError, match=r"OPENAI_API_KEY is empty.*conf/local/credentials\.yml"):
        key(tmp_path)
    (tmp_path / ".env").write_text('OPENAI_API_KEY="sk-file"\nOTHER=sk-other\n')
    assert key(tmp_path) == "sk-file"
    assert key(tmp_path, api_key_variable="OTHER") == "sk-other"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment\n")
    assert key(tmp_path) == "sk-environment"
    assert key(tmp_path, "sk-credentials") == "sk-credentials"


def test_a_server_on_this_machine_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert key(tmp_path, base_url="http://localhost:8080/v1")
    assert key(tmp_path, base_url="http://127.0.0.1:8080/v1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_url": "api.example.org"}, "must be an address"),
        ({"base_url": "https://user:secret@api.example.org"}, "must hold no user, password"),
        ({"extra_body": {"n": 3, "seed": 1}}, r"must not hold \['n', 'seed'\]"),
        ({"model": ""}, "at least 1 character"),
        ({"top_log_probabilities": 21}, "less than or equal to 20"),
        ({"api_key": "sk-123"}, "Extra inputs are not permitted"),
        ({"concurrency": 0}, "greater than or equal to 1"),
    ],
)
def test_wrong_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ApiOptions(**{**REMOTE, **changes})


def test_no_model_and_no_server_are_built_in() -> None:
    with pytest.raises(ValidationError, match=r"(?s)model.*base_url"):
        ApiOptions()  # type: ignore[call-arg]


def test_alternatives_by_endpoint() -> None:
    assert ApiOptions(**REMOTE).alternatives == 20
    assert ApiOptions(**REMOTE, endpoint="completions").alternatives == 5
    assert ApiOptions(**REMOTE, top_log_probabilities=0).alternatives == 0


def test_a_key_is_never_shown() -> None:
    credentials = ApiCredentials(api_key=SecretStr("sk-planted"))
    assert "planted" not in f"{credentials!r} {credentials} {credentials.model_dump()} {credentials.model_dump_json()}"
    for wrong in ({"api_kye": "sk-planted"}, {"api_key": ["sk-planted"]}):
        with pytest.raises(ValidationError) as caught:
            ApiCredentials.model_validate(wrong)
        assert "planted" not in str(caught.value)
    for wrong in ({"base_url": "https://user:planted@host"}, {"api_key": "sk-planted"}):
        with pytest.raises(ValidationError) as caught:
            ApiOptions(**{**REMOTE, **wrong})
        assert "planted" not in str(caught.value)


def test_prices_are_not_negative() -> None:
    with pytest.raises(ValidationError):
        Price(input=-1, output=0)
