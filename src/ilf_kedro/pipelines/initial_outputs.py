"""Initial outputs for data that have none: the base model writes them, before anything is refined."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Node, Pipeline

from ilf_kedro.language_models.protocol import Capability, LanguageModel
from ilf_kedro.pipelines.finetune.nodes import sample_base_outputs
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.requirements import asks
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import DataFrame, Examples, Subsets

__all__ = ["create_pipeline", "with_initial_outputs"]

# The splits whose examples are refined, under their names with an output; of train the largest subset is.
_ANSWERED: Mapping[str, str] = {
    f"examples.{split}": f"answered_examples.{split}" for split in ("train", "development", "validation")
}


def create_pipeline() -> Pipeline:
    """Create the nodes that give the examples of each split an output of the base model."""
    asked = ["base_model", "prompt.policy", "params:finetune", "params:seed"]
    created = []
    for examples, answered in _ANSWERED.items():
        split = examples.rpartition(".")[2]
        subsets = ["subsets"] if split == "train" else []
        inputs = [examples, *asked, *subsets]
        name = f"sample_initial_outputs_{split}"
        created.append(Node(sample_initial_outputs, inputs, answered, name=name, tags="language_model"))
    return Pipeline(created, namespace="refinement", prefix_datasets_with_namespace=False, tags="refinement")


def with_initial_outputs(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline with the examples that have an output of the base model in place of those without."""
    taken = {name: answered for name, answered in _ANSWERED.items() if name in pipeline.inputs()}
    return Pipeline(pipeline, inputs=taken) if taken else pipeline


@asks("the initial outputs", base_model=Capability.GENERATE)
def sample_initial_outputs(
    examples: DataFrame[Examples],
    base_model: LanguageModel,
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    subsets: DataFrame[Subsets] | None = None,
) -> DataFrame[Examples]:
    """Let the base model write an output for every example (of the largest of `subsets`, where given).

    An example for which it writes nothing has none.
    """
    chosen = examples if subsets is None else examples[examples["example_id"].isin(subsets["example_id"])]
    if chosen.empty:
        return examples
    asked = Examples.validate(chosen)
    outputs = sample_base_outputs(base_model, asked, template, options, seed, model_name="initial outputs")
    written = outputs[outputs["text"] != ""].set_index("example_id")["text"]
    return Examples.validate(examples.assign(initial_output=examples["example_id"].map(written)))
