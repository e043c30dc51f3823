"""What an audit of the data finds: feedback to look at, and test texts that training texts hold."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table

FLAGS = ("short", "repeated", "doubled", "changed nothing", "about something else")


class FeedbackFlags(Table):
    """What to look at in people's feedback: one row per flag of an example, with its reason."""

    split: Series[str]
    example_id: Series[str]
    flag: Series[str] = pa.Field(isin=list(FLAGS))
    reason: Series[str]
    feedback: Series[str]


class Overlaps(Table):
    """How much of a test example's texts the training split holds, word for word; one row per text of an example.

    `runs` counts the text's runs of eight words, `shared` the share of them that training texts have. `passage` is
    the longest stretch that they cover, of `words` words; `train_example_id` has its beginning. Both are null where
    there is none.
    """

    example_id: Series[str]
    text: Series[str] = pa.Field(isin=["input", "reference"])
    runs: Series[int] = pa.Field(ge=0)
    shared: Series[float] = pa.Field(ge=0, le=1)
    words: Series[int] = pa.Field(ge=0)
    passage: Series[str] = pa.Field(nullable=True)
    train_example_id: Series[str] = pa.Field(nullable=True)

    class Config:
        unique = ["example_id", "text"]
