"""What came out: win rates, log-likelihoods, overlap, length, and how sure one can be of them."""

from ilf_kedro.evaluation.intervals import Estimate
from ilf_kedro.evaluation.judging import judge_outputs
from ilf_kedro.evaluation.reward_models import calibration, pairwise_accuracy
from ilf_kedro.evaluation.text_metrics import rouge_l
from ilf_kedro.evaluation.win_rates import outcomes_from_verdicts, win_rates_from_rankings

__all__ = [
    "Estimate",
    "calibration",
    "judge_outputs",
    "outcomes_from_verdicts",
    "pairwise_accuracy",
    "rouge_l",
    "win_rates_from_rankings",
]
