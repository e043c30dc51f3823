"""Scorers: each says how good every refinement is; higher is better, null is undefined."""

from ilf_kedro.scoring.instruct_rm import instruct_rm_scores
from ilf_kedro.scoring.longest import longest_scores
from ilf_kedro.scoring.random_scorer import random_scores
from ilf_kedro.scoring.selection import select_best

__all__ = ["instruct_rm_scores", "longest_scores", "random_scores", "select_best"]
