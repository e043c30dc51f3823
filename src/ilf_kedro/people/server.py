"""The page's server: small JSON requests, each done on disk before it is answered. Needs the extra `ui`.

The page gets letters, never candidates' identifiers, methods or other annotators: the key stays here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ilf_kedro.people import annotators, submissions
from ilf_kedro.people.annotators import Annotator, find_by_token
from ilf_kedro.people.assignment import Assignment, claim, find_assignment, measure_progress
from ilf_kedro.people.campaign import get_guidelines, get_settings
from ilf_kedro.people.database import CampaignError, Database
from ilf_kedro.people.languages import choose_language
from ilf_kedro.people.messages import Draft, Language, Read, Skip, Submission, Time, describe, explain, lettered
from ilf_kedro.people.rendering import compare_texts
from ilf_kedro.people.spreadsheet import as_shown

__all__ = ["make_app"]

MAX_BYTES = 1_000_000
_PAGE = Path(__file__).parent / "page"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_MONTH = 31 * 86_400

Handler = Callable[[Request, Annotator], Awaitable[Response]]


def make_app(
    database: Database, words: Mapping[str, Mapping[str, str]], hosts: list[str] | None = None, *, https: bool = False
) -> Starlette:
    """Return the application. `hosts` are the names under which it may be reached, all where None."""
    server = _Server(database, words, https)
    routes = [
        Route("/", server.page),
        Route("/enter/{token}", server.enter),
        Mount("/page", StaticFiles(directory=_PAGE)),
        Route("/api/session", server.guarded(server.session)),
        Route("/api/acknowledge", server.guarded(server.acknowledge), methods=["POST"]),
        Route("/api/language", server.guarded(server.language), methods=["POST"]),
        Route("/api/next", server.guarded(server.next), methods=["POST"]),
        Route("/api/task/{task}", server.guarded(server.task)),
        Route("/api/task/{task}/changes", server.guarded(server.changes)),
        Route("/api/draft", server.guarded(server.draft), methods=["POST"]),
        Route("/api/time", server.guarded(server.time), methods=["POST"]),
        Route("/api/submit", server.guarded(server.submit), methods=["POST"]),
        Route("/api/skip", server.guarded(server.skip), methods=["POST"]),
        Route("/api/history", server.guarded(server.history)),
    ]
    guards = [] if hosts is None else [Middleware(TrustedHostMiddleware, allowed_hosts=hosts)]
    return Starlette(routes=routes, middleware=guards)


class _Server:
    def __init__(self, database: Database, words: Mapping[str, Mapping[str, str]], https: bool) -> None:
        self._database = database
        self._words = words
        self._settings = database.do(get_settings)
        self._https = https
        # Cookies know no ports: two campaigns on one host need two names.
        self._cookie = f"annotator_{annotators.short_hash(str(database.path.resolve()))}"

    def guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Let in who has a link that holds, and turn faults into messages."""

        async def handle(request: Request) -> Response:
            token = request.cookies.get(self._cookie, "")
            annotator = await self._database.run(find_by_token, token)
            if annotator is None:
                return _refuse(401, "no_access")
            # A header that no other site's page can send without being asked.
            if request.method == "POST" and request.headers.get("x-annotation") != "1":
                return _refuse(403, "this request is not from the page")
            try:
                response = await handler(request, annotator)
            except submissions.ConflictError as error:
                return _refuse(409, str(error))
            except (CampaignError, ValueError) as error:
                return _refuse(413 if isinstance(error, _TooLongError) else 422, explain(error))
            response.headers.update(_HEADERS)
            return response

        return handle

    async def page(self, request: Request) -> Response:
        return FileResponse(_PAGE / "index.html", headers=_HEADERS)

    async def enter(self, request: Request) -> Response:
        """Keep the link's token in a cookie that no script can read, and leave it out of the address."""
        token = request.path_params["token"]
        response = RedirectResponse("/", status_code=303, headers=_HEADERS)
        if await self._database.run(find_by_token, token):
            response.set_cookie(self._cookie, token, max_age=_MONTH, httponly=True, samesite="lax", secure=self._https)
        return response

    async def session(self, request: Request, annotator: Annotator) -> Response:
        version, text = await self._database.run(get_guidelines)
        accepted = request.headers.get("accept-language", "")
        language = choose_language(annotator.language, accepted, self._words, self._settings.language)
        return JSONResponse(
            {
                "campaign": self._settings.name,
                "language": language,
                "languages": {name: words["language"] for name, words in self._words.items()},
                "words": self._words[language],
                "instructions": {"version": version, "text": text, "acknowledged": annotator.acknowledged == version},
                "classes": self._settings.classes,
                "idle_ms": round(self._settings.idle_seconds * 1000),
                "max_characters": self._settings.max_characters,
            }
        )

    async def acknowledge(self, request: Request, annotator: Annotator) -> Response:
        message = await _read(request, Read)
        await self._database.run(annotators.acknowledge, annotator.annotator_id, message.version)
        return JSONResponse({"saved": True})

    async def language(self, request: Request, annotator: Annotator) -> Response:
        message = await _read(request, Language)
        if message.language not in self._words:
            raise CampaignError(f"there is no language {message.language!r}; known: {', '.join(self._words)}")
        await self._database.run(annotators.set_language, annotator.annotator_id, message.language)
        return JSONResponse({"saved": True})

    async def next(self, request: Request, annotator: Annotator) -> Response:
        newest, _ = await self._database.run(get_guidelines)
        if annotator.acknowledged != newest:
            return JSONResponse({"task": None, "read_first": True})
        payload = await self._database.run(_next_payload, annotator.annotator_id)
        return JSONResponse(payload)

    async def task(self, request: Request, annotator: Annotator) -> Response:
        payload = await self._database.run(_payload_of, annotator.annotator_id, request.path_params["task"])
        return JSONResponse(payload)

    async def changes(self, request: Request, annotator: Annotator) -> Response:
        assignment = await self._database.run(find_assignment, annotator.annotator_id, request.path_params["task"])
        item = as_shown(assignment)
        if item.initial_output is None:
            raise CampaignError("there is no first output to compare with")
        old, outputs = item.initial_output.plain, [each.output.plain for each in item.candidates]
        runs = await run_in_threadpool(lambda: [compare_texts(old, new) for new in outputs])
        return JSONResponse({"outputs": runs})

    async def draft(self, request: Request, annotator: Annotator) -> Response:
        message = await _read(request, Draft)
        kept = await self._database.run(
            submissions.save_draft,
            annotator.annotator_id,
            message.task,
            json.dumps(message.body, ensure_ascii=False),
            sequence=message.sequence,
            base_revision=message.revision,
        )
        return JSONResponse({"saved": kept})

    async def time(self, request: Request, annotator: Annotator) -> Response:
        message = await _read(request, Time)
        await self._database.run(_keep_time, annotator.annotator_id, message)
        return JSONResponse({"saved": True})

    async def submit(self, request: Request, annotator: Annotator) -> Response:
        message = await _read(request, Submission)
        too_long = [text for text in message.texts() if len(text) > self._settings.max_characters]
        if too_long:
            raise _TooLongError(f"{len(too_long[0])} characters; at most {self._settings.max_characters}")
        return JSONResponse(await self._database.run(_submit, annotator.annotator_id, message))

    async def skip(self, request: Request, annotator: Annotator) -> Response:
        return JSONResponse(await self._database.run(_skip, annotator.annotator_id, await _read(request, Skip)))

    async def history(self, request: Request, annotator: Annotator) -> Response:
        entries = await self._database.run(submissions.history, annotator.annotator_id)
        return JSONResponse({"tasks": [{"task": task, "state": state, "at": at} for task, state, at in entries]})


