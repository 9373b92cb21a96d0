"""Who is let in: browsers on this machine, or with the token, that ask for this very host, and only to read."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ramet.ui.plain import encoded

COOKIE = "ramet-token"
METHODS = ("GET", "HEAD")
LOOPBACK = ("localhost", "127.0.0.1", "::1")

ALWAYS = {
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""Headers of every answer."""

App = Callable[..., Awaitable[None]]


class Gate:
    """Lets a request through to ``app``, or refuses it.

    Args:
        app: what answers, by the protocol of ASGI.
        host: the address that the server is bound to.
        port: its port.
        token: what has to be told, in the address once and in a cookie from then on; None where nothing has to.
        names: by what further names the server may be called.
    """

    def __init__(self, app: App, host: str, port: int, token: str | None, names: tuple[str, ...] = ()) -> None:
        self.app, self.token, self.port = app, token, port
        self.anywhere = host in ("0.0.0.0", "::", "")
        self.hosts = {*(LOOPBACK if is_loopback(host) or self.anywhere else ()), host.lower(), *names}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                told = {name for name, _ in message.get("headers", ())}
                more = [(n.encode(), v.encode()) for n, v in ALWAYS.items() if n.encode() not in told]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await answer(guarded, refusal[0], refusal[1])
            return
        if self.token is not None and not self._knows(headers.get("cookie", "")):
            query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
            given = next((value for name, value in query if name == "token"), "")
            if not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
                await answer(guarded, 401, "a token is needed: take the address that ramet ui printed, with ?token=…")
                return
            left = urlencode([(name, value) for name, value in query if name != "token"])
            # Never to another host, whatever the path begins with.
            path = "/" + scope["raw_path"].decode("latin-1").split("?")[0].lstrip("/\\")
            where = f"{path}?{left}" if left else path
            cookie = f"{self._cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            await answer(guarded, 303, "this way", (("location", where), ("set-cookie", cookie)))
            return
        await self.app(scope, receive, guarded)

    @property
    def _cookie(self) -> str:
        # Cookies know no ports, and two dashboards on one host have each a token of their own.
        return f"{COOKIE}-{self.port}"

    def _refusal(self, scope: Any, headers: Mapping[str, str]) -> tuple[int, str] | None:
        if scope["method"] not in METHODS:
            return 405, f"{scope['method'][:20]}: runs are only looked at here"
        # A page of another host that was made to resolve to this machine still names itself.
        if not self._is_ours(headers.get("host", "")):
            return 421, "this server answers under its own name only: take the address that ramet ui printed"
        origin = headers.get("origin")
        if origin is not None and not self._is_ours_at(origin, headers.get("host", "")):
            return 403, "pages of other hosts may not ask here"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_visit(headers):
            return 403, "pages of other hosts may not ask here"
        return None

    def _is_ours(self, told: str) -> bool:
        """Return whether a Host header names this server."""
        try:
            parts = urlsplit(f"//{told}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.path or parts.query or parts.fragment or (port or 80) != self.port:
            return False
        # Bound to all addresses of a machine, it has names that nobody knows here; there the token keeps others out.
        return name in self.hosts or (self.anywhere and (is_address(name) or self.token is not None))

    def _is_ours_at(self, origin: str, host: str) -> bool:
        return origin in (f"http://{host}", f"https://{host}") and self._is_ours(host)

    def _knows(self, cookies: str) -> bool:
        try:
            found = SimpleCookie(cookies).get(self._cookie)
        except CookieError:
            return False
        given = found.value if found is not None else ""
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self.token or "").encode())


async def answer(send: Any, status: int, told: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
    """Answer with a status and one sentence."""
    body = encoded({"error": told})
    given = [("content-type", "application/json"), ("content-length", str(len(body))), ("cache-control", "no-store")]
    listed = [(name.encode(), value.encode("latin-1", "replace")) for name, value in (*given, *headers)]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})


def _is_visit(headers: Mapping[str, str]) -> bool:
    """Return whether somebody follows a link here, which shows a page and tells the one with the link nothing."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def is_address(name: str) -> bool:
    """Return whether a host is named by its number, which nobody else's name can be made to be."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether only this machine can ask there.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
