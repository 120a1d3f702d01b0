"""How what goes wrong is told: status, words, row and field; never a stack trace."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from barcode_pipeline.errors import UserError
from barcode_pipeline.serving import schema
from barcode_pipeline.serving.feedback import UnknownEvents
from barcode_pipeline.serving.history import HistoryDown
from barcode_pipeline.serving.logs import REQUEST_ID
from barcode_pipeline.serving.requests import Problem, Refused, TooMany
from barcode_pipeline.serving.service import Busy


class TooLarge(Exception):
    """A body beyond the limit."""


class TooSlow(Exception):
    """A body that takes too long to come in."""


_MEANINGS = {
    401: "No key, or a wrong one.",
    404: "Not known.",
    408: "The body took too long to come in.",
    413: "Too many events, or too large a body; the limit is told.",
    422: "Malformed; row and field are told, and nothing was stored.",
    429: "Too many requests; come again after the seconds in `Retry-After`.",
    503: "Trouble on our side; with `Retry-After` where it will pass.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schema.ErrorAnswer, "description": _MEANINGS[status]} for status in statuses}


def tell_errors(app: FastAPI, most_bytes: int, seconds: float) -> None:
    def handler(kind: type[Exception], tell: Callable[[Any], Response]) -> None:
        async def handle(_: Request, error: Exception) -> Response:
            return tell(error)

        app.add_exception_handler(kind, handle)

    handler(Refused, lambda error: _error(422, "the request is malformed", problems=error.problems))
    handler(TooMany, lambda error: _error(413, f"{error.found} events are too many: the limit is {error.most}"))
    handler(TooLarge, lambda _: _error(413, f"the body is too large: the limit is {most_bytes} bytes", close=True))
    handler(TooSlow, lambda _: _error(408, f"the body took longer than {seconds:g} seconds", close=True))
    handler(Busy, lambda _: _error(503, "too much is waiting: come again", retry=1))
    handler(HistoryDown, lambda _: _error(503, "the history does not answer: come again", retry=2))
    handler(UserError, lambda error: _error(503, str(error)))
    handler(UnknownEvents, lambda error: _error(404, "the event is not known", problems=error.problems))
    handler(HTTPException, _told)
    handler(RequestValidationError, lambda error: _error(422, "the request is malformed", problems=_problems(error)))


def _told(error: HTTPException) -> Response:
    if error.status_code == 400:  # a body that is no text at all
        return _error(422, "the request is malformed", problems=[Problem(None, None, "the body is no valid JSON")])
    return _error(error.status_code, str(error.detail), headers=error.headers)


def _problems(error: RequestValidationError) -> list[Problem]:
    found = []
    for problem in error.errors()[:20]:
        where = [part for part in problem["loc"] if part not in ("body", "query", "path")]
        row = next((part for part in where if isinstance(part, int)), None)
        names = [part for part in where if isinstance(part, str)]
        text = "the body is no valid JSON" if problem["type"] == "json_invalid" else problem["msg"]
        found.append(Problem(row, names[-1] if names else None, text))
    return found


def _error(
    status: int,
    text: str,
    problems: list[Problem] | None = None,
    retry: float | None = None,
    close: bool = False,
    headers: Any = None,
) -> Response:
    content: dict[str, Any] = {"error": text, "request_id": REQUEST_ID.get()}
    if problems is not None:
        content["detail"] = [
            {
                "row": problem.row,
                "field": problem.field,
                "msg": problem.text,
                "loc": ["body", *(["data", problem.row] if problem.row is not None else []),
                        *([problem.field] if problem.field else [])],
            }
            for problem in problems
        ]  # fmt: skip
    out = dict(headers or {})
    if retry is not None:
        out["Retry-After"] = str(math.ceil(retry))
    if close:
        out["Connection"] = "close"
    return json_answer(content, status, out)


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")
