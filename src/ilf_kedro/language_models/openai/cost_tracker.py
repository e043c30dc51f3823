"""What an API costs: usage, forecasts, a hard budget and the report."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ilf_kedro.language_models.openai.options import Price

_PER_MILLION = 1e-6
_ROUNDING = 1e-12


class AttemptFault(StrEnum):
    """What can go wrong with one attempt, and what is unusual in an answer."""

    RATE_LIMITED = "status 429"
    SERVER_ERROR = "status 5xx"
    REJECTED = "status 4xx"
    TIMEOUT = "time-out"
    DROPPED = "dropped connection"
    UNREACHABLE = "no connection"
    REDIRECTED = "redirect to another server"
    MALFORMED = "truncated or malformed body"
    EMPTY_CHOICES = "no choices"
    FEWER_CHOICES = "fewer choices than asked"
    REFUSED = "refusal"
    LENGTH = "cut at the maximal length"
    NO_LOG_PROBABILITIES = "no log-probabilities"
    FAILED = "failed within an answer"
    REASONING = "nothing but reasoning"
    UNKNOWN_FINISH = "unknown finish reason"
    NO_USAGE = "no usage"
    INCREDIBLE_USAGE = "usage that cannot be"


class BudgetExceededError(RuntimeError):
    """The next request might cost more than is left of the budget."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more requests. `cached_input_tokens` are among the input tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
        )

    def within(self, bound: Usage) -> Usage:
        """Return what of this can be true: nothing below zero, nothing above the bound."""
        read = min(max(0, self.input_tokens), bound.input_tokens)
        written = min(max(0, self.output_tokens), bound.output_tokens)
        return Usage(read, written, min(max(0, self.cached_input_tokens), read))

    def cost(self, price: Price, *, batch: bool = False) -> float:
        """Return the price of these tokens in USD."""
        cached_price = price.input if price.cached_input is None else price.cached_input
        fresh = self.input_tokens - self.cached_input_tokens
        usd = fresh * price.input + self.cached_input_tokens * cached_price + self.output_tokens * price.output
        return usd * _PER_MILLION * (price.batch_factor if batch else 1.0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a piece of work is likely to need: input tokens estimated, output tokens at most."""

    requests: int
    usage: Usage
    usd: float | None

    def __str__(self) -> str:
        price = "the model's price is unknown" if self.usd is None else f"at most about ${self.usd:.4f}"
        return (
            f"{self.requests} requests, about {self.usage.input_tokens} tokens in and at most "
            f"{self.usage.output_tokens} out, {price}"
        )


@dataclass(frozen=True, slots=True)
class SpendingReport:
    """What was spent and saved so far.

    `usd` is None where a price is unknown. `possibly_billed_usd` is, at its highest price, what a server
    may have billed for answers that never arrived; it counts against the budget. `saved_*` is what the
    answers from the cache cost when they were asked for.
    """

    requests: int
    usage: Usage
    usd: float | None
    possibly_billed_usd: float
    saved_answers: int
    saved_usage: Usage
    saved_usd: float | None
    budget: float | None
    faults: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        price = "price unknown" if self.usd is None else f"${self.usd:.4f}"
        budget = "" if self.budget is None else f" of ${self.budget:.2f}"
        lost = f", perhaps ${self.possibly_billed_usd:.4f} more" if self.possibly_billed_usd else ""
        kept = self.saved_usage
        saved = f"{self.saved_answers} answers ({kept.input_tokens} tokens in, {kept.output_tokens} out"
        saved += ")" if self.saved_usd is None else f", ${self.saved_usd:.4f})"
        faults = ", ".join(f"{name}: {count}" for name, count in sorted(self.faults.items())) or "none"
        return (
            f"{self.requests} requests, {self.usage.input_tokens} tokens in, {self.usage.output_tokens} out, "
            f"{price}{budget}{lost}; the cache saved {saved}; faults: {faults}"
        )


class CostTracker:
    """The ledger of one or several models: reserves before a request, settles after it. Safe for threads.

    The budget is hard: an attempt begins only if its highest price fits into what is neither spent nor
    set aside for those in flight. A part of a ledger counts what is booked in it, in the ledger too, and
    has no budget but the ledger's.
    """

    def __init__(self, budget: float | None = None, *, part_of: CostTracker | None = None) -> None:
        self.budget: float | None = budget if part_of is None else part_of.budget
        self._whole = part_of
        self._changed = threading.Condition()
        self._reserved, self._in_flight = 0.0, 0
        self._requests = self._saved_answers = 0
        self._usage, self._saved_usage = Usage(), Usage()
        self._usd = self._lost_usd = self._saved_usd = 0.0
        self._unpriced = False
        self._faults: Counter[str] = Counter()

    @property
    def whole(self) -> CostTracker:
        """The ledger that this one is a part of, or itself."""
        return self._whole or self

    def reserve(self, usd: float) -> None:
        """Set aside the highest price of one attempt; waits for those in flight where only they stand in the way.

        Raises:
            BudgetExceededError: it does not fit, and nothing in flight could give room back.
        """
        if self._whole is not None:
            self._whole.reserve(usd)
            return
        with self._changed:
            while (
                self.budget is not None and self._usd + self._lost_usd + self._reserved + usd > self.budget + _ROUNDING
            ):
                if self._in_flight == 0:
                    raise BudgetExceededError(
                        f"the budget of ${self.budget:.4f} does not suffice: ${self._usd:.4f} spent, "
                        f"${self._lost_usd:.4f} possibly billed for answers that never arrived, and the next request "
                        f"may cost ${usd:.4f}. Raise `budget` and run again: answers that arrived are kept."
                    )
                self._changed.wait()
            self._reserved += usd
            self._in_flight += 1

    def settle(self, reserved: float, *, lost: bool = False) -> None:
        """Give back what was set aside for an attempt; `lost` where the server may have billed it all the same."""
        with self._changed:
            self._lost_usd += reserved if lost else 0.0
            if self._whole is None:
                self._in_flight -= 1
                self._reserved = self._reserved - reserved if self._in_flight else 0.0
                self._changed.notify_all()
        if self._whole is not None:
            self._whole.settle(reserved, lost=lost)

    def book(self, usage: Usage, usd: float | None) -> None:
        """Book an answer; `usd` is None where the model's price is unknown."""
        with self._changed:
            self._requests += 1
            self._usage += usage
            self._usd += usd or 0.0
            self._unpriced |= usd is None
        if self._whole is not None:
            self._whole.book(usage, usd)

    def book_saved(self, answers: int, usage: Usage, price: Price | None) -> None:
        """Book answers that came from the cache."""
        with self._changed:
            self._saved_answers += answers
            self._saved_usage += usage
            self._saved_usd += usage.cost(price) if price else 0.0
            self._unpriced |= price is None and answers > 0
        if self._whole is not None:
            self._whole.book_saved(answers, usage, price)

    def book_fault(self, fault: AttemptFault) -> None:
        """Count one fault."""
        with self._changed:
            self._faults[fault] += 1
        if self._whole is not None:
            self._whole.book_fault(fault)

    def left(self) -> float | None:
        """Return what is left of the budget, in USD; None without one."""
        if self._whole is not None:
            return self._whole.left()
        with self._changed:
            return None if self.budget is None else self.budget - self._usd - self._lost_usd

    def report(self) -> SpendingReport:
        """Return the running total."""
        with self._changed:
            return SpendingReport(
                self._requests,
                self._usage,
                None if self._unpriced else self._usd,
                self._lost_usd,
                self._saved_answers,
                self._saved_usage,
                None if self._unpriced else self._saved_usd,
                self.budget,
                {str(name): count for name, count in self._faults.items()},
            )
