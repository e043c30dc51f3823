"""What must not leave the machine in a record or a message: secrets, and where the user's files lie."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["MASK", "redact", "redact_values", "show_masked"]

MASK = "***"
_SHOWN = 80  # characters of a wrong value that a message shows

# Keys whose value is a secret: "api_key", "github_token" and "auth" are, "max_new_tokens" and "pad_token" are not.
_NO_SECRET_TOKENS = "".join(
    f"(?<!{word})" for word in ("bos", "cls", "eos", "first", "last", "mask", "pad", "per", "sep", "stop", "unk")
)
_MASKED_NAMES = (
    r"[\w.-]*(?:(?:access|api|encryption|license|private|secret|signing|subscription)[_-]?keys?"
    r"|passw(?:or)?ds?|pwd|passphrases?|secrets?|credentials?|(?:access|api|auth|hf|session)[_-]?tokens?"
    r"|(?<![A-Za-z])(?:o?auth|authori[sz]ation|authentication|bearer)"
    rf"|{_NO_SECRET_TOKENS}[_-]token|(?<![\w.-])token|(?<=\.)token)"
)
_SECRET_KEY = re.compile(rf"(?i)^{_MASKED_NAMES}$")
_ASSIGNED_SECRET = re.compile(
    rf"(?i)(\b{_MASKED_NAMES}[\"']?\s*[=:]\s*[\"']?(?:(?:basic|bearer|token)\s+)?)([^\s,;\"'&}}]+)"
)

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
    """Return nested mappings and lists with every secret masked, by its key or by its looks; keys too."""
    if isinstance(value, dict):
        return {
            redact(key) if isinstance(key, str) else key: MASK
            if item is not None and _SECRET_KEY.match(str(key))
            else redact_values(item, project)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact_values(item, project) for item in value]
    return redact(value, project) if isinstance(value, str) else value


def show_masked(key: str, value: object) -> str:
    """Return a wrong value for a message: shortened, and masked where its key or its looks say that it is a secret."""
    masked = MASK if value is not None and _SECRET_KEY.match(key) else redact_values(value)
    text = repr(masked)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
