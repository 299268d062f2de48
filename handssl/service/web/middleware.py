"""Support of HEAD requests, with which monitors and proxies check that a page exists."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handssl.service.errors import TooLargeError


class HeadRequests:
    """Middleware that handles HEAD as GET; the web server leaves the body out.

    Args:
        app: The wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


MOST_BYTES = 2 * 1024 * 1024
MOST_YAML_BYTES = 256 * 1024  # YAML takes much longer to parse than JSON


class SizeLimit:
    """Middleware that refuses larger bodies, also without a Content-Length header.

    Args:
        app: The wrapped application.
        most_bytes: Maximum size of a body, bytes.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self._app, self._most = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if any(value.isdigit() and int(value) > self._most for value in lengths):
            answer = JSONResponse({"detail": str(self._error())}, 413)
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise self._error()
            return message

        await self._app(scope, counted, send)

    def _error(self) -> TooLargeError:
        return TooLargeError(f"the request: expected at most {self._most:,} bytes")
