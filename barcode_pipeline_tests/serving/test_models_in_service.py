"""Models are exchanged while the service runs, without dropping a request; what does not fit is refused."""

from __future__ import annotations

import datetime
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.serving.access import Keys
from barcode_pipeline.serving.app import create_app
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.models_in_service import ModelsInService
from barcode_pipeline.serving.service import Service
from barcode_pipeline_tests.conftest import SmallProject
from barcode_pipeline_tests.models.untrained import random_model
from barcode_pipeline_tests.serving.cases import EVENT
from barcode_pipeline_tests.serving.standins import post, settings, wait_until_ready

DAY = datetime.date(2025, 9, 1)


def put(folder: Path, seed: int) -> Path:
    registry = ModelRegistry(folder)
    path = registry.add(random_model(seed), DAY)
    registry.put_in_service(path)
    return path


def test_the_pointer_is_followed(tmp_path: Path) -> None:
    models = ModelsInService(tmp_path)
    assert not models.refresh() and models.models().lstm is None and models.now.about() == {"model": None}
    first = put(tmp_path, 1)
    assert models.refresh() and models.now.lstm_file == first
    assert not models.refresh()
    second = put(tmp_path, 2)
    assert models.refresh() and models.now.about()["model"] == second.name == "lstm_model_20250901_2.pt"


@pytest.mark.parametrize("fault", ["no model", "cut off", "gone", "other features", "no numbers", "odd pointer"])
def test_what_does_not_fit_is_refused_and_the_old_one_stays(tmp_path: Path, fault: str) -> None:
    first = put(tmp_path, 1)
    models = ModelsInService(tmp_path)
    models.refresh()
    before = models.models().lstm
    second = put(tmp_path, 2)
    if fault == "no model":
        second.write_bytes(b"not a model")
    elif fault == "cut off":
        second.write_bytes(second.read_bytes()[:-100])
    elif fault == "gone":
        second.unlink()
    elif fault == "odd pointer":
        (tmp_path / "lstm" / "in_service.json").write_text("{")
    else:
        content = torch.load(second, weights_only=True)
        if fault == "other features":
            content["feature_version"] = 99
        else:
            content["weights"]["head.bias"][:] = float("nan")
        torch.save(content, second)
    assert not models.refresh()
    assert models.models().lstm is before and models.now.lstm_file == first
    assert [what for what, _ in models.now.refused] == ["LSTM"]
    assert not models.refresh() and models.now.refused  # it stays told
    if fault == "odd pointer":
        (tmp_path / "lstm" / "in_service.json").unlink()
    third = put(tmp_path, 3)
    assert models.refresh() and models.now.lstm_file == third and not models.now.refused


def test_the_simple_detectors_are_followed(small_project: SmallProject, tmp_path: Path) -> None:
    shutil.copytree(small_project.workspace.models / "baselines", tmp_path / "baselines")
    models = ModelsInService(tmp_path)
    assert models.refresh()
    svm = models.models().svm
    assert svm is not None and svm.calibration.threshold.shape == (5,) and models.models().lstm is None
    for path in (tmp_path / "baselines").glob("*/one_class_svm.npz"):
        path.write_bytes(b"")
    again = ModelsInService(tmp_path)
    assert not again.refresh() and again.models().svm is None and again.now.refused[0][0] == "one-class SVM"


def test_no_request_is_dropped_while_models_change(tmp_path: Path) -> None:
    first = put(tmp_path, 1)
    service = Service(MemoryHistory(), settings(), ModelsInService(tmp_path))
    with TestClient(create_app(service, Keys(None))) as client:
        wait_until_ready(client)
        stop, answers = threading.Event(), []

        def ask(number: int) -> None:
            event = 1000 * number
            while not stop.is_set():
                event += 1
                code = f"001.8804823.1203199.150002.20250701.{event:09}"
                answers.append(post(client, "lstm", [EVENT | {"event_id": event, "epc_code": code}]))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        names = {first.name}
        try:
            for seed in range(2, 6):
                broken = seed == 4
                path = put(tmp_path, seed)
                if broken:
                    path.write_bytes(b"broken")
                else:
                    wait_for(client, path.name)
                    names.add(path.name)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        ready: Any = client.get("/ready").json()
        assert f'file="{ready["model"]}"' in client.get("/metrics").text
    assert len(names) == 4 and len(answers) > 20
    assert {answer.status_code for answer in answers} == {200}
    assert all("warning" not in answer.text for answer in answers)
    methods = {event["method"] for answer in answers for event in answer.json()["EventHistory"]}
    assert methods <= {"lstm"}


def wait_for(client: TestClient, name: str) -> None:
    for _ in range(200):
        if client.get("/ready").json()["model"] == name:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} was not taken")


def test_a_stored_verdict_outlives_its_model(tmp_path: Path) -> None:
    put(tmp_path, 1)
    models = ModelsInService(tmp_path)
    service = Service(MemoryHistory(), settings(), models)
    with TestClient(create_app(service, Keys(None))) as client:
        wait_until_ready(client)
        before = post(client, "lstm", [EVENT | {"event_id": 1}]).json()
        put(tmp_path, 2)
        models.refresh()
        assert post(client, "lstm", [EVENT | {"event_id": 1}]).json() == before
        fresh = EVENT | {"event_id": 1, "epc_code": "001.8804823.1203199.150002.20250701.000000009"}
        other = post(client, "lstm", [fresh]).json()
    scores = [[event.get("lstmScore") for event in answer["EventHistory"]] for answer in (before, other)]
    assert scores[0] != scores[1] or np.size(scores) == 0
