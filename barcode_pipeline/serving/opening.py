"""From a project folder to a running service: the shell around what this package holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from barcode_pipeline.errors import UserError
from barcode_pipeline.reviewing import REVIEW_FILE
from barcode_pipeline.serving.access import Keys, check_open
from barcode_pipeline.serving.answers import Endpoint
from barcode_pipeline.serving.app import Limits, create_app
from barcode_pipeline.serving.feedback import FeedbackDesk
from barcode_pipeline.serving.logs import log_json
from barcode_pipeline.serving.nightly import judge_settings, open_models
from barcode_pipeline.serving.requests import Refused
from barcode_pipeline.serving.review import ReviewDesk
from barcode_pipeline.serving.sample import Sample
from barcode_pipeline.serving.score_file import score_file
from barcode_pipeline.serving.service import Options, Service
from barcode_pipeline.serving.stores import SQLITE, open_history, serving_folder
from barcode_pipeline.workspace import Workspace


def open_service(workspace: Workspace) -> Service:
    """A service that has not been started."""
    serving = workspace.configuration.serving
    options = Options(
        zone=workspace.configuration.time.zone,
        last_events=serving.last_events,
        most_lots=serving.lots_in_memory,
        retention_days=serving.retention_days,
    )
    models = open_models(workspace)
    history = open_history(workspace)
    sample = Sample(serving_folder(workspace) / "answers", serving.sample_one_in)
    return Service(history, judge_settings(workspace), models, options, sample)


def open_keys(workspace: Workspace) -> Keys:
    name = workspace.configuration.serving.keys_file
    return Keys(workspace.root / name if name else None)


def open_app(workspace: Workspace) -> FastAPI:
    serving = workspace.configuration.serving
    limits = Limits(serving.most_events, serving.most_megabytes << 20, serving.seconds, serving.requests_per_second)
    desk = FeedbackDesk(workspace.feedback, workspace.configuration.time.zone)
    kept = workspace.reports / "latest" / REVIEW_FILE
    review = ReviewDesk(kept, workspace.feedback, workspace.configuration.time.zone, workspace.reference.sites)
    return create_app(open_service(workspace), open_keys(workspace), limits, desk, review.questions)


def app() -> FastAPI:
    """For `uvicorn --factory`: the application of the project that the environment names."""
    log_json()
    return open_app(Workspace.open())


def score(workspace: Workspace, path: Path, endpoint: Endpoint) -> Any:
    """The answer to the rows of a file (`score_file`)."""
    models = open_models(workspace)
    models.refresh()
    try:
        return score_file(path, endpoint, judge_settings(workspace), models.models(), workspace.configuration.time.zone)
    except Refused as error:
        told = "; ".join(f"line {(problem.row or 0) + 2}: {problem.text}" for problem in error.problems[:5])
        raise UserError(f"{path} was not judged: {told}. Correct these lines and try again.") from error


def serve(workspace: Workspace, host: str | None = None, port: int | None = None) -> None:
    """Serve until told to stop; requests that were accepted are finished."""
    serving = workspace.configuration.serving
    host, port = host or serving.host, port if port is not None else serving.port
    check_open(host, open_keys(workspace))
    if serving.workers > 1 and serving.history == SQLITE:
        raise UserError("serving.workers is more than 1: that needs Redis as serving.history.")
    # The thread that judges and the one that speaks HTTP take turns; the usual 5 ms would be most of an answer.
    sys.setswitchinterval(0.0005)
    settings: dict[str, Any] = {
        "host": host,
        "port": port,
        "log_config": None,
        "access_log": False,
        "timeout_graceful_shutdown": 30,
        "limit_concurrency": serving.connections,
        "h11_max_incomplete_event_size": 64 << 10,
    }
    log_json()
    if serving.workers == 1:
        uvicorn.run(open_app(workspace), **settings)
        return
    os.environ["BARCODE_PIPELINE_ROOT"] = str(workspace.root)
    uvicorn.run("barcode_pipeline.serving.opening:app", factory=True, workers=serving.workers, **settings)
