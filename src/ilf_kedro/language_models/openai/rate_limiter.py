"""Keeping to a server's limits on requests and tokens per minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RateLimiter:
    """Spaces out what is used up, so that no minute sees more than `per_minute` of it (None: no limit).

    Every amount waits until those before it are paid off at the allowed rate; there is no burst at the
    start, which is what servers that divide their minute into seconds want. Safe for threads. `sleep` may
    return early (an event's `wait` does when the work is stopped).
    """

    def __init__(
        self,
        per_minute: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._seconds_each = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def wait(self, amount: float = 1.0) -> None:
        """Wait until `amount` more may be used."""
        with self._lock:
            now = self._clock()
            start = max(now, self._free_at)
            self._free_at = start + amount * self._seconds_each
        if start > now:
            self._sleep(start - now)

    def give_back(self, amount: float) -> None:
        """Return what was waited for but not used, such as tokens that an answer did not need."""
        with self._lock:
            self._free_at -= amount * self._seconds_each

    def hold_back(self, seconds: float) -> None:
        """Let nobody begin in the next `seconds`: the server asked for a pause."""
        with self._lock:
            self._free_at = max(self._free_at, self._clock() + seconds)
