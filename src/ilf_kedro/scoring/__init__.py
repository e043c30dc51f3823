"""Scorers: each says how good every refinement is; higher is better, null is undefined."""

from ilf_kedro.scoring.classifier import classifier_scores
from ilf_kedro.scoring.embedding_similarity import embedding_similarity_scores
from ilf_kedro.scoring.ensemble import EnsembleOptions, ensemble_scores
from ilf_kedro.scoring.instruct_rm import instruct_rm_scores, template_disagreement
from ilf_kedro.scoring.log_probability import log_probability_scores
from ilf_kedro.scoring.longest import longest_scores
from ilf_kedro.scoring.names import scores_of
from ilf_kedro.scoring.random_scorer import random_scores
from ilf_kedro.scoring.registry import Scorer, scorer, scorers
from ilf_kedro.scoring.reward_model import reward_model_scores
from ilf_kedro.scoring.selection import select_best, select_top
from ilf_kedro.scoring.tables import count_undefined, refinement_table
from ilf_kedro.scoring.verifier import VerifierOptions, verifier_scores

__all__ = [
    "EnsembleOptions",
    "Scorer",
    "VerifierOptions",
    "classifier_scores",
    "count_undefined",
    "embedding_similarity_scores",
    "ensemble_scores",
    "instruct_rm_scores",
    "log_probability_scores",
    "longest_scores",
    "random_scores",
    "refinement_table",
    "reward_model_scores",
    "scorer",
    "scorers",
    "scores_of",
    "select_best",
    "select_top",
    "template_disagreement",
    "verifier_scores",
]
