"""Measure what finding answers costs that are all in the completion cache: CPU-seconds and memory.

    python benchmarks/cached.py [number of prompts, 20,000 by default]

The answers are put into a cache of a temporary folder under the keys that the model asks for; the model, a
small random one, is never loaded. Prompts have some 400 tokens, as InstructRM's.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import psutil
from rich.console import Console
from rich.table import Table

from ilf_kedro.language_models.cache.codecs import LOG_LIKELIHOODS, NUMBERS, completion_codec
from ilf_kedro.language_models.cache.completion_cache import CompletionCache, sample_key
from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source
from ilf_kedro.language_models.protocol import Choice, Completion, SamplingOptions, TokenLogProbabilities
from ilf_kedro.prompting import Prompt

MODEL = Path(__file__).parent.parent / "data" / "06_models" / "tiny-random-llama"
CHOICES = (Choice("Yes", ("Yes", " Yes", "YES")), Choice("No", ("No", " No", "NO")))
SAMPLING = SamplingOptions(max_new_tokens=48)
WORDS = [
    "the",
    "a",
    "of",
    "and",
    "to",
    "in",
    "that",
    "was",
    "his",
    "he",
    "it",
    "with",
    "is",
    "for",
    "as",
    "had",
    "you",
    "not",
    "be",
    "her",
    "on",
    "at",
    "by",
    "which",
    "have",
    "or",
    "from",
]


def main(n_prompts: int) -> None:
    """Print one row per question."""
    rng = random.Random(0)
    prompts = [Prompt(" ".join(rng.choices(WORDS, k=400)), f"e{index}", (0, 900)) for index in range(n_prompts)]
    texts = [" " + " ".join(rng.choices(WORDS, k=30)) for _ in prompts]
    table = Table("question", "answers", "CPU-seconds", "MiB more", title=f"{n_prompts:,} cached prompts")
    with tempfile.TemporaryDirectory() as folder:
        model = LocalLanguageModel(
            load_model_source("tiny", MODEL, format="chat"), cache=CompletionCache(Path(folder) / "cache.sqlite")
        )
        fill(model, prompts, texts)
        questions: dict[str, Callable[[], object]] = {
            "choice probabilities": lambda: model.choice_probabilities(prompts, CHOICES),
            "log-likelihoods, 30 tokens": lambda: model.log_likelihood(prompts, texts),
            "5 samples each, 48 tokens": lambda: model.generate(prompts, range(5), SAMPLING, seed=1),
        }
        for name, ask in questions.items():
            table.add_row(name, *measured(model, ask))
    Console().print(table)


def fill(model: LocalLanguageModel, prompts: list[Prompt], texts: list[str]) -> None:
    """Put an answer to every question into the cache."""
    cache, key = model.runtime.cache, model.runtime.prompt_key
    assert cache is not None
    asked = {"choices": [[choice.name, *choice.verbalizers] for choice in CHOICES]}
    cache.put_many({key("choice_probabilities", prompt, **asked): NUMBERS.write((-1.5, -0.9)) for prompt in prompts})
    tokens = TokenLogProbabilities(tuple(-index / 7 for index in range(30)), tuple((i, i + 3) for i in range(30)))
    cache.put_many(
        {
            key("log_likelihood", prompt, continuation=text): LOG_LIKELIHOODS.write(tokens)
            for prompt, text in zip(prompts, texts, strict=True)
        }
    )
    text = completion_codec(1).write(Completion("word " * 40, 48, "length", 1, tuple(-i / 9 for i in range(48))))
    own = {"sampling": SAMPLING.model_dump(mode="json"), "seed": 1}
    for prompt in prompts:
        base = key("generate", prompt, **own, id=prompt.example_id)
        cache.put_many({sample_key(base, index): text for index in range(5)})


def measured(model: LocalLanguageModel, ask: Callable[[], object]) -> tuple[str, str, str]:
    """Return how many answers came, what they cost in CPU time, and by how much the process grew."""
    process, hits = psutil.Process(), model.statistics.hits
    memory, began = process.memory_info().rss, time.process_time()
    answers = ask()
    spent, grown = time.process_time() - began, process.memory_info().rss - memory
    assert model.statistics.misses == 0, "every answer is in the cache"
    del answers
    return f"{model.statistics.hits - hits:,}", f"{spent:.2f}", f"{grown / 2**20:.0f}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
