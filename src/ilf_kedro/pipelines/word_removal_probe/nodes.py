"""Draws the probe's sentences, asks a language model, counts the right answers, and says so."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.protocol import Capability, LanguageModel, require
from ilf_kedro.pipelines.word_removal.figures import exact_match_figure, removal_title
from ilf_kedro.pipelines.word_removal.measures import exact_matches
from ilf_kedro.pipelines.word_removal.options import WordRemovalProbeOptions
from ilf_kedro.prompting import PromptTemplate, clean_completion
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Section, Table
from ilf_kedro.schemas import Answers, DataFrame, ExactMatches, ProbeItems, PublishedResults
from ilf_kedro.schemas.word_removal import ALL
from ilf_kedro.tasks.word_removal.probe import COMBINATIONS, draw_probe

__all__ = ["answer_items", "count_exact_matches", "describe_probe", "draw_items"]

_PROSE = Prose(__package__)


def draw_items(options: WordRemovalProbeOptions, seed: int) -> DataFrame[ProbeItems]:
    """Draw the sentences of all combinations, with feedback and right answer."""
    return ProbeItems.validate(pd.DataFrame(draw_probe(options.n_per_combination, seed=seed)))


def answer_items(
    items: DataFrame[ProbeItems],
    model: LanguageModel,
    template: PromptTemplate,
    options: WordRemovalProbeOptions,
    seed: int,
    *,
    model_name: str,
) -> DataFrame[Answers]:
    """Ask a language model for every sentence without the words that the feedback names."""
    require(model, Capability.GENERATE, user="the pipeline word_removal_probe")
    prompts = [
        template.render(example_id, initial_output=sentence, feedback=feedback)
        for example_id, sentence, feedback in items[["example_id", "sentence", "feedback"]].itertuples(index=False)
    ]
    drawn = model.generate(prompts, range(1), options.sampling, seed=seed, label=f"probe of {model_name}")
    texts = [clean_completion(each.text, ended_by_length=each.finish_reason == "length") for (each,) in drawn]
    return Answers.validate(pd.DataFrame({"example_id": items["example_id"], "model": model_name, "text": texts}))


def count_exact_matches(
    items: DataFrame[ProbeItems], options: WordRemovalProbeOptions, *answers: DataFrame[Answers]
) -> DataFrame[ExactMatches]:
    """Count the answers that are right letter by letter, by model and number of words to remove."""
    judged = pd.concat(list(answers), ignore_index=True).merge(items, on="example_id", how="left")
    return exact_matches(judged.assign(right=judged["text"] == judged["answer"]), confidence=options.confidence)


def describe_probe(
    exact: DataFrame[ExactMatches],
    items: DataFrame[ProbeItems],
    published: DataFrame[PublishedResults],
    options: WordRemovalProbeOptions,
) -> Section:
    """Tell how well each model follows such feedback, with the published figures beside."""
    whole = exact[exact["n_to_remove"] == ALL]
    best = whole.sort_values("exact_match").iloc[-1]
    labels = {str(model): str(model) for model in whole["model"]}
    return Section(
        "word_removal_probe",
        "Targeted word removal: a probe of how language models follow feedback",
        (
            Paragraph(_PROSE.lead(best, len(whole), options.confidence), lead=True),
            Paragraph(_PROSE.method(len(items), options.n_per_combination, len(COMBINATIONS))),
            Figure(
                "exact_match",
                exact_match_figure(exact, labels, {}, options.confidence),
                _PROSE.exact_match_figure(options.confidence),
                sources=("word_removal_probe.exact_match",),
            ),
            Table(_models(exact), _PROSE.models_table(), sources=("word_removal_probe.exact_match",)),
            Heading("Published beside ours"),
            Table(
                _beside(whole, published),
                _PROSE.published(),
                sources=("word_removal_probe.exact_match", "published_results"),
            ),
        ),
    )


def _models(exact: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Model": exact["model"],
            "Sentences": [removal_title(int(number)) for number in exact["n_to_remove"]],
            "n": exact["n"],
            "Exact match": exact["exact_match"],
            "Standard error": exact["standard_error"],
            "from": exact["lower"],
            "to": exact["upper"],
        }
    )


def _beside(whole: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    theirs = published[published["experiment"] == "targeted_word_removal"]
    columns = ["Model", "Source", "n", "Exact match", "Standard error"]
    rows = [
        *((row["method"], "published", row["n"], row["value"], row["standard_error"]) for _, row in theirs.iterrows()),
        *((row["model"], "ours", row["n"], row["exact_match"], row["standard_error"]) for _, row in whole.iterrows()),
    ]
    return pd.DataFrame(rows, columns=columns).sort_values("Exact match", ascending=False, kind="stable")
