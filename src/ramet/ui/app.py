"""The dashboard's addresses: what is asked of which run, and what is answered when it cannot be."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from ramet.analysis.run import Run
from ramet.errors import ConfigError, RametError
from ramet.ui import answers
from ramet.ui.board import Board
from ramet.ui.compare import compared
from ramet.ui.downloads import download, schedule
from ramet.ui.drawings import NoSuchPlotError, charts, drawn, script
from ramet.ui.folder import Place, Runs
from ramet.ui.listing import Listing
from ramet.ui.plain import encoded, text
from ramet.ui.readers import Readers
from ramet.ui.streams import Streams

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml", ".ico": "image/x-icon",
}  # fmt: skip
TIDY_EVERY = 30.0
MOST_COMPARED = 20

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,15}")


class Pieces(StreamingResponse):
    """An answer in pieces, whose source is closed as soon as nobody takes them any more."""

    def __init__(self, source: AsyncGenerator[bytes] | Iterator[bytes], **more: Any) -> None:
        self._source = source if hasattr(source, "aclose") else _threaded(source)
        super().__init__(self._source, **more)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it all."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._source.aclose()


async def _threaded(source: Any) -> AsyncGenerator[bytes]:
    try:
        async for piece in iterate_in_threadpool(source):
            yield piece
    finally:
        source.close()


class Dashboard:
    """What answers: the routes of `application`, and the runs that they are about."""

    def __init__(self, runs: Runs) -> None:
        self.runs, self.readers = runs, Readers()
        self.listing = Listing(runs, self.readers)
        self.streams = Streams(self.readers, self.listing)

    def application(self) -> Starlette:
        """Return the application, by the protocol of ASGI."""
        routes = [
            ("/", self.page),
            ("/static/{name}", self.file),
            ("/api/runs", self.list),
            ("/api/compare", self.compare),
            ("/api/stream", self.stream),
            ("/api/run/{key}", self.overview),
            ("/api/run/{key}/events", self.events),
            ("/api/run/{key}/errors", self.errors),
            ("/api/run/{key}/member/{number}", self.member),
            ("/api/run/{key}/checkpoints", self.checkpoints),
            ("/api/run/{key}/checkpoint/{segment}/{iteration}", self.checkpoint),
            ("/api/run/{key}/schedule/{number}", self.schedule),
            ("/api/run/{key}/plot/{name}", self.plot),
        ]
        return Starlette(
            routes=[Route(path, answer, methods=["GET"]) for path, answer in routes],
            exception_handlers={HTTPException: _refused, RametError: _damaged, Exception: _failed},
            lifespan=self._life,
        )

    @contextlib.asynccontextmanager
    async def _life(self, _: Starlette) -> AsyncIterator[None]:
        async def tidy() -> None:
            while True:
                await asyncio.sleep(TIDY_EVERY)
                await asyncio.to_thread(self.readers.close_idle)

        task = asyncio.ensure_future(tidy())
        try:
            yield
        finally:
            task.cancel()
            self.streams.close()
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Close all runs."""
        self.listing.close()
        self.readers.close()

    # ------------------------------------------------------------------ the page

    async def page(self, _: Request) -> Response:
        """The page itself."""
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def file(self, request: Request) -> Response:
        """A file of the page, or Plotly's script. Names are looked up, never looked for."""
        name = request.path_params["name"]
        if name == "plotly.min.js":
            # Kept by the browser, which asks whether it is still the one: with plotly it changes.
            plotly = script()
            status = plotly.stat()
            tag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
            kept = {"cache-control": "no-cache", "etag": tag}
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers=kept)
            return FileResponse(plotly, media_type=TYPES[".js"], headers=kept)
        path = {path.name: path for path in STATIC.iterdir() if path.suffix in TYPES}.get(name)
        if path is None:
            raise HTTPException(404, "there is no such file")
        return FileResponse(path, media_type=TYPES[path.suffix], headers={"cache-control": "no-cache"})

    # ------------------------------------------------------------------ the runs

    async def list(self, _: Request) -> Response:
        """All runs, a row each."""
        rows = await asyncio.to_thread(self.listing.rows)
        return _json(encoded({"folder": text(self.runs.folder, 4096), "one": self.runs.is_one, "runs": rows}))

    async def overview(self, request: Request) -> Response:
        """What a run is, and where its members stand."""
        place = self._place(request)
        first = {"key": place.key, "name": text(place.name)}
        return await self._answer(
            place, "overview", lambda run, board: first | answers.overview(run, board) | {"plots": charts()}
        )

    async def events(self, request: Request) -> Response:
        """What happened, the newest first."""
        before, limit = _asked(request, "before"), _asked(request, "limit")
        return await self._answer(
            self._place(request), f"events {before} {limit}", lambda run, _: answers.events(run, before, limit or 200)
        )

    async def errors(self, request: Request) -> Response:
        """What members failed of."""
        return await self._answer(self._place(request), "errors", lambda run, _: answers.errors(run))

    async def member(self, request: Request) -> Response:
        """The story of one member."""
        number = _number(request.path_params["number"])

        def told(run: Run, board: Board) -> dict[str, Any]:
            _check_member(run, number)
            return answers.story(run, board, number)

        return await self._answer(self._place(request), f"member {number}", told)

    async def checkpoints(self, request: Request) -> Response:
        """The checkpoints that were kept, the newest first."""
        before, limit = _asked(request, "before"), _asked(request, "limit")
        return await self._answer(
            self._place(request),
            f"checkpoints {before} {limit}",
            lambda run, _: answers.checkpoints(run, before, limit or 500),
        )

    async def plot(self, request: Request) -> Response:
        """A figure, as Plotly takes it."""
        name, query = text(request.path_params["name"], 80), dict(list(request.query_params.items())[:10])
        known = " ".join(f"{key}={value}" for key, value in sorted(query.items()))
        return await self._answer(
            self._place(request), f"plot {name} {text(known, 2000)}", lambda run, _: drawn(run, name, query)
        )

    async def compare(self, request: Request) -> Response:
        """Several runs side by side."""
        keys = list(dict.fromkeys(request.query_params.get("runs", "").split(",")))[:MOST_COMPARED]
        places = [self._known(key) for key in keys if key]
        theme = request.query_params.get("theme", "light")
        return _json(encoded(await asyncio.to_thread(compared, self.readers, places, theme)))

    # ------------------------------------------------------------------ what is taken away

    async def checkpoint(self, request: Request) -> Response:
        """A checkpoint, as a file."""
        place = self._place(request)
        segment, iteration = (_number(request.path_params[name]) for name in ("segment", "iteration"))
        found = await asyncio.to_thread(download, self.readers.of(place), segment, iteration)
        if found is None:
            raise HTTPException(404, "this checkpoint is not there, or not any more")
        headers = {"content-disposition": f'attachment; filename="{found.name}"', "cache-control": "no-store"}
        if found.length is not None:
            headers["content-length"] = str(found.length)
        return Pieces(found.pieces, media_type="application/octet-stream", headers=headers)

    async def schedule(self, request: Request) -> Response:
        """A member's schedule, as the file that `Schedule.load` reads."""
        number = _number(request.path_params["number"])

        def told(run: Run, _: Board) -> bytes:
            _check_member(run, number)
            return schedule(run, number)

        body = await self._ask(self._place(request), told)
        headers = {"content-disposition": f'attachment; filename="schedule-{number}.json"'}
        return Response(body, media_type="application/json", headers=headers | {"cache-control": "no-store"})

    # ------------------------------------------------------------------ what is new

    async def stream(self, request: Request) -> Response:
        """What happens from now on, as server-sent events."""
        key = request.query_params.get("run")
        place = None if key is None else self._known(key)
        if self.streams.are_many:
            raise HTTPException(503, "too many pages are open here: close some")
        parts = self.streams.runs() if place is None else self.streams.run(place)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return Pieces(parts, media_type="text/event-stream", headers=headers)

    # ------------------------------------------------------------------ how it is answered

    def _place(self, request: Request) -> Place:
        return self._known(request.path_params["key"])

    def _known(self, key: str) -> Place:
        """Return the run of a key, which is one that was found below the folder."""
        if _KEY.fullmatch(key):
            if key not in self.runs.known:
                self.runs.look()
            if key in self.runs.known:
                return self.runs.known[key]
        raise HTTPException(404, "there is no such run here")

    async def _ask(self, place: Place, question: Callable[[Run, Board], Any]) -> Any:
        return await asyncio.wrap_future(self.readers.of(place).ask(question))

    async def _answer(self, place: Place, name: str, question: Callable[[Run, Board], Any]) -> Response:
        """Answer a question about a run; the same one is computed again only when the run has gone on."""
        reader = self.readers.of(place)
        body = await asyncio.wrap_future(
            reader.ask_about(f"answer {name}", lambda run, board: encoded(question(run, board)))
        )
        return _json(body)


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json", headers={"cache-control": "no-store"})


def _check_member(run: Run, number: int) -> None:
    if number >= len(run.trace.places):
        raise HTTPException(404, f"the run has the members 0 to {len(run.trace.places) - 1}")


def _number(told: str) -> int:
    if not _NUMBER.fullmatch(told):
        raise HTTPException(404, "there is no such number here")
    return int(told)


def _asked(request: Request, name: str) -> int | None:
    told = request.query_params.get(name)
    if told is None:
        return None
    if not _NUMBER.fullmatch(told):
        raise HTTPException(400, f"{name} is no whole number")
    return int(told)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json(encoded({"error": text(error.detail)}), error.status_code)


async def _damaged(_: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, NoSuchPlotError) else 400 if isinstance(error, ConfigError) else 409
    return _json(encoded({"error": text(error, 1000)}), status)


async def _failed(_: Request, error: Exception) -> Response:
    return _json(encoded({"error": f"{type(error).__name__}: {text(error, 1000)}"}), 500)
