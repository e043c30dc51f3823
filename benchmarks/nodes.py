"""CPU-seconds of language-model work per node of a run on the embedded data, against the naive oracle.

    python benchmarks/nodes.py [--env test] [--pipelines selection] [--sample 4]

Runs the pipelines with an empty cache in a copy of the project, takes down what every node asked of its local
language models and what that cost, and then asks some of the same questions one prompt and one sample at a
time. The naive cost of a node is that of its sample, scaled to all of its questions. Loading is not counted.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from kedro.framework.project import configure_project  # noqa: E402
from kedro.framework.session import KedroSession  # noqa: E402
from kedro.pipeline.node import Node  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from ilf_kedro.language_models.local.loading import load_weights  # noqa: E402
from ilf_kedro.language_models.local.model import LocalLanguageModel  # noqa: E402
from ilf_kedro.language_models.local.resident import LOADED_MODEL  # noqa: E402
from ilf_kedro.language_models.local.runtime import LocalRuntime  # noqa: E402
from tests.support import naive  # noqa: E402
from tests.support.whole_project import WholeProject  # noqa: E402


@dataclass
class Work:
    """What one node asked of one model: naive ways to each answer, and the engine's CPU-seconds for all."""

    runtime: LocalRuntime
    questions: list[Callable[[Any], object]] = field(default_factory=list)
    seconds: float = 0.0

    def naive_seconds(self, sample: int) -> float:
        """Answer a sample of the questions one by one, and scale what it took to all of them."""
        chosen = random.Random(0).sample(self.questions, min(sample, len(self.questions)))
        runtime = self.runtime
        network = load_weights(runtime.source, runtime.checkpoint, runtime.dtype, runtime.device)
        chosen[0](network)  # warms up
        began = time.process_time()
        for ask in chosen:
            ask(network)
        return (time.process_time() - began) / len(chosen) * len(self.questions)


class Recorder:
    """Takes down every request to a local language model, by node."""

    def __init__(self) -> None:
        self.work: dict[tuple[str, str], Work] = {}
        self._node = ""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Put the recorder between nodes and models."""
        run, generate, scoring = Node.run, LocalLanguageModel.generate, LocalRuntime.scoring
        recorder = self

        def run_node(node: Node, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
            recorder._node = node.name
            return run(node, inputs)

        def timed_generate(
            model: LocalLanguageModel, prompts: Sequence[Any], sample_indices: range, options: Any, **rest: Any
        ) -> Any:
            work = recorder._find(model.runtime)
            ends = frozenset({model.formatter.tokenizer.eos_token_id})
            for prompt in prompts:
                tokens = model.formatter.prompt(prompt, options.max_new_tokens).tokens
                for i in sample_indices:
                    work.questions.append(
                        lambda network, tokens=tokens, i=i, id_=prompt.example_id: naive.generate(
                            network, tokens, options, ends, rest["seed"], id_, i
                        )
                    )
            return recorder._time(work, lambda: generate(model, prompts, sample_indices, options, **rest))

        def timed_scoring(runtime: LocalRuntime, requests: Sequence[Any], **options: Any) -> Any:
            work = recorder._find(runtime)
            for sequences, start in requests:
                longest = max(sequences, key=len)
                work.questions.append(lambda network, tokens=longest, start=start: _score(network, tokens, start))
            compute = scoring(runtime, requests, **options)
            return lambda batch: recorder._time(work, lambda: compute(batch))

        Node.run, LocalLanguageModel.generate, LocalRuntime.scoring = run_node, timed_generate, timed_scoring  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            Node.run, LocalLanguageModel.generate, LocalRuntime.scoring = run, generate, scoring  # type: ignore[method-assign]

    def _find(self, runtime: LocalRuntime) -> Work:
        return self.work.setdefault((self._node, runtime.revision), Work(runtime))

    def _time(self, work: Work, ask: Callable[[], Any]) -> Any:
        with work.runtime.loaded():  # so that loading is not counted
            pass
        began = time.process_time()
        answers = ask()
        work.seconds += time.process_time() - began
        return answers


def _score(network: Any, tokens: Sequence[int], start: int) -> object:
    """Score a continuation naively; of an answer of one token, only the next token's distribution is needed."""
    if start == len(tokens) - 1:
        return naive.next_log_probabilities(network, tokens[:start])
    return naive.token_log_probabilities(network, tokens, start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env")
    parser.add_argument("--pipelines", nargs="+", default=["__default__"])
    parser.add_argument("--sample", type=int, default=4, help="questions per node that are asked naively")
    arguments = parser.parse_args()
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        project = WholeProject.create(Path(folder) / "project")
        os.chdir(project.path)
        configure_project("ilf_kedro")
        with recorder.watching(), KedroSession.create(project.path, env=arguments.env) as session:
            session.run(pipeline_names=arguments.pipelines)
        LOADED_MODEL.release()
        report(recorder.work, arguments.sample)


def report(work: dict[tuple[str, str], Work], sample: int) -> None:
    """Print the table, and the ratio of all nodes together."""
    table = Table("node", "questions", "engine, CPU-s", "naive, CPU-s", "ratio", title="Language-model work per node")
    totals = [0.0, 0.0]
    for (node, _), done in work.items():
        expected = done.naive_seconds(sample)
        totals = [totals[0] + done.seconds, totals[1] + expected]
        cells = (
            f"{len(done.questions):,}",
            f"{done.seconds:.1f}",
            f"{expected:.0f}",
            f"{expected / done.seconds:.1f}×",
        )
        table.add_row(node, *cells)
    table.add_row("all", "", f"{totals[0]:.1f}", f"{totals[1]:.0f}", f"{totals[1] / totals[0]:.1f}×")
    Console(width=130).print(table)
    print(f"{torch.get_num_threads()} threads; {sample} questions per node were asked naively")


if __name__ == "__main__":
    main()
