"""The cases of benchmarks/engine.py: one piece of work by the engine, naively, and by what people use instead."""

from __future__ import annotations

import json
import math
import random
import sys
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
import yaml  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from ilf_kedro.language_models.local.kernels.packing import pack  # noqa: E402
from ilf_kedro.language_models.local.model import LocalLanguageModel, LocalOptions, load_model_source  # noqa: E402
from ilf_kedro.language_models.protocol import Choice, SamplingOptions  # noqa: E402
from ilf_kedro.prompting import Prompt, PromptTemplate  # noqa: E402
from tests.support import naive  # noqa: E402
from tests.support.llama_server import llama_server  # noqa: E402

TEXT = (
    "my friend and I moved to the city last year because she found work there and now her family wants us back "
    "while the dog is ill which makes everyone sad so what would you do if your boss said that the money is gone"
)
# The order of the paper's code: each structure's own text stands before what all share.
REFERENCE_ORDER = (
    "You will see an input, an output, feedback on it and a new output. Decide whether the new one follows it.\n\n"
    "Post: {{ post }}\n\nOutput: {{ initial_output }}\n\nFeedback: {{ feedback }}\n\nNew output: {{ refinement }}\n\n"
    "Does the new output incorporate the feedback? Answer Yes or No.\n\nAnswer:",
    "Post: {{ post }}\n\nOriginal output: {{ initial_output }}\n\nFeedback: {{ feedback }}\n\n"
    "New output: {{ refinement }}\n\n"
    "Question: Is the feedback incorporated?\n\nAnswer:",
    "An output was revised after feedback. Judge the statement at the end.\n\nPost: {{ post }}\n\nOutput: "
    "{{ initial_output }}\n\nFeedback: {{ feedback }}\n\nNew output: {{ refinement }}\n\n"
    "The feedback is followed. Answer "
    "True or False.\n\nAnswer:",
    "Question: does a new output use the feedback?\n\nPost: {{ post }}\n\nQuestion: does a new output use the "
    "feedback?\n\nOutput: {{ initial_output }}\n\nFeedback: {{ feedback }}\n\nNew output: {{ refinement }}\n\nAnswer:",
    "Feedback: {{ feedback }}\n\nPost: {{ post }}\n\nOutput: {{ initial_output }}\n\nFeedback: {{ feedback }}\n\n"
    "New output: "
    "{{ refinement }}\n\nThe new output follows the feedback. Answer True or False.\n\nAnswer:",
)


@dataclass(frozen=True)
class Case:
    """Two ways to the same answers; each returns how many answer tokens (or answers) it gave.

    `shared` is unique/total tokens; `difference` says how far the two ways' answers lie apart;
    `once`: a row that shows how the engine grows, which one run is enough for.
    """

    name: str
    way: Callable[[], int]
    oracle: Callable[[], int]
    shared: str = ""
    difference: Callable[[], str] | None = None
    once: bool = False


