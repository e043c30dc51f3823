"""Where the numbers of a page come from: which version of which data set, and which node made it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ilf_kedro.schemas.run_record import DatasetVersion, RunRecord

__all__ = ["origins"]


def origins(run: RunRecord | None) -> Callable[[Iterable[str]], list[DatasetVersion]]:
    """Return a function from data sets' names to what the run's record says of them.

    What the run itself made counts before what it read; a data set that the record does not have keeps its name alone.
    """
    known = {} if run is None else {each.name: each for each in (*run.loaded, *run.saved)}

    def of(names: Iterable[str]) -> list[DatasetVersion]:
        return [known.get(name, DatasetVersion(name=name)) for name in names]

    return of
