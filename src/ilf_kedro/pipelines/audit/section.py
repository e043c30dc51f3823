"""What the audit found, as a section of the report and a page of its own."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation.contamination import RUN
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Heading, Paragraph, Part, Section, Table
from ilf_kedro.schemas import DataFrame, FeedbackFlags, NearDuplicatePairs, Offers, Overlaps

_PROSE = Prose(__package__)
_MOST = 20
_CHARACTERS = 160


def describe_audit(
    flags: DataFrame[FeedbackFlags],
    overlaps: DataFrame[Overlaps],
    near_duplicates: DataFrame[NearDuplicatePairs],
    offer: DataFrame[Offers],
) -> Section:
    """Say how much of the data is worth a look, then which rows, and why."""
    found = DataFrame[Overlaps](overlaps[overlaps["words"] > 0])
    n_flagged = len(flags[["split", "example_id"]].drop_duplicates())
    numbers = (int(offer["feedback"].sum()), found["example_id"].nunique(), overlaps["example_id"].nunique())
    parts: list[Part] = [Paragraph(_PROSE.lead(n_flagged, *numbers, RUN), lead=True)]
    if len(flags):
        parts += _flag_parts(flags)
    if len(found):
        parts += _overlap_parts(found)
    if len(near_duplicates):
        parts += _pair_parts(near_duplicates)
    return Section("audit", "What to look at in the data", tuple(parts))


def _flag_parts(flags: DataFrame[FeedbackFlags]) -> list[Part]:
    counts = pd.crosstab(flags["flag"], flags["split"]).reindex(flags["flag"].unique()).reset_index()
    shown = flags.head(_MOST)
    rows = shown[["example_id", "flag", "reason"]].assign(feedback=shown["feedback"].map(_short))
    return [
        Heading("Feedback"),
        Paragraph(_PROSE.kept()),
        Table(counts, _PROSE.counts(), sources=("audit.flags",)),
        Table(_titled(rows), _PROSE.flags(len(shown), len(flags)), sources=("audit.flags",), prose=True),
    ]


def _overlap_parts(found: DataFrame[Overlaps]) -> list[Part]:
    shown = found.sort_values(["words", "shared"], ascending=False, kind="stable").head(_MOST)
    rows = shown[["example_id", "text", "shared", "words", "train_example_id"]]
    rows = rows.assign(passage=shown["passage"].map(_short)).rename(columns={"train_example_id": "in training example"})
    caption = _PROSE.overlaps(len(shown), len(found), RUN)
    return [
        Heading("Test texts in the training data"),
        Table(_titled(rows), caption, sources=("audit.overlaps",), digits=2, prose=True),
    ]


def _pair_parts(pairs: DataFrame[NearDuplicatePairs]) -> list[Part]:
    shown = pairs.head(_MOST)
    rows = shown.drop(columns=["text", "other_text"]).assign(text=shown["text"].map(_short))
    caption = _PROSE.pairs(len(shown), len(pairs))
    return [
        Heading("Nearly the same inputs"),
        Table(_titled(rows), caption, sources=("near_duplicates",), digits=2, prose=True),
    ]


def _titled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.rename(columns=lambda name: name.replace("_id", "").replace("_", " "))


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _CHARACTERS else flat[: _CHARACTERS - 1].rstrip() + "…"