class Bench:
    """A model under both ways, and the cases made for it."""

    def __init__(self, directory: Path, dtype: str, seed: int) -> None:
        self.model = LocalLanguageModel(
            load_model_source(directory.name, directory, dtype=dtype), options=LocalOptions(device="cpu")
        )
        self.reference = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype)).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.random = random.Random(seed)
        self.resources = ExitStack()
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

        def difference() -> str:
            greedy = SamplingOptions(temperature=0, max_new_tokens=48)
            some = prompts[:4]
            rows = self.model.generate(some, range(1), greedy, seed=0)
            texts = [
                self.tokenizer.decode(
                    naive.generate(self.reference, self.tokens(prompt.text), greedy, frozenset([2]), 0, "", 0)[0]
                )
                for prompt in some
            ]
            equal = sum(row[0].text == text for row, text in zip(rows, texts, strict=True))
            return f"{equal} of {len(some)} greedy texts equal"

        return Case(name, engine, oracle, difference=difference if n_prompts == 8 else None)

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

    def llama_cpp(self, name: str, n_samples: int, n_naive: int) -> Case:
        """Measure what people would use instead: llama.cpp's server on the 4-bit file, n = N, one prompt a request."""
        case = self.generation(name, 2, n_samples, n_naive)
        prompts = iter([prompt.text for prompt in self.prompts(64, 330)])  # a new one each time: it keeps prompts
        url = self.resources.enter_context(llama_server(n_samples))

        def complete() -> int:
            body = {"prompt": next(prompts), "n": n_samples, "max_tokens": 48, "temperature": 1.0, "top_p": 0.95}
            request = urllib.request.Request(
                f"{url}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as reply:
                choices = json.load(reply)["choices"]  # its usage counts one of them alone
            return sum(len(self.tokens(choice["text"])) for choice in choices)

        return Case(name, complete, case.oracle)

    def instruct_rm(self, name: str, templates: list[PromptTemplate], n_naive: int) -> Case:
        """Ask five templates about five refinements of one example."""
        values = {"title": self.words(8), "post": self.words(260), "initial_output": self.words(25)}
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

        def difference() -> str:
            ids = [[self.tokens(text)[-1] for text in choice.verbalizers] for choice in choices]
            worst = 0.0
            for answer, tokens in zip(self.model.choice_probabilities(prompts, choices), sequences, strict=True):
                p = naive.next_log_probabilities(self.reference, tokens).exp()
                yes, no = (float(p[verbalizers].sum()) for verbalizers in ids)
                worst = max(worst, abs(yes / (yes + no) - math.exp(answer.log_probabilities[0])))
            return f"p {worst:.1e}"

        return Case(name, engine, oracle, _shared(sequences), difference)

    def log_likelihood(self, name: str, n_naive: int, *, joint: bool) -> Case:
        """The text of r|xyf, or, joint, all of post, output, feedback and refinement."""
        post, output, feedback = self.words(250), self.words(25), self.words(25)
        head = "Write a better output with the feedback.\n\nPost:"
        rest = f" {post}\n\nOutput: {output}\n\nFeedback: {feedback}\n\nBetter output:"
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

        def difference() -> str:
            answers = self.model.log_likelihood(prompts, continuations)
            expected = [naive.token_log_probabilities(self.reference, tokens, start) for tokens in sequences]
            worst = max(
                abs(ours - theirs)
                for answer, row in zip(answers, expected, strict=True)
                for ours, theirs in zip(answer.log_probabilities, row, strict=True)
            )
            return f"ln p {worst:.1e}"

        return Case(name, engine, oracle, _shared(sequences), difference)


def _shared(sequences: list[list[int]]) -> str:
    packing = pack(sequences)
    return f"{len(packing.tokens)}/{packing.n_tokens} = 1/{packing.n_tokens / len(packing.tokens):.2f}"


def our_templates() -> list[PromptTemplate]:
    """The project's own five structures, where they are there."""
    files = sorted((ROOT / "conf" / "base" / "prompts").glob("instruct_rm_[1-5].yml"))
    return [PromptTemplate.model_validate(yaml.safe_load(file.read_text())) for file in files]


def reference_templates() -> list[PromptTemplate]:
    return [PromptTemplate(text=text) for text in REFERENCE_ORDER]


def make_cases(bench: Bench, dtype: str, *, quick: bool) -> list[Case]:
    """Return the cases with targets, and, unless quick, how the engine grows and what others do."""
    n = 2 if quick else 3
    cases = [
        bench.generation(f"{dtype}: 5 × 48 tokens, 8 prompts", 8, 5, n),
        bench.transformers_generate(f"{dtype}: generate(num_return_sequences=5)", 5, n),
        bench.generation(f"{dtype}: best of 64", 1, 64, n),
        bench.instruct_rm(f"{dtype}: InstructRM 5 × 5, reference order", reference_templates(), 5 if quick else 8),
        bench.instruct_rm(f"{dtype}: InstructRM 5 × 5, our order", our_templates(), 5 if quick else 8),
        bench.log_likelihood(f"{dtype}: log-likelihood of 5 refinements", n, joint=False),
        bench.log_likelihood(f"{dtype}: joint log-likelihood of 5 texts", n, joint=True),
    ]
    if dtype == "float32":
        cases.insert(2, bench.llama_cpp("llama.cpp, 4-bit: n = 5", 5, n))
    if not quick:
        growth = [bench.generation(f"{dtype}: N = {size}, 4 prompts", 4, size, 2) for size in (1, 2, 10, 20)]
        growth += [bench.generation(f"{dtype}: 5 × 48, {size} prompts", size, 5, 2) for size in (1, 2, 4, 16)]
        growth += [bench.generation(f"{dtype}: 5 × 48, {size}-token prompts", 4, 5, 2, size) for size in (100, 800)]
        cases += [replace(case, once=True) for case in growth]
    return cases
