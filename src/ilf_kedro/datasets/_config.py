"""Turns what a catalog entry or a file says into options, with the error that Kedro expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from kedro.io.core import DatasetError
from pydantic import BaseModel

from ilf_kedro.schemas import parsing

OptionsT = TypeVar("OptionsT", bound=BaseModel)


def parse_options(
    model: type[OptionsT], values: Mapping[str, Any], *, where: str, also: Iterable[str] = ()
) -> OptionsT:
    """Build `model` from `values`; see schemas/parsing.py.

    Raises:
        DatasetError: naming `where`, each wrong key with the nearest right one, and each wrong value.
    """
    try:
        return parsing.parse_options(model, values, where=where, also=also)
    except parsing.OptionsError as error:
        raise DatasetError(str(error)) from None
