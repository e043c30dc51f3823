"""What every kedro command pays before it does anything."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import sys
import ilf_kedro.settings
from ilf_kedro.pipeline_registry import register_pipelines
register_pipelines()
slow = {"torch", "transformers", "peft", "openai", "scipy.stats", "statsmodels", "nltk", "sklearn", "datasets"}
print(sorted(slow & set(sys.modules)))
"""


def test_the_pipelines_are_known_without_any_slow_library() -> None:
    """Seconds of every command, and of every node that asks a server: what a node needs it imports itself."""
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "[]"
