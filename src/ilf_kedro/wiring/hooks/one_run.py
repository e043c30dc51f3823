"""One run at a time in a process, whoever starts it."""

from __future__ import annotations

import threading
from collections.abc import Generator

from kedro.framework.hooks import hook_impl

from ilf_kedro.wiring.config_loader import ConfigurationError

__all__ = ["BusyError", "OneRunHook"]


class BusyError(ConfigurationError):
    """Another run is in progress in this process."""


class OneRunHook:
    """Refuses a run that begins while another is in progress, as two requests to a server may.

    Kedro's registry of pipelines and its resolvers are the process's own, and so are the weights in memory and the run
    record: a second run would change what the first one is.
    """

    def __init__(self) -> None:
        # Threads. One that begins anew has ended its earlier run, if by an interrupt, of which Kedro tells no hook.
        self._running_in: int | None = None
        self._prepared_by: int | None = None  # whose session built the registry last

    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        """Refuse a new session's registry while pipelines run.

        Raises:
            BusyError: another run is in progress.
        """
        self._refuse_second()
        self._prepared_by = threading.get_ident()

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self) -> Generator[None]:
        """Refuse to run pipelines that another thread's session may have built in the meantime.

        Raises:
            BusyError: another run is in progress, or was prepared at the same time.
        """
        self._refuse_second()
        if self._prepared_by != threading.get_ident():
            raise BusyError("two runs were started at the same time in this process; start this one again")
        self._running_in = threading.get_ident()
        try:
            yield
        except BaseException:
            self._running_in = None
            raise

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Let the next run begin."""
        self._running_in = None

    @hook_impl(wrapper=True)
    def on_pipeline_error(self) -> Generator[None]:
        """Let the next run begin, whatever the other hooks raise."""
        try:
            yield
        finally:
            self._running_in = None

    def _refuse_second(self) -> None:
        if self._running_in not in {None, threading.get_ident()}:
            raise BusyError("a run is in progress in this process; start this one when it has ended")
