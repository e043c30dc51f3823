"""Completions as the rows of tables: what every table of sampled texts has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ilf_kedro.language_models.protocol import Completion
from ilf_kedro.prompting import Prompt, PromptTemplate, clean_completion, cleaner

__all__ = ["clean", "cleaning_of", "completion_rows"]


def clean(completion: Completion) -> str:
    """Return a completion's text after the paper's post-processing."""
    return clean_completion(completion.text, ended_by_length=completion.finish_reason == "length")


def cleaning_of(template: PromptTemplate) -> Callable[[Completion], str]:
    """Return what makes the output of a completion of this template's prompts.

    Raises:
        UserError: the template names a function that is not there.
    """
    function = cleaner(template.clean)
    return lambda completion: function(completion.text, completion.finish_reason == "length")


def completion_rows(
    prompts: Sequence[Prompt],
    completions: Sequence[Sequence[Completion]],
    clean: Callable[[Completion], str] = clean,
) -> list[dict[str, object]]:
    """Return one row per completion, in order: the text as `clean` makes it, the raw one, and how it ended."""
    return [
        {
            "example_id": prompt.example_id,
            "sample_index": index,
            "text": clean(completion),
            "raw_text": completion.text,
            "finish_reason": completion.finish_reason,
            "n_tokens": completion.n_tokens,
            "seed": completion.seed,
        }
        for prompt, row in zip(prompts, completions, strict=True)
        for index, completion in enumerate(row)
    ]
