"""The options of every report: parameters `reporting`."""

from __future__ import annotations

from pydantic import Field

from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.schemas import Options


class ReportingOptions(Options):
    """Intervals' confidence, bootstrap resamples, and how many test inputs are judged (null: all; 0: no judge)."""

    confidence: float = Field(default=0.95, gt=0, lt=1)
    bootstrap_resamples: int = Field(default=2000, ge=100)
    n_judged: int | None = Field(default=None, ge=0)

    def bootstrap(self, seed: int) -> Bootstrap:
        """Return how every report's intervals are bootstrapped."""
        return Bootstrap(self.confidence, self.bootstrap_resamples, seed)
