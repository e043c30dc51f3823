"""Samples refinements, cleans them, and samples degenerate examples once more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pandas as pd

from ilf_kedro.language_models.protocol import Capability, Completion, LanguageModel, require
from ilf_kedro.language_models.tables import cleaning_of
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.requirements import asks, having_texts, project_words
from ilf_kedro.prompting import Prompt, PromptTemplate, is_degenerate, keep_best_draws, prompts_of
from ilf_kedro.schemas import DataFrame, Examples, FeedbackTexts, Refinements, Subsets

logger = logging.getLogger(__name__)


@asks("the pipeline refinement", refiner=Capability.GENERATE)
def refine(
    examples: DataFrame[Examples],
    subsets: DataFrame[Subsets],
    refiner: LanguageModel,
    template: PromptTemplate,
    options: RefinementOptions,
    seed: int,
    *,
    method: str,
) -> DataFrame[Refinements]:
    """Sample N refinements for every example of the largest training subset; see `refine_all`.

    Examples without an initial output or feedback are left out, whatever the method, so that methods compare.
    """
    chosen = having_texts(
        examples[examples["example_id"].isin(subsets["example_id"])],
        ["initial_output", "feedback"],
        user="the pipeline refinement",
    )
    return refine_all(chosen, refiner, template, options, seed, method=method)


@asks("the pipeline refinement", refiner=Capability.GENERATE)
def refine_by_control_feedback(
    examples: DataFrame[Examples],
    feedback: DataFrame[FeedbackTexts],
    refiner: LanguageModel,
    template: PromptTemplate,
    options: RefinementOptions,
    seed: int,
    *,
    method: str,
) -> DataFrame[Refinements]:
    """Sample N refinements for every example that has a text in `feedback`, which stands for its own feedback."""
    other = examples.drop(columns="feedback").merge(feedback[["example_id", "feedback"]], on="example_id")
    return refine_all(Examples.validate(other[list(examples.columns)]), refiner, template, options, seed, method=method)


@asks("the pipeline refinement", refiner=Capability.GENERATE)
def refine_all(
    examples: DataFrame[Examples],
    refiner: LanguageModel,
    template: PromptTemplate,
    options: RefinementOptions,
    seed: int,
    *,
    method: str,
) -> DataFrame[Refinements]:
    """Sample N refinements for every example that has the texts which the template shows.

    An example whose N outputs hold a duplicate, an empty or a forbidden text is sampled again, once.
    The template decides whether the refiner sees the feedback.

    Raises:
        MissingColumnError: none has an initial output, or feedback where the template needs it.
    """
    require(refiner, Capability.GENERATE, user=f"the pipeline refinement ({method})")
    examples = having_texts(examples, project_words(template.slots), user=f"the pipeline refinement ({method})")
    prompts = prompts_of(examples, template)
    clean = cleaning_of(template)
    draws = _draw(refiner, prompts, clean, options, seed, method)
    tables = [
        _keep(prompt.example_id, drawn, [clean(draw) for draw in drawn], options, method)
        for prompt, drawn in zip(prompts, draws, strict=True)
    ]
    return Refinements.validate(pd.concat(tables, ignore_index=True))


def _draw(
    refiner: LanguageModel,
    prompts: Sequence[Prompt],
    clean: Callable[[Completion], str],
    options: RefinementOptions,
    seed: int,
    method: str,
) -> list[list[Completion]]:
    """Draw N completions per prompt, and max_tries − N more where the first N are degenerate."""
    n, max_tries = options.n_refinements, options.max_tries or 2 * options.n_refinements
    draws = refiner.generate(prompts, range(n), options.sampling, seed=seed, label=method)
    again = [i for i, drawn in enumerate(draws) if is_degenerate([clean(draw) for draw in drawn], options.forbidden)]
    if not again or max_tries == n:
        return draws
    logger.info("%s: %d of %d examples are sampled again (degenerate outputs)", method, len(again), len(prompts))
    more = refiner.generate(
        [prompts[i] for i in again], range(n, max_tries), options.sampling, seed=seed, label=f"{method}, again"
    )
    for i, drawn in zip(again, more, strict=True):
        draws[i] = draws[i] + drawn
    return draws


def _keep(
    example_id: str, drawn: Sequence[Completion], texts: Sequence[str], options: RefinementOptions, method: str
) -> pd.DataFrame:
    """Return the table of the N draws that are kept for one example, with their cleaned texts."""
    kept = keep_best_draws(texts, options.n_refinements, options.forbidden)
    return pd.DataFrame(
        {
            "example_id": example_id,
            "method": method,
            "sample_index": range(len(kept)),
            "text": [texts[draw.draw_index] for draw in kept],
            "raw_text": [drawn[draw.draw_index].text for draw in kept],
            "finish_reason": [drawn[draw.draw_index].finish_reason for draw in kept],
            "n_tokens": [drawn[draw.draw_index].n_tokens for draw in kept],
            "seed": [drawn[draw.draw_index].seed for draw in kept],
            "draw_index": [draw.draw_index for draw in kept],
            "resampled": [draw.draw_index >= options.n_refinements for draw in kept],
            "status": [draw.status for draw in kept],
        }
    )
