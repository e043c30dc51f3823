"""Names that several floors know: of the model that finetuning starts from, and of the method that ILF learns from."""

from __future__ import annotations

from typing import Final

BASE_MODEL: Final = "finetune.base"
WITH_FEEDBACK: Final = "refinement_with_feedback"
