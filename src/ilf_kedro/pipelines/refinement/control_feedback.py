"""Feedback that takes the place of people's: another example's, or a model's. Both are controls."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from ilf_kedro.language_models.protocol import Capability, LanguageModel, SamplingOptions, require
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.requirements import asks, having_texts, project_words, require_texts
from ilf_kedro.prompting import Prompt, PromptTemplate, clean_completion, prompts_of
from ilf_kedro.schemas import DataFrame, Examples, FeedbackTexts, Subsets, UserError

logger = logging.getLogger(__name__)

_SHUFFLES = 100  # tries to give nobody a text that equals their own
_DRAWS = 4  # where a model writes nothing


def shuffle_feedback(
    examples: DataFrame[Examples], seed: int, subsets: DataFrame[Subsets] | None = None
) -> DataFrame[FeedbackTexts]:
    """Give every example (of `subsets`, where given) the feedback of another one.

    No example keeps its own; nor, unless the data leave no other way, a text that equals its own or that is about
    the same input: such rows are counted in the log. The seed and the examples decide who gets whose.

    Raises:
        MissingColumnError: an example has no feedback.
        UserError: there is only one example.
    """
    chosen = _chosen(examples, subsets)
    require_texts(chosen, ["feedback"], user="the control by shuffled feedback")
    if len(chosen) < 2:
        raise UserError(
            f"feedback can be shuffled among two examples or more, found {len(chosen)}; raise train_sizes (or "
            "controls.n_examples), or leave refinement_with_shuffled_feedback out of refinement.methods"
        )
    texts = chosen["feedback"].to_numpy(dtype=object)
    givers, n_leaks = _others(texts, chosen["input_id"].to_numpy(dtype=object), seed)
    if n_leaks:
        logger.warning(
            "shuffled feedback: %d of %d examples get feedback that equals their own or is about the same input, "
            "because too many have equal feedback or one input",
            n_leaks,
            len(chosen),
        )
    ids = chosen["example_id"].to_numpy(dtype=object)
    table = {"example_id": ids, "feedback": texts[givers], "source": "shuffled", "from_example_id": ids[givers]}
    return FeedbackTexts.validate(pd.DataFrame(table))


def _others(texts: np.ndarray, inputs: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
    """Return whose feedback each row gets, never its own, and how many get an equal one or one about their input."""
    generator, n = np.random.default_rng(seed), len(texts)

    def leaks(givers: np.ndarray) -> int:
        return int(((texts[givers] == texts) | (inputs[givers] == inputs)).sum())

    tried = []
    for _ in range(_SHUFFLES):
        # Along one cycle through all examples in random order, nobody is their own next.
        givers = _next_along(generator.permutation(n), 1)
        if not leaks(givers):
            return givers, 0
        tried.append(givers)
    for groups in (texts, inputs):
        # Sorted by group, the row as far on as the largest group is long is of another group, if one can be.
        _, codes, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
        if sizes.max() < n:
            tried.append(_next_along(np.lexsort((generator.permutation(n), codes)), int(sizes.max())))
    best = min(tried, key=leaks)
    return best, leaks(best)


def _next_along(order: np.ndarray, step: int) -> np.ndarray:
    givers = np.empty_like(order)
    givers[order] = np.roll(order, -step)
    return givers


@asks("the control by model-written feedback", refiner=Capability.GENERATE)
def write_feedback(
    examples: DataFrame[Examples],
    refiner: LanguageModel,
    template: PromptTemplate,
    options: RefinementOptions,
    seed: int,
    subsets: DataFrame[Subsets] | None = None,
) -> DataFrame[FeedbackTexts]:
    """Let the refiner write feedback on the initial output of every example (of `subsets`, where given).

    It is asked again, a few times, where it writes nothing; an example for which it still has nothing to say is
    left out, and counted in the log.

    Raises:
        MissingColumnError: an example has no initial output.
        UserError: it wrote nothing for any example.
    """
    require(refiner, Capability.GENERATE, user="the control by model-written feedback")
    chosen = _chosen(examples, subsets)
    require_texts(chosen, project_words(template.slots), user="model-written feedback")
    prompts = prompts_of(chosen, template)
    written = _write(refiner, prompts, range(1), options.feedback_sampling, seed)
    silent = [prompt for prompt in prompts if not written[prompt.example_id]]
    if silent:
        written |= _write(refiner, silent, range(1, _DRAWS), options.feedback_sampling, seed)
    texts = {example_id: text for example_id, text in written.items() if text}
    if not texts:
        raise UserError(
            f"the model {refiner.name} wrote no feedback for any of {len(prompts)} examples; name a better one as "
            "`refiner` in the catalog, or leave refinement_with_model_feedback out of refinement.methods"
        )
    if len(texts) < len(prompts):
        logger.warning(
            "%s wrote no feedback for %d of %d examples", refiner.name, len(prompts) - len(texts), len(prompts)
        )
    table = {"example_id": list(texts), "feedback": list(texts.values()), "source": f"model:{refiner.name}"}
    return FeedbackTexts.validate(pd.DataFrame({**table, "from_example_id": None}))


def _write(
    refiner: LanguageModel, prompts: list[Prompt], sample_indices: range, sampling: SamplingOptions, seed: int
) -> dict[str, str]:
    """Return the first text that is not empty of each example's samples, or the empty text."""
    draws = refiner.generate(prompts, sample_indices, sampling, seed=seed, label="feedback")
    texts = {}
    for prompt, drawn in zip(prompts, draws, strict=True):
        cleaned = (clean_completion(draw.text, ended_by_length=draw.finish_reason == "length") for draw in drawn)
        texts[prompt.example_id] = next(filter(None, cleaned), "")
    return texts


def _chosen(examples: DataFrame[Examples], subsets: DataFrame[Subsets] | None) -> DataFrame[Examples]:
    """Return the examples, or of `subsets` those that the pipeline refinement refines."""
    if subsets is None:
        return examples
    subset = examples[examples["example_id"].isin(subsets["example_id"])]
    return having_texts(subset, ["initial_output", "feedback"], user="the pipeline refinement")
