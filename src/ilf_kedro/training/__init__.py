"""Fitting language models: finetuning and reward models. torch is imported when a training begins."""

from ilf_kedro.training.examples import PreferencePair, TrainingExample, as_completion
from ilf_kedro.training.options import LoraOptions, TrainingOptions
from ilf_kedro.training.reward_model import fit_reward_model
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace

__all__ = [
    "LoraOptions",
    "PreferencePair",
    "TrainingExample",
    "TrainingOptions",
    "TrainingWorkspace",
    "as_completion",
    "fit_reward_model",
    "train_language_model",
]
