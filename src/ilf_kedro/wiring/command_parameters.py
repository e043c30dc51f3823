"""What `--params` says: pairs of key and value that commas separate, each value in YAML.

Kedro splits the option at every comma, so that a list of several members never arrives whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import click
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ilf_kedro.schemas.redaction import show_masked

__all__ = ["parse_parameters", "read_parameters"]

_OPENING, _CLOSING, _QUOTES = "[{", "]}", "'\""
_BEGINS_A_VALUE = "=,:[{"  # a quotation mark after one of these holds a text together
_A_MEMBER_BEGINS = (yaml.ScalarToken, yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
_A_MEMBER_ENDS = (yaml.ScalarToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)


def read_parameters(context: click.Context, option: click.Parameter, value: object) -> dict[str, Any]:
    """Return what `--params` says, for click; what a file of `--config` says comes as a mapping and stays one.

    Raises:
        BadParameter: naming the pair that cannot be read.
    """
    if isinstance(value, dict):
        return value
    try:
        return parse_parameters(str(value or ""))
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from error


def parse_parameters(text: str) -> dict[str, Any]:
    """Return the nested parameters of a text such as `train_sizes=[10, 40],finetune.top_k=2`.

    A comma within brackets, braces or quotation marks belongs to the value. Blanks separate the members of a list as
    well ([10 40]); a member in quotation marks is one text, whatever it holds.

    Raises:
        ValueError: naming the pair without a key or a value, or whose value is no YAML.
    """
    parameters = OmegaConf.create()
    for pair in filter(str.strip, _split(text)):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise ValueError(f"found {show_masked('', pair)}; expected a key and a value, such as train_sizes=[10 40]")
        try:
            parameters.merge_with_dotlist([f"{key}={_separate_members(value)}"])
        except (yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
            reason = getattr(error, "problem", None) or "it cannot be read"
            raise ValueError(
                f"{key}: found {show_masked(key, value)}, which is no value in YAML ({reason}); close its brackets and "
                'quotation marks, or put a text between quotation marks: "…"'
            ) from error
    return cast(dict[str, Any], OmegaConf.to_container(parameters))


def _split(text: str) -> Iterator[str]:
    """Yield the pairs: the text between commas outside of brackets, braces and quotation marks."""
    begin, depth, quote, before = 0, 0, "", "="
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES and (before in _BEGINS_A_VALUE or (depth and text[position - 1].isspace())):
            quote = character
        elif character == "," and depth == 0:
            yield text[begin:position]
            begin = position + 1
        else:
            depth += (character in _OPENING) - (character in _CLOSING)
        before = before if character.isspace() else character
    yield text[begin:]


def _separate_members(value: str) -> str:
    """Put commas where blanks alone separate the members of a list."""
    pieces: list[str] = []
    end, open_brackets, member_end = 0, "", -1
    for token in yaml.scan(value, yaml.SafeLoader):
        begin, in_list = token.start_mark.index, open_brackets.endswith("[")
        if in_list and 0 <= member_end < begin and isinstance(token, _A_MEMBER_BEGINS):
            pieces, end = [*pieces, value[end:begin], ", "], begin
        if in_list and isinstance(token, yaml.ScalarToken) and token.plain:
            words = ", ".join(value[begin : token.end_mark.index].split())
            pieces, end = [*pieces, value[end:begin], words], token.end_mark.index
        member_end = token.end_mark.index if isinstance(token, _A_MEMBER_ENDS) else -1
        if isinstance(token, (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)):
            open_brackets += value[begin]
        elif isinstance(token, (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)):
            open_brackets = open_brackets[:-1]
    return "".join([*pieces, value[end:]])
