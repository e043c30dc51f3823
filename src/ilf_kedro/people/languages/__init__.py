"""The page's words, one file per language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from ilf_kedro.people.database import CampaignError
from ilf_kedro.schemas.wording import counted

__all__ = ["choose_language", "load_languages"]

_PLACEHOLDER = re.compile(r"\{\w+\}")


def load_languages(folder: Path | None = None) -> dict[str, dict[str, str]]:
    """Return the page's words by language: English, German, and those of the folder's files (`fr.yml`, …).

    Raises:
        CampaignError: it names every key that a file lacks, has too many, or whose {…} are others than in English.
    """
    here = Path(__file__).parent
    english = _read(here / "en.yml")
    files = [*sorted(here.glob("*.yml")), *(sorted(folder.glob("*.yml")) if folder else [])]
    if folder and not any(file.parent == folder for file in files):
        raise CampaignError(f"{folder} has no language file, such as fr.yml; copy {here / 'en.yml'} and translate it")
    words, faults = {}, []
    for file in files:
        words[file.stem] = _read(file)
        faults += _compare(file, english, words[file.stem])
    if faults:
        raise CampaignError(f"{counted(len(faults), 'fault')} in language files:\n  " + "\n  ".join(faults))
    return words


def choose_language(wanted: str | None, accepted: str, known: Mapping[str, object], default: str) -> str:
    """Return the annotator's own language, else the first that the browser accepts, else the campaign's."""
    if wanted in known:
        return str(wanted)
    for part in accepted.split(","):
        if (tag := part.split(";")[0].strip().split("-")[0].casefold()) in known:
            return tag
    return default if default in known else "en"


def _read(file: Path) -> dict[str, str]:
    try:
        words = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CampaignError(f"{file} is no YAML in UTF-8: {error}") from None
    if not isinstance(words, dict):
        raise CampaignError(f"{file} is no mapping of keys to words")
    return words


def _compare(file: Path, english: Mapping[str, str], words: Mapping[str, object]) -> list[str]:
    faults = [f"{file}: {key} is missing" for key in english if key not in words]
    faults += [f"{file}: {key} is unknown" for key in words if key not in english]
    for key, text in words.items():
        if not isinstance(text, str):
            faults.append(f"{file}: {key} is {text!r}, no text; put it in quotes")
        elif set(_PLACEHOLDER.findall(text)) != set(_PLACEHOLDER.findall(english.get(key, text))):
            faults.append(f"{file}: {key} needs {' '.join(_PLACEHOLDER.findall(english[key])) or 'no {…}'}")
    return faults
