"""The options of the pipeline selection."""

from __future__ import annotations

from ilf_kedro.options.names import ScorerName
from ilf_kedro.schemas import Options


class SelectionOptions(Options):
    """Which scorer's choice the refinements arm is finetuned on."""

    target_scorer: ScorerName = "instruct_rm_ensemble"
