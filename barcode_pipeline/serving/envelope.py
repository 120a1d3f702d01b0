"""Around every request: its id, whether it may be asked, a line in the log, figures, and no stack trace to a client."""

from __future__ import annotations

import logging
import math
import re
import time
import uuid
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from barcode_pipeline.serving.access import Keys, RateLimit
from barcode_pipeline.serving.logs import REQUEST_ID
from barcode_pipeline.serving.metrics import Metrics

_LOG = logging.getLogger("barcode_pipeline.serving")
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """ASGI middleware.

    Parameters
    ----------
    open: paths that ask for no key and are not counted against the rate.
    """

    def __init__(self, app: ASGIApp, keys: Keys, rate: RateLimit, metrics: Metrics, open: tuple[str, ...]) -> None:
        self._app, self._keys, self._rate, self._metrics, self._open = app, keys, rate, metrics, open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = {name: value for name, value in scope["headers"] if name in _LOOKED_AT}
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        token = REQUEST_ID.set(request_id)
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await _refuse(answer, request_id, *refusal)
            else:
                await self._app(scope, receive, answer)
        except Exception:
            _LOG.exception("a request failed")
            if not status:
                await _refuse(answer, request_id, 503, "something went wrong on our side", {})
        finally:
            self._note(scope, status, time.perf_counter() - started)
            REQUEST_ID.reset(token)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str, dict[str, str]] | None:
        """Status, text and headers where the request may not be asked."""
        if scope["path"] in self._open:
            return None
        client = self._keys.find(_key(headers))
        if client is None:
            return 401, "a key is needed: send it in the header X-API-Key", {"WWW-Authenticate": "Bearer"}
        name = f"key {client}" if self._keys.asked_for else str((scope.get("client") or ("",))[0])
        seconds = self._rate.wait(name)
        if seconds:
            return 429, "too many requests", {"Retry-After": str(math.ceil(seconds))}
        return None

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # The path as declared: names of EPCs would make a series of figures of each.
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.add("requests_total", path=route, status=str(status))
        self._metrics.observe("request_seconds", seconds, path=route)
        facts: dict[str, Any] = {
            "method": scope["method"],
            "path": route if route != "other" else scope["path"][:200],
            "status": status,
            "ms": round(seconds * 1000, 2),
            "client": (scope.get("client") or ("",))[0],
        }
        if "barcode_events" in scope:
            facts["events"] = scope["barcode_events"]
        _LOG.info("request", extra={"facts": facts})


_LOOKED_AT = (b"x-request-id", b"x-api-key", b"authorization")


def _key(headers: dict[bytes, bytes]) -> str | None:
    if key := headers.get(b"x-api-key"):
        return key.decode("utf-8", errors="replace").strip()
    kind, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.decode("utf-8", errors="replace").strip() if kind.lower() == b"bearer" else None


async def _refuse(send: Send, request_id: str, status: int, text: str, headers: dict[str, str]) -> None:
    body = orjson.dumps({"error": text, "request_id": request_id})
    sent = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    sent += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
