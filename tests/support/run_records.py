"""A run record of nothing, and a language model of nothing, for what looks at their form alone."""

from __future__ import annotations

from datetime import UTC, datetime

from ilf_kedro.schemas.run_record import RunRecord

RECORD = RunRecord(
    run_id="2026-01-01T00.00.00.000Z",
    outcome="started",
    started=datetime(2026, 1, 1, tzinfo=UTC),
    pipelines=("__default__",),
    environment="base",
    git=None,
    parameters={},
    libraries={},
    python="3.11",
    platform="none",
    nodes_planned=0,
)


class FakeModel:
    """Enough of a language model to be recognised as one."""

    name, revision, capabilities = "fake", "r1", frozenset[str]()
    generate = choice_probabilities = log_likelihood = embed = staticmethod(lambda *_: None)
