"""The options of the pipeline data_prep."""

from __future__ import annotations

from typing import Literal

from ilf_kedro.schemas import Options


class DataPrepOptions(Options):
    """What to do with invalid rows: stop, or set them aside with their reasons and go on.

    The rows of `without_annotators` are set aside as well.
    """

    on_invalid: Literal["stop", "quarantine"] = "stop"
    without_annotators: tuple[str, ...] = ()
