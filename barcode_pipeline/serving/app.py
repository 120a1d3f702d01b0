"""The API: paths, their documentation, and how what goes wrong is told. Thin: read, hand to the service, answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.serving import schema
from barcode_pipeline.serving.access import Keys, RateLimit
from barcode_pipeline.serving.answers import Endpoint
from barcode_pipeline.serving.docs_page import docs_page
from barcode_pipeline.serving.envelope import Envelope
from barcode_pipeline.serving.failures import TooLarge, TooSlow, errors, json_answer, tell_errors
from barcode_pipeline.serving.feedback import FeedbackDesk
from barcode_pipeline.serving.history import AlertFilter, HistoryDown
from barcode_pipeline.serving.requests import Problem, Refused, read_event_times, read_request
from barcode_pipeline.serving.service import Busy, Service
from barcode_pipeline.serving.views import alerts_view, journey_view

OPEN_PATHS = ("/health", "/ready", "/docs", "/openapi.json")
"""Paths that ask for no key: they tell nothing of the goods."""
_LARGEST_DRAIN = 4
"""A body too large is read to its end, up to so many times the limit: many clients look for an answer only then."""

DESCRIPTION = """
Scans of goods are judged as they come: each event in the light of what is known of its EPC. Times without a zone are
in the pipeline's zone. A request may be sent again: it gives the same answer and changes nothing.

Where keys are asked for, send one in the header `X-API-Key`, or as `Authorization: Bearer KEY`. Five lines of a client:

    import requests
    scans = [{"event_id": 301, "epc_code": "001.8804823.1203199.150002.20250701.000000001", "location_id": 1,
              "business_step": "Factory", "event_type": "Aggregation", "event_time": "2025-07-01T10:34:17",
              "file_id": 3}]
    url = "http://127.0.0.1:8000/api/manager/export-and-analyze-async/lstm"
    print(requests.post(url, json={"data": scans}, headers={"X-API-Key": "KEY"}, timeout=30).json())
"""


@dataclass(frozen=True)
class Limits:
    """most_events, most_bytes: of a request. seconds: for a body to come in, and for an answer. per_second: requests
    of one client, 0 without a limit."""

    most_events: int = 10_000
    most_bytes: int = 16 << 20
    seconds: float = 30.0
    per_second: float = 0.0


Review = Callable[[int], dict[str, Any]]
"""The questions most worth asking, so many of them, as `schema.Review`."""


def create_app(
    service: Service,
    keys: Keys,
    limits: Limits = Limits(),
    feedback: FeedbackDesk | None = None,
    review: Review | None = None,
) -> FastAPI:
    """The application. It starts the service and stops it."""
    lookers = ThreadPoolExecutor(2, thread_name_prefix="looking")

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await asyncio.to_thread(service.stop)
            lookers.shutdown()

    app = FastAPI(
        title="Barcode pipeline: scans judged as they come",
        description=DESCRIPTION,
        version="1",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # A path with a slash too many is another path: a redirect would lose the body of a POST.
        redirect_slashes=False,
    )
    app.add_middleware(Envelope, keys=keys, rate=RateLimit(limits.per_second), metrics=service.metrics, open=OPEN_PATHS)
    _publish_schema(app, keys)
    tell_errors(app, limits.most_bytes, limits.seconds)
    _add_analysis(app, service, limits)
    _add_state(app, service, lookers)
    _add_looking(app, service, lookers, feedback, review)
    return app


def _publish_schema(app: FastAPI, keys: Keys) -> None:
    """Add to the schema what the endpoints read for themselves, and where keys are asked for."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = plain()
            request = schema.AnalyseRequest.model_json_schema(ref_template="#/components/schemas/{model}")
            found["components"]["schemas"] |= {"AnalyseRequest": request} | request.pop("$defs")
            if keys.asked_for:
                found["components"]["securitySchemes"] = {
                    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                    "bearer": {"type": "http", "scheme": "bearer"},
                }
                for path, methods in found["paths"].items():
                    for operation in methods.values():
                        operation["security"] = [] if path in OPEN_PATHS else [{"key": []}, {"bearer": []}]
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


