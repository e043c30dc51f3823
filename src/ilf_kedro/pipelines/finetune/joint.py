"""The arm feedback_and_refinement at test: one text of both, taken apart by a strict parser."""

from __future__ import annotations

import logging

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import TrainableModel
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.prompting import PromptTemplate, cleaner, prompts_of
from ilf_kedro.prompting.joint_outputs import parse_joint_output
from ilf_kedro.schemas import DataFrame, Examples, JointOutputs, Outputs, text_or_empty

logger = logging.getLogger(__name__)

SPLIT = "split"


def sample_joint_outputs(
    base_model: TrainableModel,
    checkpoint: Checkpoint,
    examples: DataFrame[Examples],
    base_outputs: DataFrame[Outputs],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    *,
    model_name: str,
) -> DataFrame[JointOutputs]:
    """Let the model write feedback on the initial output of each test input, and its refinement.

    The initial output is the split's, or else the base model's. Outputs that the parser refuses are kept with
    what was wrong, and counted in the log.
    """
    asked = _with_initial_outputs(examples, base_outputs)
    sampling = options.sampling.model_copy(update={"max_new_tokens": options.joint_max_new_tokens})
    model = base_model.with_checkpoint(checkpoint)
    drawn = model.generate(
        prompts_of(asked, template), range(1), sampling, seed=seed, label=f"feedback and refinements, {model_name}"
    )
    rows, clean = [], cleaner(template.clean)
    for row, (completion,) in zip(asked.to_dict("records"), drawn, strict=True):
        parsed = parse_joint_output(completion.text)
        rows.append(
            {
                **{key: row[key] for key in ("example_id", "output_by", "initial_output")},
                "model": model_name,
                "status": parsed.status,
                "feedback": parsed.feedback,
                "refinement": clean(parsed.refinement, False),
                "raw_text": completion.text,
                "finish_reason": completion.finish_reason,
                "n_tokens": completion.n_tokens,
                "seed": completion.seed,
            }
        )
    outputs = pd.DataFrame(rows)[JointOutputs.column_names()]
    counts = outputs["status"].value_counts().to_dict()
    logger.info("%s: %s", model_name, ", ".join(f"{count} {status}" for status, count in counts.items()))
    return JointOutputs.validate(outputs)


def joint_outputs(outputs: DataFrame[JointOutputs]) -> DataFrame[Outputs]:
    """Take the refinements as the model's outputs: empty where the output could not be taken apart."""
    table = outputs.assign(text=outputs["refinement"], sample_index=0)
    return Outputs.validate(table[Outputs.column_names()])


def _with_initial_outputs(examples: DataFrame[Examples], base_outputs: DataFrame[Outputs]) -> pd.DataFrame:
    own = examples["initial_output"].map(text_or_empty).str.strip()
    first = base_outputs[base_outputs["sample_index"] == 0].set_index("example_id")
    of_base = examples["example_id"].map(first["text"]).map(text_or_empty)
    return examples.assign(
        initial_output=own.where(own != "", of_base),
        output_by=[
            SPLIT if text else name for text, name in zip(own, examples["example_id"].map(first["model"]), strict=True)
        ],
    )
