"""The options of the pipelines word_removal and word_removal_probe."""

from __future__ import annotations

from pydantic import Field

from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.pipelines.names import each_once
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.schemas import Options
from ilf_kedro.training.options import TrainingOptions

_GREEDY = SamplingOptions(temperature=0, max_new_tokens=64)


class WordRemovalProbeOptions(Options):
    """The paper's probe, asked of any language models of the catalog.

    `n_per_combination` sentences are drawn for each of the 27 combinations of word count and number to remove
    (paper: 50, so 1,350 sentences).
    """

    models: tuple[str, ...] = Field(default=("base_model",), min_length=1)
    n_per_combination: int = Field(default=50, ge=1)
    sampling: SamplingOptions = _GREEDY
    confidence: float = Field(default=0.95, gt=0, lt=1)

    _each_once = each_once("model", "models")


class AnnotatorOptions(Options):
    """The hidden annotator: which words are objected to follows from this seed alone, and no other node has it."""

    seed: int = Field(default=0, ge=0)
    n_objections: int = Field(default=8, ge=1, le=20)


class NotesOptions(Options):
    """How many notes there are: `n_train` to learn from in each round, `n_test` unseen ones.

    A note has at most `most_words` mildly rude words.
    """

    n_demonstrations: int = Field(default=100, ge=1)
    n_train: int = Field(default=200, ge=2)
    n_test: int = Field(default=200, ge=2)
    most_words: int = Field(default=10, ge=4, le=10)


class RefinerOptions(Options):
    """The refinement model's written examples, and its training.

    `share_without_feedback` of them do not show the feedback, so that the model can also be asked without it.
    """

    n_written: int = Field(default=500, ge=1)
    most_words: int = Field(default=10, ge=4, le=10)
    share_without_feedback: float = Field(default=0.1, ge=0, lt=1)
    training: TrainingOptions = TrainingOptions()


class PolicyOptions(Options):
    """How the policy is finetuned, equally in every arm, and how it answers."""

    training: TrainingOptions = TrainingOptions()
    sampling: SamplingOptions = _GREEDY


class WordRemovalOptions(Options):
    """The loop that learns what a hidden annotator wants."""

    annotator: AnnotatorOptions = AnnotatorOptions()
    notes: NotesOptions = NotesOptions()
    demonstration_training: TrainingOptions = TrainingOptions()
    refiner: RefinerOptions = RefinerOptions()
    refinements: RefinementOptions = RefinementOptions(n_refinements=3, max_tries=3)
    policy: PolicyOptions = PolicyOptions()
    confidence: float = Field(default=0.95, gt=0, lt=1)
    bootstrap_resamples: int = Field(default=2000, ge=100)
