"""Names that several floors know, such as of the model that finetuning starts from."""

from __future__ import annotations

from typing import Final

BASE_MODEL: Final = "finetune.base"
WITH_FEEDBACK: Final = "refinement_with_feedback"
WITHOUT_FEEDBACK: Final = "refinement_without_feedback"
WITH_SHUFFLED_FEEDBACK: Final = "refinement_with_shuffled_feedback"
WITH_MODEL_FEEDBACK: Final = "refinement_with_model_feedback"
CONTROLS: Final = (WITHOUT_FEEDBACK, WITH_SHUFFLED_FEEDBACK, WITH_MODEL_FEEDBACK)
IDENTICAL_OUTPUTS: Final = "identical outputs"
"""Who "judged" outputs that are the same, letter for letter: they tie without being asked about."""
