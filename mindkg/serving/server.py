"""The ASGI application and its process: ``python -m mindkg.serving.server OPTIONS``."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mindkg.errors import StoreError
from mindkg.graph.rdf_model import prefixes
from mindkg.pages import part, render
from mindkg.queries import catalogue
from mindkg.serving.connections import Connection
from mindkg.serving.limits import HOST, IDLE_SECONDS, MAX_ACTIVE, MAX_HEAD, Limits
from mindkg.serving.parent import end_with_parent
from mindkg.serving.pool import Pool, QueryStoppedError
from mindkg.serving.protocol import RefusedError, check_origin, read_asked

_PIECE: Final = 1 << 16
_EXAMPLES: Final = ("relation-counts", "top-intentions", "top-hypernyms", "graph-counts")
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store"}


def application(pool: Pool, spool: Path) -> ASGIApp:
    """Return the application; answers go through files in ``spool``."""
    page = _page()
    active: set[Request] = set()
    numbers = itertools.count()

    async def show(request: Request) -> Response:
        return HTMLResponse(page)

    async def answer(request: Request) -> Response:
        asked = await read_asked(request)
        if len(active) >= MAX_ACTIVE:
            raise QueryStoppedError(503, f"{MAX_ACTIVE} queries are waiting already")
        active.add(request)
        file = spool / str(next(numbers))
        try:
            reply = await _while_connected(request, pool.ask({**asdict(asked), "file": str(file)}))
            if reply is None:
                return Response(status_code=499)  # nobody reads it
            if reply["status"] != 200:
                raise RefusedError(reply["status"], reply["reason"])
            return _answer(file.open("rb"), reply["media"])
        finally:
            active.discard(request)
            file.unlink(missing_ok=True)

    async def options(request: Request) -> Response:
        return Response(status_code=204, headers={"Allow": "GET, HEAD, POST, OPTIONS"})

    async def refuse_update(request: Request) -> Response:
        raise RefusedError(403, "This server is read-only")

    everything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    handlers: Mapping[Any, Callable[[Request, Exception], Response]] = {
        RefusedError: _refused,
        QueryStoppedError: _refused,
    }
    app = Starlette(
        routes=[
            Route("/", show, methods=["GET"]),
            Route("/query", answer, methods=["GET", "POST"]),
            Route("/query", options, methods=["OPTIONS"]),
            Route("/update", refuse_update, methods=everything),
            Route("/store", refuse_update, methods=everything),
        ],
        exception_handlers=handlers,
    )
    return _Guarded(app)


class _Guarded:
    """An application that checks where a request comes from, and drops a client that does not read its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_in_time(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.lower().encode(), value.encode()) for name, value in _HEADERS.items()),
                ]
            async with asyncio.timeout(IDLE_SECONDS):
                await send(message)

        try:
            check_origin(Request(scope))
        except RefusedError as error:
            await _refused(Request(scope), error)(scope, receive, send_in_time)
            return
        await self._app(scope, receive, send_in_time)


async def _while_connected(request: Request, work: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what ``work`` gives, None where the client has gone before: it is cancelled then."""
    task, gone = asyncio.ensure_future(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _answer(file: BinaryIO, media: str) -> Response:
    size = os.fstat(file.fileno()).st_size

    async def pieces() -> AsyncIterator[bytes]:
        with file:
            while piece := file.read(_PIECE):
                yield piece

    charset = "; charset=utf-8" if media.startswith("text/") else ""
    return StreamingResponse(pieces(), media_type=media + charset, headers={"Content-Length": str(size)})


def _refused(request: Request, error: Exception) -> Response:
    status: int = getattr(error, "status", 500)
    headers = {"Retry-After": "1"} if status == 503 else {}
    if status == 413:
        headers["Connection"] = "close"
    return PlainTextResponse(f"{error}\n", status, headers=headers)


def _page() -> str:
    queries = [catalogue()[name] for name in _EXAMPLES]
    examples = [{"summary": query.summary, "text": query.sparql} for query in queries]
    return render(
        "serve.html",
        style=part("serve.css"),
        scripts=[part("serve.js")],
        allow="connect-src 'self'; ",
        form="'self'",
        title="mindkg: SPARQL",
        prefixes=prefixes(),
        examples=examples,
    )


async def serve(place: str, port: int, limits: Limits) -> None:
    """Answer requests at ``port`` until SIGTERM or SIGINT; raises StoreError where the store cannot be read."""
    pool = Pool(json.dumps({"place": place, "limits": asdict(limits)}), limits.workers, limits.timeout)
    with tempfile.TemporaryDirectory(prefix="mindkg-serve-") as spool:
        config = uvicorn.Config(
            application(pool, Path(spool)),
            host=HOST,
            port=port,
            http=Connection,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=MAX_HEAD,
            timeout_keep_alive=int(IDLE_SECONDS),
            timeout_graceful_shutdown=1,
        )
        try:
            await pool.start()
            await uvicorn.Server(config).serve()
        finally:
            await pool.close()


def main(options: str) -> None:
    """Serve with ``options``, JSON, until a signal; exits with one line on stderr where the store cannot be read."""
    end_with_parent(signal.SIGTERM)
    given = json.loads(options)
    try:
        asyncio.run(serve(given["place"], given["port"], Limits(**given["limits"])))
    except StoreError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn raises it again when it has stopped
    main(sys.argv[1])
