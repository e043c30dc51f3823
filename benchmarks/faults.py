"""Ask 1,000 prompts of a server that fails in 30 % of all attempts, and count what became of them.

    python benchmarks/faults.py

Each prompt is asked for two samples. The server (tests/support/misbehaving_server.py) answers over real HTTP on this
machine; it knows what it was asked, what it sent and what it billed. A second pass asks for the same again.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import openai._base_client
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from ilf_kedro.language_models.cache.completion_cache import CompletionCache  # noqa: E402
from ilf_kedro.language_models.openai import client  # noqa: E402
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel  # noqa: E402
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions, Price  # noqa: E402
from ilf_kedro.language_models.protocol import Completion, SamplingOptions  # noqa: E402
from ilf_kedro.prompting import Prompt  # noqa: E402
from tests.support.misbehaving_server import (  # noqa: E402
    KEY,
    MisbehavingServer,
    fault_at_random,
    prompt_of,
    text_for,
)

PROMPTS = [Prompt(f"Post number {index}. Summary:", f"example-{index}") for index in range(1000)]


def main() -> None:
    """Print the counts."""
    logging.disable(logging.WARNING)
    openai._base_client.INITIAL_RETRY_DELAY = client.RETRY_SECONDS = 0.005
    openai._base_client.MAX_RETRY_DELAY = client.MAX_RETRY_SECONDS = 0.02
    server = MisbehavingServer()
    server.script, server.slow_seconds = fault_at_random, 2.5
    with tempfile.TemporaryDirectory() as folder:

        def model() -> OpenAICompatibleLanguageModel:
            options = ApiOptions(
                model="small", base_url=server.base_url, max_retries=8, concurrency=24, timeout_seconds=2, budget=50.0,
                prices={"small": Price(input=1.0, output=2.0)},
            )  # fmt: skip
            credentials = ApiCredentials(api_key=SecretStr(KEY))
            return OpenAICompatibleLanguageModel(
                options, credentials=credentials, cache=CompletionCache(Path(folder) / "c")
            )

        def ask(asked: OpenAICompatibleLanguageModel) -> list[list[Completion]]:
            return asked.generate(PROMPTS, range(2), SamplingOptions(), seed=3)

        first = model()
        rows = ask(first)
        attempts, billed = len(server.bodies), tuple(server.billed)
        again = ask(model())
    show(server, first, rows, attempts, billed)
    Console().print(f"asked again: {len(server.bodies) - attempts} requests, the same answers: {again == rows}")
    server.close()


def show(
    server: MisbehavingServer,
    model: OpenAICompatibleLanguageModel,
    rows: list[list[Completion]],
    attempts: int,
    billed: tuple[int, ...],
) -> None:
    """Print what the server did, what came of it, and what was counted."""
    sent: dict[str, set[str]] = {}
    for body in server.bodies:
        sent.setdefault(prompt_of(body), set()).update(text_for(body, index) for index in range(body["n"]))
    kept = [(prompt.text, each) for prompt, row in zip(PROMPTS, rows, strict=True) for each in row]
    good = [(asked, each.text) for asked, each in kept if each.finish_reason != "refused"]
    report, faults = model.spending, sum(server.faults.values())
    facts: dict[str, Callable[[], object]] = {
        "attempts, and faults among them": lambda: f"{attempts:,}, {faults:,} ({faults / attempts:.0%})",
        "samples asked for, and there": lambda: f"{2 * len(PROMPTS):,}, {len(kept):,}",
        "refused (content filter)": lambda: sum(each.finish_reason == "refused" for _, each in kept),
        "texts of another prompt": lambda: sum(text not in sent[asked] for asked, text in good),
        "texts given twice": lambda: len(good) - len(set(good)),
        "tokens the server billed (in, out)": lambda: billed,
        "tokens counted (in, out)": lambda: (report.usage.input_tokens, report.usage.output_tokens),
        "USD counted, and perhaps billed for lost answers": lambda: (
            f"{report.usd or 0:.4f}, {report.possibly_billed_usd:.4f}"
        ),
        "faults served": lambda: dict(sorted(server.faults.items())),
        "faults counted": lambda: dict(sorted(report.faults.items())),
    }
    table = Table("what", "count", show_lines=True)
    for name, fact in facts.items():
        table.add_row(name, str(fact()))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
