"""The API around the three endpoints: state, limits, keys, errors, logs, and a shutdown that loses nothing."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.serving.access import Keys, RateLimit, check_open
from barcode_pipeline.serving.app import Limits, create_app
from barcode_pipeline.serving.history import HistoryDown
from barcode_pipeline.serving.judge import Models
from barcode_pipeline.serving.logs import JsonLines
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.service import Options, Service
from barcode_pipeline_tests.serving.cases import EPC, EVENT
from barcode_pipeline_tests.serving.standins import (
    PATHS,
    FixedModels,
    models_named,
    plain_lstm,
    post,
    serving,
    settings,
)

EVENTS = [EVENT | {"event_id": 1}]


def test_health_and_ready_tell_the_model() -> None:
    with serving(Models(plain_lstm())) as client:
        assert client.get("/health").json() == {"status": "alive"}
        told = client.get("/ready").json()
    assert told["status"] == "ready" and told["model"] == "lstm_model_20250901.pt" and told["date"] == "2025-09-01"


def test_not_ready_without_a_model() -> None:
    with serving() as client:
        response = client.get("/ready")
        assert response.status_code == 503 and response.json()["status"] == "no model"
        assert post(client, "lstm", EVENTS).status_code == 200


def test_not_ready_before_it_has_started() -> None:
    from starlette.testclient import TestClient

    service = Service(MemoryHistory(), settings(), FixedModels(Models()))
    client = TestClient(create_app(service, Keys(None)))  # its life has not begun
    response = client.get("/ready")
    assert response.status_code == 503 and response.headers["retry-after"] and response.json()["model"] is None
    assert client.get("/health").status_code == 200


def test_metrics_count_what_happens() -> None:
    with serving(models_named("lstm svm")) as client:
        post(client, "lstm", [EVENT | {"event_id": 1, "location_id": 999}])
        post(client, "lstm", [EVENT | {"event_id": 1, "location_id": 999}])
        post(client, "rule", [{"event_id": "x"}])
        text = client.get("/metrics").text
    for line in (
        f'requests_total{{path="{PATHS["lstm"]}",status="200"}} 2',
        f'requests_total{{path="{PATHS["rule"]}",status="422"}} 1',
        'events_total{endpoint="lstm"} 2',
        "new_events_total 1",
        'labels_total{endpoint="lstm",label="locErr"} 2',
        'model_in_service{file="lstm_model_20250901.pt",kind="lstm"} 1',
        'history_size{kind="epcs"} 1',
        'stage_seconds_count{stage="judge"}',
    ):
        assert f"barcode_pipeline_{line}" in text
    assert "waiting_events 0" in text


def test_docs_need_nothing_from_elsewhere() -> None:
    with serving() as client:
        page = client.get("/docs").text
    assert "http://" not in page.replace("http://127.0.0.1", "") and "https://" not in page and "<script" not in page
    for word in ("/api/v1/alerts", "min_score", "eventId", "lstmScore", "Retry-After", "import requests"):
        assert word in page


@pytest.mark.parametrize("endpoint", PATHS)
def test_too_many_events(endpoint: str) -> None:
    with serving(limits=Limits(most_events=3)) as client:
        response = post(client, endpoint, [EVENT | {"event_id": number} for number in range(4)])
        assert response.status_code == 413 and "the limit is 3" in response.json()["error"]
        assert post(client, endpoint, [EVENT | {"event_id": number} for number in range(3)]).status_code == 200


def test_too_large_a_body() -> None:
    with serving(limits=Limits(most_bytes=1000)) as client:
        response = client.post(PATHS["rule"], content=b" " * 1001)
        assert response.status_code == 413 and "the limit is 1000 bytes" in response.json()["error"]
        assert client.post(PATHS["rule"], content=iter([b" " * 900] * 10)).status_code == 413
        assert client.post(PATHS["rule"], content=b'{"data": []}' + b" " * 900).status_code == 200


def test_a_body_that_does_not_come_ends() -> None:
    """One byte, and then nothing."""
    service = Service(MemoryHistory(), settings(), FixedModels(Models()))
    app = create_app(service, Keys(None), Limits(seconds=0.1))
    sent: list[Any] = []

    async def receive() -> Any:
        if not sent and not receive.called:  # type: ignore[attr-defined]
            receive.called = True  # type: ignore[attr-defined]
            return {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.sleep(60)

    receive.called = False  # type: ignore[attr-defined]

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": PATHS["rule"],
        "headers": [],
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "app": app,
        "server": ("127.0.0.1", 80),
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_too_much_waits() -> None:
    service = Service(MemoryHistory(), settings(), FixedModels(Models()), Options(most_waiting=2))
    gate = threading.Event()
    real = service.judging.judge
    service.judging.judge = lambda requests: (gate.wait(), real(requests))[1]  # type: ignore[method-assign]
    from starlette.testclient import TestClient

    with TestClient(create_app(service, Keys(None))) as client, ThreadPoolExecutor(2) as pool:
        try:
            first = pool.submit(post, client, "rule", EVENTS * 2)
            while service.waiting() < 2:
                assert not first.done()
                time.sleep(0.01)
            refused = post(client, "rule", EVENTS)
        finally:
            gate.set()  # else a failure would be waited for by the pool for ever
        assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
        assert first.result().status_code == 200
        assert post(client, "rule", EVENTS).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up_and_kept() -> None:
    service = Service(MemoryHistory(), settings(), FixedModels(Models()))
    real = service.judging.judge
    service.judging.judge = lambda requests: (time.sleep(0.5), real(requests))[1]  # type: ignore[method-assign]
    from starlette.testclient import TestClient

    with TestClient(create_app(service, Keys(None), Limits(seconds=0.1))) as client:
        response = post(client, "rule", EVENTS)
        assert response.status_code == 503 and response.headers["retry-after"]
        time.sleep(0.8)
    assert service.history.journeys([EPC])[0]


class DownHistory(MemoryHistory):
    down = True

    def transaction(self, keys: Any) -> Any:
        if self.down:
            raise HistoryDown("gone")
        return super().transaction(keys)

    def journeys(self, keys: Any) -> Any:
        if self.down:
            raise HistoryDown("gone")
        return super().journeys(keys)


def test_a_history_that_does_not_answer() -> None:
    history = DownHistory()
    with serving(history=history) as client:
        for response in (post(client, "rule", EVENTS), client.get(f"/api/v1/epcs/{EPC}")):
            assert response.status_code == 503 and response.headers["retry-after"]
        history.down = False
        assert post(client, "rule", EVENTS).status_code == 200


def test_what_one_request_stumbles_over_fails_no_other() -> None:
    service = Service(MemoryHistory(), settings(), FixedModels(Models()))
    real = service.judging.judge

    def judge(requests: Any) -> Any:
        if any(666 in request.event_id for request in requests):
            raise RuntimeError("a fault of ours")
        time.sleep(0.05)
        return real(requests)

    service.judging.judge = judge  # type: ignore[method-assign]
    from starlette.testclient import TestClient

    ids = [1, 2, 666, 3, 4, 5, 6, 7]
    app = create_app(service, Keys(None))
    with TestClient(app, raise_server_exceptions=False) as client, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: post(client, "rule", [EVENT | {"event_id": number}]), ids))
    assert [response.status_code for response in found] == [503 if number == 666 else 200 for number in ids]
    failed = found[2]
    assert "fault" not in failed.text and "Traceback" not in failed.text and failed.json()["request_id"]


def test_stopping_finishes_what_was_accepted() -> None:
    service = Service(MemoryHistory(), settings(), FixedModels(Models()))
    service.start()
    from barcode_pipeline.serving.requests import read_rows

    answers = [service.submit(read_rows([EVENT | {"event_id": number}], "Asia/Seoul"), "rule") for number in range(50)]
    service.stop()
    assert all(json.loads(answer.result(timeout=0))["fileId"] == 3 for answer in answers)


# ---------------------------------------------------------------------- keys and rates


def test_keys_are_asked_for_and_change_without_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys", [0.0]
    path.write_text("first-key   # of the factory\n\nsecond-key\n")
    with serving(keys=Keys(path, lambda: clock[0])) as client:
        assert post(client, "rule", EVENTS).status_code == 401
        wrong = post(client, "rule", EVENTS, headers={"X-API-Key": "first-ke"})
        assert wrong.status_code == 401 and wrong.headers["www-authenticate"] == "Bearer"
        assert post(client, "rule", EVENTS, headers={"X-API-Key": "first-key"}).status_code == 200
        assert post(client, "rule", EVENTS, headers={"Authorization": "Bearer second-key"}).status_code == 200
        assert client.get("/metrics").status_code == client.get("/api/v1/alerts").status_code == 401
        for path_open in ("/health", "/ready", "/docs", "/openapi.json"):
            assert client.get(path_open).status_code != 401
        path.write_text("third-key-that-is-new\n")
        clock[0] += 2
        assert post(client, "rule", EVENTS, headers={"X-API-Key": "first-key"}).status_code == 401
        assert post(client, "rule", EVENTS, headers={"X-API-Key": "third-key-that-is-new"}).status_code == 200
        path.unlink()
        clock[0] += 2
        assert post(client, "rule", EVENTS, headers={"X-API-Key": "third-key-that-is-new"}).status_code == 200


def test_the_schema_tells_where_keys_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("key\n")
    with serving(keys=Keys(tmp_path / "keys")) as client:
        schema = client.get("/openapi.json").json()
    assert schema["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"
    assert schema["paths"]["/api/v1/alerts"]["get"]["security"] and not schema["paths"]["/health"]["get"]["security"]


@pytest.mark.parametrize("header", ["", "# first-key", "first-key\n", "é", "x" * 10_000, "Bearer first-key"])
def test_odd_keys(tmp_path: Path, header: str) -> None:
    path = tmp_path / "keys"
    path.write_text("first-key\n")
    keys = Keys(path)
    assert keys.find(header) is None
    assert keys.find(None) is None
    assert keys.find("first-key") == 0


def test_a_file_of_keys_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Keys(tmp_path / "none")
    (tmp_path / "empty").write_text("# nothing\n")
    with pytest.raises(UserError, match="holds no key"):
        Keys(tmp_path / "empty")


@pytest.mark.parametrize(
    ("host", "open_to_others"),
    [("127.0.0.1", False), ("localhost", False), ("::1", False), ("0.0.0.0", True), ("10.1.2.3", True), ("api", True)],
)
def test_closed_to_others_without_keys(tmp_path: Path, host: str, open_to_others: bool) -> None:
    (tmp_path / "keys").write_text("key\n")
    check_open(host, Keys(tmp_path / "keys"))
    if open_to_others:
        with pytest.raises(UserError, match="no key is asked for"):
            check_open(host, Keys(None))
    else:
        check_open(host, Keys(None))


def test_a_rate_is_kept_per_client() -> None:
    clock = [0.0]
    rate = RateLimit(2, lambda: clock[0])
    assert [rate.wait("a") for _ in range(3)] == [0, 0, 0.5]
    assert rate.wait("b") == 0
    clock[0] += 0.5
    assert [rate.wait("a") for _ in range(2)] == [0, 0.5]
    assert RateLimit(0).wait("a") == 0


def test_too_many_requests() -> None:
    with serving(limits=Limits(per_second=2)) as client:
        statuses = [post(client, "rule", EVENTS).status_code for _ in range(5)]
        assert statuses[:2] == [200, 200] and 429 in statuses
        refused = next(r for r in (post(client, "rule", EVENTS) for _ in range(9)) if r.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/health").status_code == 200


# ---------------------------------------------------------------------- ids and logs


@pytest.fixture
def log() -> Any:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("barcode_pipeline.serving")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_requests_have_an_id_and_a_line_in_the_log(tmp_path: Path, log: Any) -> None:
    (tmp_path / "keys").write_text("very-secret\n")
    with serving(keys=Keys(tmp_path / "keys")) as client:
        given = post(client, "rule", EVENTS, headers={"X-API-Key": "very-secret", "X-Request-Id": "mine-1"})
        odd = post(client, "rule", EVENTS, headers={"X-API-Key": "very-secret", "X-Request-Id": "a\tb{}"})
        refused = post(client, "rule", [{}], headers={"X-API-Key": "very-secret"})
        post(client, "rule", EVENTS, headers={"X-API-Key": "guessed-secret"})
    assert given.headers["x-request-id"] == "mine-1"
    assert odd.headers["x-request-id"] not in ("mine-1", "a\tb{}")
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    lines = [line for line in log() if line["message"] == "request" and line["path"] == PATHS["rule"]]
    assert [(line["status"], line.get("events")) for line in lines] == [(200, 1), (200, 1), (422, 0), (401, None)]
    assert lines[0]["request_id"] == "mine-1" and lines[0]["ms"] > 0
    assert "secret" not in json.dumps(log()) and EPC not in json.dumps(log())


def test_unknown_paths_and_methods() -> None:
    with serving() as client:
        for response in (client.get("/nothing"), client.get(PATHS["rule"]), client.post(PATHS["rule"] + "/")):
            assert response.status_code in (404, 405)
            assert response.json()["error"] and response.json()["request_id"]


def test_requests_that_wait_together_are_judged_together_and_each_gets_its_own() -> None:
    with serving(models_named("lstm svm")) as client, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> Any:
            code = f"001.8804823.1203199.150002.20250701.{number % 7:09}"
            event = EVENT | {
                "event_id": number,
                "epc_code": code,
                "location_id": 999 if number % 2 else 1,
                "event_time": f"2025-07-02T09:{number // 60:02}:{number % 60:02}",
                "file_id": number,
            }
            return post(client, ["rule", "lstm", "svm"][number % 3], [event]).json()

        answers = list(pool.map(ask, range(120)))
        assert [answer["fileId"] for answer in answers] == list(range(120))
        found = client.get("/api/v1/epcs/001.8804823.1203199.150002.20250701.000000003").json()
    assert [event["event_id"] for event in found["events"]] == list(range(3, 120, 7))
    assert np.all(np.diff([int(event["event_time"][-2:]) % 60 for event in found["events"][:5]]) >= 0)
