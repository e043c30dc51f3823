"""What must not leave the machine in a record or a message: secrets, and where the user's files lie."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["MASK", "redact", "redact_values"]

MASK = "***"

# Keys whose value is a secret: "api_key", "auth_token" and a bare "token" are, "max_new_tokens" is not.
_MASKED_NAMES = (
    r"[\w.-]*(?:(?:api|access|private)_?keys?|passw(?:or)?ds?|passphrase|secrets?|credentials?"
    r"|(?:auth|access|session|hf)_?tokens?|(?<![\w.-])token)"
)
_SECRET_KEY = re.compile(rf"(?i)^{_MASKED_NAMES}$")
_ASSIGNED_SECRET = re.compile(rf"(?i)(\b{_MASKED_NAMES}[\"']?\s*[=:]\s*[\"']?)([^\s,;\"'&}}]+)")

# Values that are recognised as secrets wherever they stand.
_SECRET_VALUES = (
    re.compile(r"\bsk-[\w-]{8,}"),  # OpenAI and others
    re.compile(r"\bhf_\w{16,}"),  # Hugging Face
    re.compile(r"\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"),  # AWS
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),  # user:password@host
)


def redact(text: str, project: Path | None = None) -> str:
    """Return the text with secrets masked, paths below `project` made relative, and the home as "~"."""
    for pattern in _SECRET_VALUES:
        text = pattern.sub(MASK, text)
    text = _ASSIGNED_SECRET.sub(rf"\g<1>{MASK}", text)
    if project is not None:
        text = _shorten(text, project, below="", itself=".")
    try:
        home = Path.home()
    except RuntimeError:  # a user without one, as in some containers
        return text
    return _shorten(text, home, below="~/", itself="~")


def _shorten(text: str, folder: Path, *, below: str, itself: str) -> str:
    """Replace a folder where it is the whole of a path or its beginning, but not within another name."""
    if folder == Path(folder.anchor):  # the root is the beginning of every path
        return text
    path = rf"(?<![\w.-]){re.escape(folder.as_posix())}"
    text = re.sub(f"{path}/", below, text)
    return re.sub(rf"{path}(?![\w-]|\.\w)", itself, text)


def redact_values(value: object, project: Path | None = None) -> object:
    """Return nested mappings and lists with every secret masked, by its key or by its looks."""
    if isinstance(value, dict):
        return {
            key: MASK if item is not None and _SECRET_KEY.match(str(key)) else redact_values(item, project)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact_values(item, project) for item in value]
    return redact(value, project) if isinstance(value, str) else value
