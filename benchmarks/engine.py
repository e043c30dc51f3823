"""Measure the local engine against one prompt and one sample at a time, in one process.

    python benchmarks/engine.py                # five interleaved runs, about an hour on two cores
    python benchmarks/engine.py --quick        # one run of smaller cases, some minutes

Figures are ratios of CPU-seconds per answer token (generation) or per answer, medians over interleaved
runs. The oracle is the one that the tests compare with (tests/language_models/naive.py).
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "language_models"))

import naive  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from ilf_kedro.language_models.local import LocalLanguageModel, LocalOptions, load_model_source  # noqa: E402
from ilf_kedro.language_models.packing import pack  # noqa: E402
from ilf_kedro.language_models.protocol import Choice, SamplingOptions  # noqa: E402
from ilf_kedro.prompting import Prompt, PromptTemplate  # noqa: E402

TEXT = (
    "my friend and I moved to the city last year because she found work there and now her family wants us back "
    "while the dog is ill which makes everyone sad so what would you do if your boss said that the money is gone"
)
# The order of the paper's code: each structure's own text stands before what all share.
REFERENCE_ORDER = (
    "You will see a post, a summary, feedback on it and a new summary. Decide whether the new one follows it.\n\n"
    "Post: {post}\n\nSummary: {initial_summary}\n\nFeedback: {feedback}\n\nNew summary: {refinement}\n\n"
    "Does the new summary incorporate the feedback? Answer Yes or No.\n\nAnswer:",
    "Post: {post}\n\nOriginal summary: {initial_summary}\n\nFeedback: {feedback}\n\nNew summary: {refinement}\n\n"
    "Question: Is the feedback incorporated?\n\nAnswer:",
    "A summary was revised after feedback. Judge the statement at the end.\n\nPost: {post}\n\nSummary: "
    "{initial_summary}\n\nFeedback: {feedback}\n\nNew summary: {refinement}\n\nThe feedback is followed. Answer "
    "True or False.\n\nAnswer:",
    "Question: does a new summary use the feedback?\n\nPost: {post}\n\nQuestion: does a new summary use the "
    "feedback?\n\nSummary: {initial_summary}\n\nFeedback: {feedback}\n\nNew summary: {refinement}\n\nAnswer:",
    "Feedback: {feedback}\n\nPost: {post}\n\nSummary: {initial_summary}\n\nFeedback: {feedback}\n\nNew summary: "
    "{refinement}\n\nThe new summary follows the feedback. Answer True or False.\n\nAnswer:",
)


@dataclass
class Case:
    """Two ways to the same answers; each returns how many answer tokens (or answers) it gave."""

    name: str
    engine: Callable[[], int]
    oracle: Callable[[], int]
    shared: str = ""
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"engine": [], "oracle": []})

    def measure(self) -> None:
        """Run both ways once, and note the CPU-seconds per answer token or answer."""
        for way in ("oracle", "engine"):
            begin = time.process_time()
            n = getattr(self, way)()
            self.seconds[way].append((time.process_time() - begin) / n)

    def row(self) -> tuple[str, ...]:
        """Return the medians as a row of the table."""
        engine, oracle = (statistics.median(self.seconds[way]) for way in ("engine", "oracle"))
        return self.name, f"{1 / oracle:.2f}", f"{1 / engine:.2f}", f"{oracle / engine:.2f}", self.shared


class Bench:
    """A model under both ways, and the cases made for it."""

    def __init__(self, directory: Path, dtype: str, seed: int) -> None:
        self.model = LocalLanguageModel(
            load_model_source(directory.name, directory, dtype=dtype), options=LocalOptions(device="cpu")
        )
        self.reference = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype)).eval()
        self.random = random.Random(seed)
        self.model.log_likelihood([Prompt("Warm")], [" up"])

    def words(self, n: int) -> str:
        """Return n random words."""
        return " ".join(self.random.choices(TEXT.split(), k=n))

    def tokens(self, text: str) -> list[int]:
        """Return a text's tokens in plain format."""
        return list(self.model.formatter.bare(text))

    def prompts(self, n: int, length: int) -> list[Prompt]:
        """Return n prompts of about `length` tokens."""
        sizes = [int(length * self.random.uniform(0.86, 1.14)) for _ in range(n)]
        texts = [f"Summarise the post.\n\nPost: {self.words(size)}\n\nTL;DR:" for size in sizes]
        return [Prompt(text, f"example-{index}") for index, text in enumerate(texts)]

    def generation(self, name: str, n_prompts: int, n_samples: int, n_naive: int, length: int = 330) -> Case:
        """Sample up to 48 tokens, N per prompt, against one sample at a time."""
        prompts, options = self.prompts(n_prompts, length), SamplingOptions(max_new_tokens=48)
        seeds = iter(range(10_000))

        def engine() -> int:
            rows = self.model.generate(prompts, range(n_samples), options, seed=next(seeds))
            return sum(completion.n_tokens + 1 for row in rows for completion in row)

        def oracle() -> int:
            drawn = [
                naive.generate(self.reference, self.tokens(prompt.text), options, frozenset([2]), 0, "", index)[0]
                for index, prompt in enumerate((prompts * n_naive)[:n_naive])
            ]
            return sum(len(tokens) + 1 for tokens in drawn)

        return Case(name, engine, oracle)

    def transformers_generate(self, name: str, n_samples: int, n_naive: int) -> Case:
        """Measure what people would use instead: model.generate(num_return_sequences=N)."""
        case = self.generation(name, 2, n_samples, n_naive)
        prompt = self.tokens(self.prompts(1, 330)[0].text)

        def generate() -> int:
            ids = torch.tensor([prompt])
            out = self.reference.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_p=0.95,
                top_k=0,
                max_new_tokens=48,
                num_return_sequences=n_samples,
            )
            lengths = (out[:, ids.shape[1] :] != 2).sum(1) + 1
            return int(lengths.clamp(max=48).sum())

        return Case(name, generate, case.oracle)

    def instruct_rm(self, name: str, templates: list[PromptTemplate], n_naive: int) -> Case:
        """Ask five templates about five refinements of one example."""
        values = {"title": self.words(8), "post": self.words(260), "initial_summary": self.words(25)}
        values["feedback"] = self.words(25)
        refinements = [self.words(28) for _ in range(5)]
        prompts = [
            template.render(**{k: v for k, v in {**values, "refinement": text}.items() if k in template.slots})
            for template in templates
            for text in refinements
        ]
        choices = (Choice("yes", ("Yes", " Yes")), Choice("no", ("No", " No")))
        sequences = [self.tokens(prompt.text) for prompt in prompts]

        def engine() -> int:
            return len(self.model.choice_probabilities(prompts, choices))

        def oracle() -> int:
            step = max(len(sequences) // n_naive, 1)
            return len([naive.next_log_probabilities(self.reference, tokens) for tokens in sequences[::step]])

        return Case(name, engine, oracle, _shared(sequences))

    def log_likelihood(self, name: str, n_naive: int, *, joint: bool) -> Case:
        """The text of r|xyf, or, joint, all of post, summary, feedback and refinement."""
        post, summary, feedback = self.words(250), self.words(25), self.words(25)
        head = "Write a better summary with the feedback.\n\nPost:"
        rest = f" {post}\n\nSummary: {summary}\n\nFeedback: {feedback}\n\nBetter summary:"
        refinements = [" " + self.words(28) for _ in range(5)]
        prompts = [Prompt(head if joint else head + rest)] * 5
        continuations = [rest + text if joint else text for text in refinements]
        sequences = [self.tokens(prompt.text + text) for prompt, text in zip(prompts, continuations, strict=True)]
        start = len(self.tokens(prompts[0].text))

        def engine() -> int:
            return len(self.model.log_likelihood(prompts, continuations))

        def oracle() -> int:
            some = sequences[:n_naive]
            return len([naive.token_log_probabilities(self.reference, tokens, start) for tokens in some])

        return Case(name, engine, oracle, _shared(sequences))


def _shared(sequences: list[list[int]]) -> str:
    packing = pack(sequences)
    return f"{len(packing.tokens)}/{packing.n_tokens} = 1/{packing.n_tokens / len(packing.tokens):.2f}"


def our_templates() -> list[PromptTemplate]:
    """The project's own five structures, where they are there."""
    files = sorted((ROOT / "conf" / "base" / "prompts").glob("instruct_rm_[1-5].yml"))
    return [PromptTemplate.model_validate(yaml.safe_load(file.read_text())) for file in files]


def reference_templates() -> list[PromptTemplate]:
    slots = frozenset({"post", "initial_summary", "feedback", "refinement"})
    return [PromptTemplate(text=text, slots=slots, truncate=None) for text in REFERENCE_ORDER]


def make_cases(bench: Bench, dtype: str, *, quick: bool) -> list[Case]:
    n = 2 if quick else 5
    cases = [
        bench.generation(f"{dtype}: 5 × 48 tokens, 8 prompts", 8, 5, n),
        bench.transformers_generate(f"{dtype}: generate(num_return_sequences=5)", 5, n),
        bench.generation(f"{dtype}: best of 64", 1, 64, n),
        bench.instruct_rm(f"{dtype}: InstructRM 5 × 5, reference order", reference_templates(), 5 if quick else 25),
        bench.instruct_rm(f"{dtype}: InstructRM 5 × 5, our order", our_templates(), 5 if quick else 25),
        bench.log_likelihood(f"{dtype}: log-likelihood of 5 refinements", n, joint=False),
        bench.log_likelihood(f"{dtype}: joint log-likelihood of 5 texts", n, joint=True),
    ]
    if not quick:
        cases += [bench.generation(f"{dtype}: N = {size}, 4 prompts", 4, size, n) for size in (1, 2, 10, 20)]
        cases += [bench.generation(f"{dtype}: 5 × 48, {size} prompts", size, 5, n) for size in (1, 2, 4, 16)]
        cases += [bench.generation(f"{dtype}: 5 × 48, {size}-token prompts", 4, 5, n, size) for size in (100, 800)]
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "data" / "06_models" / "smollm2-135m-instruct")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--runs", type=int, default=5, help="interleaved runs; medians are shown")
    parser.add_argument("--only", default="", help="only the cases whose names contain this")
    parser.add_argument("--quick", action="store_true", help="one run of smaller cases")
    arguments = parser.parse_args()
    table = Table("case", "naive /CPU-s", "here /CPU-s", "ratio", "unique/total tokens", title="Local engine")
    for dtype in arguments.dtypes:
        bench = Bench(arguments.model, dtype, seed=0)
        cases = [case for case in make_cases(bench, dtype, quick=arguments.quick) if arguments.only in case.name]
        for _ in range(1 if arguments.quick else arguments.runs):
            for case in cases:
                case.measure()
                print("  ".join(case.row()), file=sys.stderr)
        for case in cases:
            table.add_row(*case.row())
    Console(width=130).print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{torch.get_num_threads()} threads; peak memory {peak:.2f} GiB, two copies of the model included")


if __name__ == "__main__":
    main()
