"""What the contrasts show, as a section of the report and a page of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from ilf_kedro.evaluation.contrasts import DIFFERENCE, WIN_RATE
from ilf_kedro.evaluation.intervals import FEWEST
from ilf_kedro.evaluation.measurements import judge_of
from ilf_kedro.pipelines.contrasts.figure import contrasts_figure
from ilf_kedro.pipelines.contrasts.judges import judge_parts
from ilf_kedro.pipelines.contrasts.labels import is_of_wins, measure_label, measure_note
from ilf_kedro.pipelines.contrasts.tables import MOST, difference_digits, pairs_table, standings_table
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.report.labels import model_label, number_or_none
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Part, Section, Table
from ilf_kedro.schemas import Contrasts, CorrectedWinRates, DataFrame, JudgeFigures, Standings

__all__ = ["contrasts_parts", "describe_contrasts"]

_PROSE = Prose(__package__)
_NAMED = 3


def describe_contrasts(
    pairs: DataFrame[Contrasts],
    standings: DataFrame[Standings],
    judges: DataFrame[JudgeFigures],
    corrected: DataFrame[CorrectedWinRates],
    options: ReportingOptions,
    finetune: FinetuneOptions,
) -> Section:
    """Describe every contrast: in a sentence by each measure first, then a figure, a table by each, and the judges."""
    label = partial(model_label, best_of_n=finetune.best_of_n)
    parts = contrasts_parts(pairs, standings, options.confidence, label)
    parts += judge_parts(judges, corrected, options.confidence, label)
    return Section("contrasts", "Every two arms compared", tuple(parts))


def contrasts_parts(
    pairs: DataFrame[Contrasts],
    standings: DataFrame[Standings],
    confidence: float,
    label: Callable[[str], str],
    sources: tuple[str, str] = ("contrasts.pairs", "contrasts.standings"),
) -> list[Part]:
    """Return the section's parts; the first measure stands in the figure, and in the leading sentence."""
    measures = list(dict.fromkeys(pairs["measure"]))
    if not measures or not pairs["n"].any():
        return [Paragraph(_PROSE.nothing(), lead=True)]
    by_measure = {measure: DataFrame[Contrasts](own) for measure, own in pairs.groupby("measure", sort=False)}
    sentences = [_sentence(measure, by_measure[measure], confidence, label) for measure in measures]
    judges = pairs.loc[pairs["measure"].map(judge_of).isna() & (pairs["n_judges"] > 0), "n_judges"]
    parts: list[Part] = [
        Paragraph(sentences[0], lead=True),
        *(Paragraph(sentence) for sentence in sentences[1:]),
        Paragraph(_PROSE.how(confidence, bool(len(judges)) and judges.max() < FEWEST)),
        Figure(
            "forest",
            contrasts_figure(by_measure[measures[0]], label),
            _PROSE.figure(measure_label(measures[0]), confidence),
            sources=sources[:1],
        ),
    ]
    for measure in measures:
        parts += _measure_parts(measure, by_measure[measure], standings, confidence, label, sources)
    return parts


def _measure_parts(
    measure: str,
    own: DataFrame[Contrasts],
    standings: DataFrame[Standings],
    confidence: float,
    label: Callable[[str], str],
    sources: tuple[str, str],
) -> list[Part]:
    whose = "Judge's win rate" if judge_of(measure) is not None else "Win rate"
    table = pairs_table(own, label, of_wins=is_of_wins(measure), win_rate=whose)
    caption = _PROSE.pairs(measure_label(measure), measure_note(measure), confidence, "at any time" in table)
    ranked = DataFrame[Standings](standings[standings["measure"] == measure])
    parts: list[Part] = [Heading(measure_label(measure)), Table(table, caption, sources=sources[:1])]
    notes = list(dict.fromkeys(own["note"].dropna()))
    if notes:
        parts.append(Paragraph(_PROSE.notes([_note(own, note, label) for note in notes])))
    if len(ranked):
        parts.append(Table(standings_table(ranked, label), _PROSE.standings(confidence), sources=sources[1:]))
    return parts


def _note(own: pd.DataFrame, note: str, label: Callable[[str], str]) -> str:
    """Say which contrasts a note is on: by name where it is one of several, else of all."""
    of_note = own[own["note"] == note].drop_duplicates(["arm", "baseline"])
    if len(of_note) == 1 and own[["arm", "baseline"]].drop_duplicates().shape[0] > 1:
        row = of_note.iloc[0]
        return f"“{label(row['arm'])}” over “{label(row['baseline'])}”: {note}"
    return f"{len(of_note)} of the contrasts: {note}"


def _sentence(measure: str, own: DataFrame[Contrasts], confidence: float, label: Callable[[str], str]) -> str:
    """Say which contrasts of a measure are clear, else how large one would have to be."""
    wins = own[own["statistic"] == WIN_RATE]
    whose = _PROSE.whose(
        int(wins["n"].min()),
        int(wins["n"].max()),
        0 if judge_of(measure) is not None else int(wins["n_judges"].max()),
        int(wins["n_judgements"].max()),
    )
    of_wins = is_of_wins(measure)
    tested = wins if of_wins else own[own["statistic"] == DIFFERENCE]
    tested = tested[tested["value"].notna()]
    name, level = measure_label(measure), 1 - confidence
    if tested.empty or bool((wins["ties"].dropna() == 1).all()):
        return _PROSE.all_tied(name, whose)
    far = (tested["value"] - (MOST if of_wins else 0.0)).abs()
    in_order = tested.assign(far=far).sort_values(["p_value", "far"], ascending=[True, False], kind="stable")
    digits = difference_digits(own)
    clear = in_order[in_order["adjusted_p"] <= level]
    if clear.empty:
        smallest = number_or_none(tested["smallest_difference"].median())
        shown = None if smallest is None else _PROSE.points(smallest) if of_wins else _PROSE.by(smallest, digits)
        nearest = _told(in_order.iloc[0], label, of_wins, digits)
        return _PROSE.none_clear(name, whose, len(tested), nearest, shown, level)
    named = [_told(row, label, of_wins, digits) for _, row in clear.head(_NAMED).iterrows()]
    return _PROSE.clear(name, whose, named, len(tested), len(clear) - len(named), level)


def _told(row: pd.Series, label: Callable[[str], str], of_wins: bool, digits: int) -> str:
    """Tell a contrast from the side that won."""
    lost = row["value"] < (MOST if of_wins else 0.0)
    value, lower, upper = row["value"], number_or_none(row["lower"]), number_or_none(row["upper"])
    arm, baseline = label(row["arm"]), label(row["baseline"])
    if lost:
        arm, baseline = baseline, arm
        whole = 1.0 if of_wins else 0.0
        value = whole - value
        lower, upper = (None, None) if lower is None or upper is None else (whole - upper, whole - lower)
    p = number_or_none(row["adjusted_p"])
    if of_wins:
        return _PROSE.win(arm, baseline, value, lower, upper, p)
    return _PROSE.gap(arm, baseline, value, lower, upper, p, digits)
