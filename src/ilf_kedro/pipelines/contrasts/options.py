"""The options of the pipeline contrasts."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator

from ilf_kedro.schemas import Options


class ContrastsOptions(Options):
    """Which models are compared, and whether people ranked their outputs.

    With `rankings` the data set raw.method_rankings has people's (or another judge's) ranks of methods; `names` says
    which model a method of that file is, such as {ilf: finetune.refinements.n100}. `train_size` null is the largest.
    `pairs` are the contrasts, each [arm, baseline] by models' names; null is every two. p-values are corrected for all
    of them, so naming the few that matter, before looking, gains power.
    """

    rankings: bool = False
    names: Mapping[str, str] = Field(default_factory=dict)
    train_size: int | None = Field(default=None, ge=1, strict=True)
    pairs: tuple[tuple[str, str], ...] | None = None

    @field_validator("pairs")
    @classmethod
    def _check_pairs(cls, pairs: tuple[tuple[str, str], ...] | None) -> tuple[tuple[str, str], ...] | None:
        if pairs is not None:
            seen = {frozenset(pair) for pair in pairs}
            if not pairs or len(seen) < len(pairs) or any(len(pair) < 2 for pair in seen):
                raise ValueError("each pair is two different models, and no two are the same; correct it, or set null")
        return pairs
