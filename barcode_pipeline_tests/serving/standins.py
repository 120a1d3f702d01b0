"""Models that say what a test wants, by features that anyone can read off a row; and a service around them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import uvicorn
from starlette.testclient import TestClient

from barcode_pipeline.models.calibration import Calibration
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.serving.access import Keys
from barcode_pipeline.serving.app import Limits, create_app
from barcode_pipeline.serving.history import History
from barcode_pipeline.serving.judge import Models, Settings, Svm
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.models_in_service import InService, ModelsInService
from barcode_pipeline.serving.service import Options, Service
from barcode_pipeline_tests.rules.worked_examples import ROUTES, SITES
from barcode_pipeline_tests.worlds import reference

CALIBRATION = Calibration(np.ones(5), np.zeros(5), np.full(5, 0.5))
UNLIKELY, LIKELY, SURE = -6.0, 1.0, 3.0
"""Log-odds: 0.25 %, 73.1 %, 95.3 %."""

RULES = RuleSettings()


class PlainNetwork(torch.nn.Module):
    """locErr where the place is not known; epcFake where the code has not six parts; jump where the event before had
    an unknown place and this one has not (so that it looks back)."""

    def __init__(self, longest: int = 10) -> None:
        super().__init__()
        self.architecture = SimpleNamespace(longest=longest)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        known = features[..., FEATURE_NAMES.index("place_known")]
        out = torch.full((*features.shape[:-1], 5), UNLIKELY)
        out[..., 2] = torch.where(known > 0, UNLIKELY, SURE)
        out[..., 0] = torch.where(features[..., FEATURE_NAMES.index("code_six_parts")] > 0, UNLIKELY, SURE)
        before = torch.roll(known, 1, dims=-1)
        first = torch.arange(known.shape[-1]) == 0
        out[..., 4] = torch.where((before == 0) & (known > 0) & ~first, LIKELY, UNLIKELY)
        return out


class PlainMachines:
    """epcFake, a share of 0.9995, where the code has not six parts; 0.1 of all else. Scores are no shares: 0.9995 is
    -0.0005."""

    name = "one_class_svm"

    def score(self, journeys: JourneyFeatures) -> np.ndarray:
        shares = np.full((len(journeys), 5), 0.1)
        broken = journeys.values[:, FEATURE_NAMES.index("code_six_parts")] == 0
        shares[broken, 0] = 0.9995
        return (shares - 1).astype(np.float32)

    def share_below(self, scores: np.ndarray) -> np.ndarray:
        return (scores + 1).astype(np.float32)


def plain_lstm(longest: int = 10) -> LstmModel:
    return LstmModel(PlainNetwork(longest), CALIBRATION, {"teacher": "nobody"})  # type: ignore[arg-type]


def plain_svm() -> Svm:
    between = Calibration(np.full(5, 20.0), np.full(5, 10.0), np.full(5, 0.5))
    return Svm(PlainMachines(), between)  # type: ignore[arg-type]


class FixedModels(ModelsInService):
    """Models that are what they are told to be."""

    def __init__(self, models: Models) -> None:
        super().__init__(Path("/nowhere"))
        file = Path("lstm_model_20250901.pt") if models.lstm else None
        self.now = InService(models, file, Path("baselines") if models.svm else None)

    def refresh(self) -> bool:
        return False


def settings(cold_start: int = 0) -> Settings:
    return Settings(reference(SITES, ROUTES), RULES, cold_start)


def models_named(names: str) -> Models:
    """`lstm`, `svm`, both, or neither."""
    return Models(
        plain_lstm() if "lstm" in names else None, plain_svm() if "svm" in names else None, "lstm_model_20250901.pt"
    )


@contextmanager
def serving(
    models: Models = Models(),  # noqa: B008
    history: History | None = None,
    limits: Limits = Limits(),  # noqa: B008
    keys: Keys | None = None,
    options: Options = Options(),  # noqa: B008
    cold_start: int = 0,
    **more: Any,
) -> Iterator[TestClient]:
    """A client of a running service."""
    service = Service(history or MemoryHistory(), settings(cold_start), FixedModels(models), options)
    app = create_app(service, keys or Keys(None), limits, **more)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.app_state["service"] = service
        wait_until_ready(client)
        yield client


@contextmanager
def on_a_port(app: Any) -> Iterator[str]:
    """A real server in a thread; its address."""
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def wait_until_ready(client: TestClient) -> None:
    for _ in range(3000):
        if client.get("/ready").json()["status"] != "starting":
            return
        time.sleep(0.05)
    raise AssertionError("the service did not become ready")


PATHS = {name: f"/api/manager/export-and-analyze-async{tail}" for name, tail in
         {"rule": "", "lstm": "/lstm", "svm": "/svm"}.items()}  # fmt: skip


def post(client: TestClient, endpoint: str, events: list[dict[str, Any]], **more: Any) -> Any:
    return client.post(PATHS[endpoint], content=json.dumps({"data": events}), **more)
