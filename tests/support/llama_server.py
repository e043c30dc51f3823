"""llama.cpp's server with the embedded model: a real stranger to talk to over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ilf_kedro.language_models.checkpoints.embedded import gguf_file


@contextmanager
def llama_server(n_parallel: int = 4) -> Iterator[str]:
    """Run the server in this process; gives its base URL. Skips the test where xllamacpp is missing.

    A request may ask for `n_parallel` answers at most.
    """
    xllamacpp = pytest.importorskip("xllamacpp", reason="`pip install xllamacpp` runs this test")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf_file())
    parameters.n_parallel, parameters.n_ctx, parameters.port = n_parallel, 8192, 0
    # Waiting threads of llama.cpp spin: on a busy machine, two were fifty times slower than one.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server
