"""Prompt templates, and the post-processing of what comes back."""

from ilf_kedro.prompting.templates import Prompt, PromptTemplate, TemplateError

__all__ = ["Prompt", "PromptTemplate", "TemplateError"]
