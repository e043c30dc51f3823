"""The options of the pipeline export."""

from __future__ import annotations

from ilf_kedro.schemas import Options


class ExportOptions(Options):
    """Which files to write besides those for trl: `openai_chat` is the format of OpenAI's fine-tuning API."""

    openai_chat: bool = False
