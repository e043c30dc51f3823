"""The loop on a task that can be checked: does the policy learn what a hidden annotator wants?"""

from ilf_kedro.pipelines.word_removal.pipeline import ARMS, create_pipeline

__all__ = ["ARMS", "create_pipeline"]