# ---------------------------------------------------------------------- the three endpoints


def _add_analysis(app: FastAPI, service: Service, limits: Limits) -> None:
    base = "/api/manager/export-and-analyze-async"
    words = {
        "rule": ("", "The five rules.", "Judges scans by the five rules."),
        "lstm": (
            "/lstm",
            "The LSTM.",
            "Judges scans by the LSTM in service. A label's score is its probability × 100. Where `method` is `rule` "
            "the model was not asked (too little is known of the EPC, or none is in service, and `warning` says so) "
            "and the rules' labels and scores stand.",
        ),
        "svm": (
            "/svm",
            "One-class SVMs.",
            "Judges scans by one one-class SVM per label. A score is the share of training scores below the event's, "
            "× 100. Without its models the rules answer, with a `warning`.",
        ),
    }
    for endpoint, (path, summary, description) in words.items():
        _add_endpoint(app, service, limits, endpoint, base + path, summary, description)  # type: ignore[arg-type]


def _add_endpoint(
    app: FastAPI, service: Service, limits: Limits, endpoint: Endpoint, path: str, summary: str, description: str
) -> None:
    model, example = schema.ANSWERS[endpoint]
    reference = {"$ref": "#/components/schemas/AnalyseRequest"}

    @app.post(
        path,
        summary=summary,
        description=description + " One object where all scans have one `file_id`, else one per file in order of "
        "appearance; only events with an anomaly are told.",
        operation_id=f"analyse_{endpoint}",
        response_model=model | list[model],  # type: ignore[valid-type]
        response_model_exclude_none=True,
        responses={
            200: {"content": {"application/json": {"example": example}}},
            **errors(401, 408, 413, 422, 429, 503),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": reference, "example": schema.EXAMPLE_REQUEST}},
            }
        },
    )
    async def analyse(request: Request) -> Response:
        body = await read_body(request, limits)
        request.scope["barcode_events"] = 0
        # A large body takes long to read: beside, so that others are answered meanwhile.
        if len(body) > 1 << 17:
            scans = await asyncio.to_thread(read_request, body, service.options.zone, limits.most_events)
        else:
            scans = read_request(body, service.options.zone, limits.most_events)
        request.scope["barcode_events"] = len(scans)
        answered = asyncio.wrap_future(service.submit(scans, endpoint))
        try:
            async with asyncio.timeout(limits.seconds):
                return Response(await asyncio.shield(answered), media_type="application/json")
        except TimeoutError:
            raise Busy from None


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body, no more of it than is allowed and no later."""
    pieces: list[bytes] = []
    size, too_large = 0, False
    try:
        async with asyncio.timeout(limits.seconds):
            async for piece in request.stream():
                size += len(piece)
                too_large = too_large or size > limits.most_bytes
                if too_large:
                    pieces.clear()
                    if size > _LARGEST_DRAIN * limits.most_bytes:
                        break
                else:
                    pieces.append(piece)
    except TimeoutError:
        raise TooSlow from None
    if too_large:
        raise TooLarge
    return b"".join(pieces)


# ---------------------------------------------------------------------- state


def _add_state(app: FastAPI, service: Service, lookers: ThreadPoolExecutor) -> None:
    @app.get("/health", summary="Whether the process lives.", response_model=schema.Alive)
    async def health() -> Response:
        return json_answer({"status": "alive"})

    @app.get(
        "/ready",
        summary="Whether a model judges, and which.",
        description="503 while the service starts, and while no LSTM is in service: the rules answer meanwhile.",
        response_model=schema.Ready,
        responses={503: {"model": schema.Ready, "description": "No model is loaded."}},
    )
    async def ready() -> Response:
        now = service.models.now
        status = "starting" if not service.ready else "no model" if now.models.lstm is None else "ready"
        found = {
            "status": status,
            **now.about(),
            "refused": [f"{what}: {why}" for what, why in now.refused],
        }
        if status == "ready":
            return json_answer(found)
        return json_answer(found, 503, {"Retry-After": "1"})

    @app.get(
        "/metrics", summary="Figures for Prometheus.", response_class=PlainTextResponse, responses=errors(401, 429)
    )
    async def metrics() -> Response:
        service.metrics.set("waiting_events", service.waiting())
        try:
            sizes = await asyncio.get_running_loop().run_in_executor(lookers, service.history.sizes)
        except HistoryDown:
            sizes = {}  # the other figures are asked for all the more
        service.metrics.replace("history_size", {(("kind", kind),): size for kind, size in sizes.items()})
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(docs_page(app.openapi()))


# ---------------------------------------------------------------------- looking back


def _add_looking(
    app: FastAPI,
    service: Service,
    lookers: ThreadPoolExecutor,
    feedback: FeedbackDesk | None,
    review: Review | None,
) -> None:
    async def beside(function: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(lookers, function, *values)

    @app.get(
        "/api/v1/epcs/{epc}",
        summary="A journey as the service knows it.",
        description="Each event with its labels and scores as `/lstm` answers them, and the reasons in words.",
        response_model=schema.Journey,
        responses=errors(401, 404, 422, 429, 503),
    )
    async def journey(epc: str) -> Response:
        found = await beside(journey_view, service.history, service.settings, epc)
        if found is None:
            raise HTTPException(404, "nothing is known of this EPC")
        return json_answer(found)

    @app.get(
        "/api/v1/alerts",
        summary="Alerts in the order in which they came in.",
        description="Give `next` of one page as `after` for the following one: pages stay as they are while new alerts "
        "come in, which stand after all others.",
        response_model=schema.AlertPage,
        responses=errors(401, 422, 429, 503),
    )
    async def alerts(
        since: Annotated[str | None, Query(max_length=100, description="Events at this time or later.")] = None,
        label: Annotated[schema.LabelName | None, Query(description="Events with this label.")] = None,
        min_score: Annotated[float, Query(ge=0, le=100, description="Of the label, or of any.")] = 0,
        site: Annotated[str | None, Query(max_length=1000, description="Location id, or name.")] = None,
        after: Annotated[str | None, Query(max_length=40, pattern=r"^[0-9]{1,18}(-[0-9]{1,18})?$")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        seconds = _since(since, service.options.zone) if since is not None else None
        place: int | str | None = int(site) if site is not None and site.isascii() and site.isdigit() else site
        if isinstance(place, int) and place >= 2**63:
            place = site
        chosen = AlertFilter(seconds, None if label is None else LABELS.index(label), min_score, place)
        return json_answer(await beside(alerts_view, service.history, service.settings, after, chosen, limit))

    if feedback is not None:

        @app.post(
            "/api/v1/feedback",
            summary="Verdicts of investigators.",
            description="Of one event and one label each; the latest stands. Sent again it changes nothing.",
            response_model=schema.FeedbackAnswer,
            responses=errors(401, 404, 422, 429, 503),
        )
        async def give_feedback(body: schema.FeedbackRequest) -> Response:
            return json_answer(await beside(feedback.store, service.history, service.settings, body.verdicts))

    if review is not None:

        @app.get(
            "/api/v1/review",
            summary="What is most worth asking an investigator.",
            description="Questions on nightly data, the most valuable first, as the last report has chosen them; what "
            "has a verdict by now is left out. 503 before the first report.",
            response_model=schema.Review,
            responses=errors(401, 422, 429, 503),
        )
        async def questions(count: Annotated[int, Query(ge=1, le=1000)] = 50) -> Response:
            return json_answer(await beside(review, count))


def _since(word: str, zone: str) -> int:
    seconds, readable = read_event_times([word if len(word) > 10 else f"{word}T00:00:00"], zone)
    if not readable[0]:
        raise Refused([Problem(None, "since", "since is no time: write 2025-07-01 or 2025-07-01T10:34:17")])
    return int(np.asarray(seconds)[0])
