"""Language models: the questions that can be asked (protocol.py), what answers them, and the completion cache.

The classes that need torch or a client are imported when they are first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.entries import CachedModelEntry, ModelEntry
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    ChoiceModel,
    ChoiceProbabilities,
    Completion,
    Embedder,
    LanguageModel,
    LikelihoodModel,
    Model,
    SamplingOptions,
    TextGenerator,
    TokenLogProbabilities,
    TrainableModel,
    require,
)
from ilf_kedro.language_models.registry import backend, backends
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.language_models.tables import completion_rows

if TYPE_CHECKING:
    from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source
    from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
    from ilf_kedro.language_models.openai.options import ApiOptions

__all__ = [
    "ApiOptions",
    "CachedModelEntry",
    "Capability",
    "Checkpoint",
    "Choice",
    "ChoiceModel",
    "ChoiceProbabilities",
    "Completion",
    "CompletionCache",
    "Embedder",
    "LanguageModel",
    "LikelihoodModel",
    "LocalLanguageModel",
    "Model",
    "ModelEntry",
    "ModelSource",
    "OpenAICompatibleLanguageModel",
    "SamplingOptions",
    "ScriptedLanguageModel",
    "TextGenerator",
    "TokenLogProbabilities",
    "TrainableModel",
    "backend",
    "backends",
    "completion_rows",
    "load_model_source",
    "require",
]

_LATE = {
    "ApiOptions": "openai.options",
    "LocalLanguageModel": "local.model",
    "OpenAICompatibleLanguageModel": "openai.model",
    "load_model_source": "local.model",
}


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
