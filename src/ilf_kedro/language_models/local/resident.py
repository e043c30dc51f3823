"""One language model in memory at a time: the slot that holds it for the whole process."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch

logger = logging.getLogger(__name__)

Held = TypeVar("Held")


class ModelSlot(Generic[Held]):
    """Holds what was loaded last. Asking for another releases it first, so memory never holds two."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._key: str | None = None
        self._held: Held | None = None

    @contextmanager
    def use(self, key: str, load: Callable[[], Held]) -> Iterator[Held]:
        """Give what `key` names, loading it where something else is held; other threads wait meanwhile."""
        with self._lock:
            if self._held is None or self._key != key:
                self.release()
                self._held, self._key = load(), key
            yield self._held

    @contextmanager
    def kept_empty(self) -> Iterator[None]:
        """Let go of what is held; other threads wait until the block ends.

        A training needs the memory for itself, and torch's random state, which all threads of a process share.
        """
        with self._lock:
            self.release()
            yield

    def release(self) -> None:
        """Let go of what is held, and give its memory back."""
        with self._lock:
            if self._held is None:
                return
            self._held, self._key = None, None
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


# The process's one slot: training keeps it empty while it has weights of its own.
LOADED_MODEL: ModelSlot[Any] = ModelSlot()
