"""What the documents promise of the live API, and what the published schema promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from barcode_pipeline.configuration import ServingSection
from barcode_pipeline.serving.access import Keys
from barcode_pipeline.serving.app import create_app
from barcode_pipeline.serving.judge import Models, Settings
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.schema import EXAMPLE_REQUEST, example_answer
from barcode_pipeline.serving.service import Service
from barcode_pipeline_tests.rules.reference_rules import Site
from barcode_pipeline_tests.rules.worked_examples import ROUTES, SITES
from barcode_pipeline_tests.serving.standins import PATHS, RULES, FixedModels, wait_until_ready
from barcode_pipeline_tests.worlds import reference

ROOT = Path(__file__).parents[2]


def app_schema() -> dict[str, Any]:
    sites = [*SITES, Site(30, "Seoul shop", 37.52, 127.05)]
    settings = Settings(reference(sites, ROUTES), RULES)
    service = Service(MemoryHistory(), settings, FixedModels(Models()))
    return {"service": service, "app": create_app(service, Keys(None))}


def test_the_worked_example_is_what_is_answered() -> None:
    with TestClient(app_schema()["app"]) as client:
        wait_until_ready(client)
        assert client.post(PATHS["rule"], json=EXAMPLE_REQUEST).json() == example_answer()


def test_examples_are_published() -> None:
    with TestClient(app_schema()["app"]) as client:
        paths = client.get("/openapi.json").json()["paths"]
    for path in PATHS.values():
        post = paths[path]["post"]
        assert post["requestBody"]["content"]["application/json"]["example"] == EXAMPLE_REQUEST
        assert post["responses"]["200"]["content"]["application/json"]["example"]["fileId"] == 3
        assert {"401", "408", "413", "422", "429", "503"} <= post["responses"].keys()


def test_configuration_and_its_file_agree() -> None:
    text = (ROOT / "configuration.toml").read_text(encoding="utf-8")
    section = text.partition("[serving]")[2].partition("\n[")[0]
    named = set(re.findall(r"^(\w+) =", section, re.MULTILINE))
    assert named == set(ServingSection.model_fields)


def test_documents_name_what_there_is() -> None:
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([a-z]+_[a-z_]+)`", text):
        known = name in ServingSection.model_fields or name in ("min_score", "request_id")
        assert known or (ROOT / "barcode_pipeline" / "serving" / f"{name}.py").exists(), name
    with TestClient(app_schema()["app"]) as client:
        for path in client.get("/openapi.json").json()["paths"]:
            last = path.rpartition("/")[2]
            assert last in text or last == "export-and-analyze-async", path
    assert np.all([word in text for word in ("history fill", "score FILE", "make serve")])
