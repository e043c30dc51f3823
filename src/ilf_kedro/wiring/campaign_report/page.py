"""From a campaign's answers to tables and one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ilf_kedro.evaluation.contrasts import contrasts, standings
from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.evaluation.judge_and_people import corrected_win_rates, judge_figures
from ilf_kedro.evaluation.measurements import measured_rankings
from ilf_kedro.people.answers import RankingAnswer
from ilf_kedro.people.items import Item
from ilf_kedro.people.project_files import incorporations, method_ranks
from ilf_kedro.people.quality import annotator_figures
from ilf_kedro.people.records import Record, latest
from ilf_kedro.pipelines.contrasts.judges import judge_parts
from ilf_kedro.pipelines.contrasts.section import contrasts_parts
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Paragraph, Part, Section, render_page
from ilf_kedro.schemas import DataFrame, Measurements, Rankings, UserError
from ilf_kedro.wiring.campaign_report.annotators import annotator_parts

__all__ = ["INCORPORATED", "CampaignReport", "report_campaign"]

INCORPORATED = "incorporated"
_PROSE = Prose(__package__, "page.j2")


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """The page, and the tables behind it by their names."""

    html: str
    tables: Mapping[str, pd.DataFrame]


def report_campaign(
    name: str,
    records: Sequence[Record],
    items: Sequence[Item],
    bootstrap: Bootstrap,
    judged: DataFrame[Rankings] | None = None,
) -> CampaignReport:
    """Report what a campaign's answers say of every two methods, and how the annotators did.

    `judged` are a judge's ranks of the same methods, of these inputs and perhaps of more.

    Raises:
        UserError: nobody has answered yet, or a judge ranks none of the methods.
    """
    if not latest(records):
        raise UserError(f"nobody has answered in {name} yet; serve it first: kedro annotate serve {name}")
    tables: dict[str, pd.DataFrame] = {}
    sections = []
    measurements = measured_answers(records, items, judged)
    if len(measurements):
        parts = _contrast_parts(measurements, bootstrap, tables)
        if all_bad := _all_bad(records):
            parts.insert(1, Paragraph(_PROSE.all_bad(*all_bad)))
        sections.append(Section("contrasts", _PROSE.title(), tuple(parts)))
    tables["annotators"] = figures = annotator_figures(records, items, bootstrap)
    parts = annotator_parts(figures, bootstrap.confidence, source="annotators")
    sections.append(Section("annotators", _PROSE.annotators(), tuple(parts)))
    return CampaignReport(render_page(_PROSE.heading(name), sections), tables)


def measured_answers(
    records: Sequence[Record], items: Sequence[Item], judged: DataFrame[Rankings] | None = None
) -> DataFrame[Measurements]:
    """Return people's ranks, a judge's, and verdicts on refinements (1 where incorporated), with lengths in words."""
    ranks = [row.model_dump(exclude={"all_bad"}) for row in method_ranks(records, items)]
    verdicts = [
        {
            "measure": INCORPORATED,
            "judged_by": each.judged_by,
            "example_id": each.example_id,
            "arm": each.method,
            "value": float(each.incorporated),
            "length": None,
        }
        for each in incorporations(records)
    ]
    parts: list[pd.DataFrame] = [Measurements.from_rows(verdicts)] if verdicts else []
    if ranks:
        methods = {str(row["method"]) for row in ranks}
        rankings = Rankings.validate(pd.DataFrame(ranks)[Rankings.column_names()])
        if judged is not None:
            known = judged[judged["method"].isin(methods)]
            if known.empty:
                raise UserError(
                    f"the judge ranks {', '.join(sorted(judged['method'].unique()))}, and people "
                    f"{', '.join(sorted(methods))}; call the methods alike in both"
                )
            rankings = Rankings.validate(pd.concat([rankings, known], ignore_index=True))
        parts.append(measured_rankings(rankings, _lengths(items)))
    return Measurements.validate(pd.concat(parts, ignore_index=True)) if parts else Measurements.from_rows([])


def _contrast_parts(
    measurements: DataFrame[Measurements], bootstrap: Bootstrap, tables: dict[str, pd.DataFrame]
) -> list[Part]:
    pairs, found = contrasts(measurements, bootstrap), standings(measurements, bootstrap)
    judges, corrected = judge_figures(measurements, bootstrap), corrected_win_rates(measurements, bootstrap)
    tables |= {"measurements": measurements, "pairs": pairs, "standings": found}
    tables |= {"judges": judges, "corrected": corrected} if len(judges) else {}
    parts = contrasts_parts(pairs, found, bootstrap.confidence, str, ("pairs", "standings"))
    return [*parts, *judge_parts(judges, corrected, bootstrap.confidence, str, ("judges", "corrected"))]


def _lengths(items: Sequence[Item]) -> pd.DataFrame:
    rows = {
        (item.example_id, method): len(each.output.plain.split())
        for item in items
        for each in item.candidates
        for method in each.sources
    }
    return pd.DataFrame([(*key, words) for key, words in rows.items()], columns=["example_id", "arm", "length"])


def _all_bad(records: Sequence[Record]) -> tuple[int, int] | None:
    """Return how many rankings say that no output is acceptable, and of how many; None where none does."""
    answers = [record.answer for record in latest(records) if isinstance(record.answer, RankingAnswer)]
    n = sum(answer.all_bad for answer in answers)
    return (n, len(answers)) if n else None
