"""Prompt templates, and the post-processing of what comes back."""

from ilf_kedro.prompting.cleaning import Cleaner, cleaner
from ilf_kedro.prompting.messages import Message, Transcript, messages_to_json
from ilf_kedro.prompting.post_processing import clean_completion, drop_unfinished_sentence, split_sentences
from ilf_kedro.prompting.prompt import Prompt, Span
from ilf_kedro.prompting.resampling import Kept, classify_draws, is_degenerate, keep_best_draws
from ilf_kedro.prompting.rows import FilledPrompts, fill, prompts_of, shown
from ilf_kedro.prompting.templates import MessageTemplate, PromptTemplate, TemplateError

__all__ = [
    "Cleaner",
    "FilledPrompts",
    "Kept",
    "Message",
    "MessageTemplate",
    "Prompt",
    "PromptTemplate",
    "Span",
    "TemplateError",
    "Transcript",
    "classify_draws",
    "clean_completion",
    "cleaner",
    "drop_unfinished_sentence",
    "fill",
    "is_degenerate",
    "keep_best_draws",
    "messages_to_json",
    "prompts_of",
    "shown",
    "split_sentences",
]
