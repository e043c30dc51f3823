"""The Batch API: the same requests at half the price, answered within a day.

A request's `custom_id` is made of its cache keys, and so of its content. A batch is found again by asking
the server for the project's batches and looking for these ids: nothing about it is kept here, so that a
process killed at any moment, or another one, finds what was submitted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from openai.types import Batch
from pydantic import BaseModel, ConfigDict, JsonValue

from ilf_kedro.language_models.openai.answers import MalformedAnswerError
from ilf_kedro.language_models.openai.client import ApiClient
from ilf_kedro.language_models.openai.cost_tracker import AttemptFault, CostTracker
from ilf_kedro.language_models.openai.errors import ApiError, ApiUnavailableError, Failure, PromptUnansweredError
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.readers import Fields
from ilf_kedro.language_models.openai.runner import PendingRequest, Store

logger = logging.getLogger(__name__)

MAX_REQUESTS = 50_000  # per batch, as OpenAI's API has it
MAX_BYTES = 190_000_000
_TAG = "ilf_kedro"
_PENDING = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
_KEPT_SECONDS = 30 * 86_400  # the server deletes the files of older batches


class BatchPendingError(RuntimeError):
    """The batch is under way at the server; run again later to collect it."""


class _Response(BaseModel):
    model_config = ConfigDict(extra="ignore")

    status_code: int = 0
    body: JsonValue = None


class _Line(BaseModel):
    """The part of an input, output or error line that is read here."""

    model_config = ConfigDict(extra="ignore")

    custom_id: str
    response: _Response | None = None


class BatchRunner:
    """Gets requests answered by batches, and hands every answer to `store`."""

    def __init__(
        self,
        client: ApiClient,
        options: ApiOptions,
        spending: CostTracker,
        store: Store,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = client
        self._options = options
        self._costs = spending
        self._store = store
        self._sleep = sleep
        self._wanted: dict[str, PendingRequest] = {}
        self._failed: Counter[str] = Counter()

    def run(self, unsent: Sequence[PendingRequest], label: str) -> None:
        """Collect earlier batches, submit the rest, wait, and store every answer.

        Returns when every request has filled at least one of its keys.

        Raises:
            BatchPendingError: the batches are not done after `batch_wait_hours`.
            ApiRefusedError: the server refuses a batch, or one of its requests, for good.
            ApiUnavailableError: requests kept failing, batch after batch.
            BudgetExceededError: the batch might cost more than is left; it was not submitted.
        """
        self._wanted = {_custom_id(pending_request.keys): pending_request for pending_request in unsent}
        for _ in range(self._options.max_retries + 1):
            pending, covered = self._find_earlier()
            rest = [custom_id for custom_id in self._wanted if custom_id not in covered]
            bound = self._bound(rest)
            self._costs.reserve(bound)
            try:
                submitted = [self._submit(chunk) for chunk in self._chunks(rest)]
                self._wait([*pending, *submitted], label)
            finally:
                self._costs.settle(bound)
            if not self._wanted:
                return
            logger.warning("%d requests of the batch failed and are submitted again", len(self._wanted))
        raise ApiUnavailableError(
            f"{len(self._wanted)} requests failed in {self._options.max_retries + 1} batches at "
            f"{self._options.base_url}; what arrived is kept. Run again later, or with `send: online`."
        )

    def _find_earlier(self) -> tuple[list[str], set[str]]:
        """Collect finished batches; return those under way, and the ids that they will answer."""
        pending: list[str] = []
        covered: set[str] = set()
        for batch in self._client.guard(self._recent):
            if batch.status not in _PENDING:
                self._collect(batch, earlier=True)
                continue
            ids = {line.custom_id for line in self._lines(batch.input_file_id)} & self._wanted.keys()
            if ids:
                pending.append(batch.id)
                covered |= ids
                logger.info("Found batch %s under way with %d of the requests", batch.id, len(ids))
        return pending, covered

    def _recent(self) -> list[Batch]:
        oldest = time.time() - _KEPT_SECONDS
        found = []
        for batch in self._client.openai.batches.list(limit=100):  # newest first
            if batch.created_at < oldest:
                break
            if (batch.metadata or {}).get(_TAG) == self._options.model:
                found.append(batch)
        return found

    def _chunks(self, custom_ids: Sequence[str]) -> Iterator[list[bytes]]:
        """Yield the lines of each batch to submit."""
        chunk: list[bytes] = []
        size = 0
        for custom_id in custom_ids:
            request = self._wanted[custom_id].request
            line = {"custom_id": custom_id, "method": "POST", "url": f"/v1{request.path}", "body": request.body}
            text = json.dumps(line).encode() + b"\n"
            if chunk and (len(chunk) == MAX_REQUESTS or size + len(text) > MAX_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(text)
            size += len(text)
        if chunk:
            yield chunk

    def _submit(self, lines: Sequence[bytes]) -> str:
        api = self._client.openai
        file = self._client.guard(lambda: api.files.create(file=("batch.jsonl", b"".join(lines)), purpose="batch"))
        batch = self._client.guard(
            lambda: api.batches.create(
                input_file_id=file.id,
                endpoint=json.loads(lines[0])["url"],
                completion_window="24h",
                metadata={_TAG: self._options.model},
            )
        )
        logger.info("Submitted batch %s of %d requests; it is found again if this run ends", batch.id, len(lines))
        return batch.id

    def _wait(self, batch_ids: Sequence[str], label: str) -> None:
        """Poll until every batch is done, and collect each."""
        deadline = time.monotonic() + self._options.batch_wait_hours * 3600
        left = list(batch_ids)
        refusals: list[ApiError] = []
        while left:
            for batch_id in list(left):
                batch = self._client.guard(partial(self._client.openai.batches.retrieve, batch_id))
                if batch.status not in _PENDING:
                    refusals += self._collect(batch)
                    left.remove(batch_id)
                elif counts := batch.request_counts:
                    logger.info("%s: batch %s has %d of %d answers", label, batch_id, counts.completed, counts.total)
            if refusals:
                raise refusals[0]
            if left and time.monotonic() >= deadline:
                raise BatchPendingError(
                    f"the batches {left} are not done yet. They go on at the server and will be billed: run the same "
                    "command again later to collect them."
                )
            if left:
                self._sleep(self._options.batch_poll_seconds)

    def _collect(self, batch: Batch, *, earlier: bool = False) -> list[ApiError]:
        """Store what a finished batch answered, all at once; return what was refused for good.

        Of an earlier batch only good answers count: what failed was booked then, and is asked for again.
        """
        values: dict[str, Fields] = {}
        refusals: list[ApiError] = []
        for line in (*self._lines(batch.output_file_id), *self._lines(batch.error_file_id)):
            pending_request, response = self._wanted.get(line.custom_id), line.response
            if pending_request is None or response is None:
                continue
            found: Mapping[str, Fields] = {}
            error: ApiError | None = None
            if response.status_code == 200:
                found, error = self._read(line.custom_id, pending_request, response.body, earlier=earlier)
            elif not earlier:
                error = self._client.error_of(response.status_code, response.body)
                self._costs.book_fault(
                    AttemptFault.REJECTED if response.status_code < 500 else AttemptFault.SERVER_ERROR
                )
            if isinstance(error, PromptUnansweredError) and (
                pending_request.question.one_prompt or len(pending_request.keys) == 1
            ):
                found = self._client.blank(pending_request.question, pending_request.keys, error)
            elif error is not None:
                refusals.append(error)
            if found:
                values |= found
                del self._wanted[line.custom_id]
        if values:
            self._store(values)
            logger.info("Collected %d answers from batch %s", len(values), batch.id)
        if batch.status == "failed" and not earlier:
            errors = (batch.errors.data if batch.errors else None) or []
            message = "; ".join(str(each.message) for each in errors[:3]) or "the batch failed"
            refusals += filter(None, [self._client.error_of(400, {"error": {"message": message}})])
        return refusals

    def _read(
        self, custom_id: str, pending_request: PendingRequest, body: JsonValue, *, earlier: bool
    ) -> tuple[Mapping[str, Fields], ApiError | None]:
        """Read one answer and book it; of one that is none, return what is to be done, None to ask again."""
        values: Mapping[str, Fields] = {}
        error: ApiError | None = None
        try:
            answer = pending_request.question.read(json.dumps(body).encode(), pending_request.keys)
            values, usage, faults = answer.values, answer.usage, answer.remarks
            self._client.gives_log_probabilities |= bool(pending_request.request.body.get("logprobs"))
        except MalformedAnswerError as malformed:
            if earlier:
                return {}, None
            failure = Failure.of(malformed)
            self._failed[custom_id] += 1
            # An attempt may take a day: the second of its kind is the last.
            error = self._client.final_error(failure, self._failed[custom_id] + 1)
            usage, faults = malformed.usage, (malformed.fault,)
        request = pending_request.request
        price = self._options.prices.get(request.model)
        usage = usage.within(request.bound) if usage else request.bound
        self._costs.book(usage, usage.cost(price, batch=True) if price else None)
        for fault in faults:
            self._costs.book_fault(fault)
        return values, error

    def _lines(self, file_id: str | None) -> list[_Line]:
        if not file_id:
            return []
        content = self._client.guard(lambda: self._client.openai.files.content(file_id).content)
        return [_Line.model_validate_json(line) for line in content.splitlines() if line.strip()]

    def _bound(self, custom_ids: Sequence[str]) -> float:
        """Return the highest price of the requests."""
        total = 0.0
        for custom_id in custom_ids:
            request = self._wanted[custom_id].request
            price = self._options.prices.get(request.model)
            total += request.bound.cost(price, batch=True) if price else 0.0
        return total


def _custom_id(keys: Sequence[str]) -> str:
    return hashlib.sha256("".join(keys).encode()).hexdigest()
