"""Starts the processes of a training: `python -m ilf_kedro.training.launcher specification.json logs`.

Started by distributed.py. torch's elastic launcher says which process failed first, and this writes it down.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ilf_kedro.training.distributed import Failure, Specification, failure_file


def main(file: Path, logs: Path) -> int:
    """Run the processes of a specification to their end; return the exit status."""
    specification = Specification.model_validate_json(file.read_bytes())
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=specification.options.processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # any free port
        local_addr="127.0.0.1",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(logs), redirects=Std.ERR),
    )
    try:
        elastic_launch(config, sys.executable)("-m", "ilf_kedro.training.worker", str(file))
    except ChildFailedError as error:
        rank, process = error.get_first_failure()
        failure = Failure(rank=rank, exit_code=process.exitcode)
        failure_file(logs).write_text(failure.model_dump_json(), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
