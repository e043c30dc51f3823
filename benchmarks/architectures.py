"""Examine a tiny random model of every causal architecture, and print the table of docs/models.md into it.

Run from the project's root: `python benchmarks/architectures.py`, with names of architectures to see only those.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.support.every_architecture import KINDS, Finding, examine  # noqa: E402

DOCUMENT = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"


def look_at(kind: str) -> Finding:
    """Examine one architecture in a folder of its own, quietly."""
    import torch
    from transformers.utils import logging as transformers_logging

    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        return examine(kind, Path(scratch))


def table(findings: Iterable[Finding]) -> str:
    """Return the findings as Markdown."""
    import transformers

    rows = list(findings)
    kinds = Counter("refused" if f.refused else "not examined" if f.not_built else "answered" for f in rows)
    lines = [
        f"transformers {transformers.__version__} has {len(rows)} architectures with a causal class: "
        f"{kinds['answered']} are answered for, {kinds['refused']} refused, {kinds['not examined']} not examined.",
        "",
        "| architecture | engine | scoring | choices | sampling | after training |",
        "|---|---|---|---|---|---|",
    ]
    for f in rows:
        if f.refused or f.not_built:
            said = f"refused: {f.refused}" if f.refused else f"not examined: {f.not_built}"
            lines.append(f"| {f.kind} | {said.replace('|', ' ')} | | | | |")
        else:
            numbers = f"{f.scoring:.0e} | {f.choices:.0e}"
            lines.append(f"| {f.kind} | {f.engine} | {numbers} | {f.sampling} | {f.trained.replace('|', ' ')} |")
    return "\n".join(lines)


def main(kinds: list[str]) -> int:
    """Examine architectures in two processes; write the table where all were asked for, else print it."""
    with get_context("spawn").Pool(2, maxtasksperchild=10) as pool:  # some leave much memory behind
        findings = pool.map(look_at, kinds or KINDS, chunksize=1)
    text = table(findings)
    if kinds:
        sys.stdout.write(text + "\n")
    else:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return int(any(not finding.right for finding in findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
