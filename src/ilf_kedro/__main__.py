"""Run the installed package: `python -m ilf_kedro --conf-source … --env …` is `kedro run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

__all__ = ["main"]


def main(*args: Any, **kwargs: Any) -> Any:
    """Run the project with the options of `kedro run`, without a project folder around it."""
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    run = find_run_command(package_name)
    return run(*args, standalone_mode=not hasattr(sys, "ps1"), **kwargs)


if __name__ == "__main__":
    main()
