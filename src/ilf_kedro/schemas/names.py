"""Names that several floors know, such as of the model that finetuning starts from."""

from __future__ import annotations

from typing import Final

BASE_MODEL: Final = "finetune.base"
WITH_FEEDBACK: Final = "refinement_with_feedback"
IDENTICAL_OUTPUTS: Final = "identical outputs"
"""Who "judged" outputs that are the same, letter for letter: they tie without being asked about."""