class _TooLongError(CampaignError):
    """More text than fits."""


async def _read(request: Request, model: Any) -> Any:
    """Read a message of at most one megabyte."""
    parts, n_bytes = [], 0
    async for part in request.stream():
        n_bytes += len(part)
        if n_bytes > MAX_BYTES:
            raise _TooLongError(f"more than {MAX_BYTES:,} bytes; shorten the text")
        parts.append(part)
    return model.model_validate_json(b"".join(parts))


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status, headers=_HEADERS)


def _next_payload(connection: sqlite3.Connection, annotator_id: int) -> dict[str, object]:
    assignment = claim(connection, annotator_id)
    return {
        "task": None if assignment is None else _payload(connection, assignment),
        "progress": _progress(connection, annotator_id),
    }


def _payload_of(connection: sqlite3.Connection, annotator_id: int, task: str) -> dict[str, object]:
    assignment = find_assignment(connection, annotator_id, task)
    return {"task": _payload(connection, assignment), "progress": _progress(connection, annotator_id)}


def _payload(connection: sqlite3.Connection, assignment: Assignment) -> dict[str, object]:
    draft = submissions.get_draft(connection, assignment.assignment_id)
    last = submissions.last_answer(connection, assignment)
    return describe(assignment, draft, last)


def _progress(connection: sqlite3.Connection, annotator_id: int) -> dict[str, int]:
    progress = measure_progress(connection, annotator_id)
    return {"done": progress.done, "skipped": progress.skipped, "left": progress.left}


def _keep_time(connection: sqlite3.Connection, annotator_id: int, message: Time) -> None:
    submissions.add_time(
        connection,
        annotator_id,
        message.task,
        message.page,
        active_ms=message.active_ms,
        open_ms=message.open_ms,
    )


def _submit(connection: sqlite3.Connection, annotator_id: int, message: Submission) -> dict[str, object]:
    _keep_time(connection, annotator_id, message)
    assignment = find_assignment(connection, annotator_id, message.task)
    answer = lettered(message.answer, assignment)
    hand_in = partial(submissions.submit, connection, annotator_id, message.task, answer)
    saved = hand_in(base_revision=message.revision, comment=message.comment)
    return {"saved": True, "repeated": saved.repeated, "progress": _progress(connection, annotator_id)}


def _skip(connection: sqlite3.Connection, annotator_id: int, message: Skip) -> dict[str, object]:
    _keep_time(connection, annotator_id, message)
    saved = submissions.skip(connection, annotator_id, message.task, message.reason, base_revision=message.revision)
    return {"saved": True, "repeated": saved.repeated, "progress": _progress(connection, annotator_id)}
