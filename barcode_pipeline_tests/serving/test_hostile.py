"""Whatever a client sends: no answer of the 500s, no crash, and the service goes on. 422 names row and field."""

from __future__ import annotations

import json
import random
import socket
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from starlette.testclient import TestClient

from barcode_pipeline.serving.access import Keys
from barcode_pipeline.serving.app import Limits, create_app
from barcode_pipeline.serving.feedback import FeedbackDesk
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.service import Service
from barcode_pipeline_tests.serving import standins
from barcode_pipeline_tests.serving.cases import EVENT
from barcode_pipeline_tests.serving.standins import PATHS, FixedModels, models_named, on_a_port, post, serving

FIELDS = (
    "event_id",
    "epc_code",
    "location_id",
    "scan_location",
    "business_step",
    "event_type",
    "event_time",
    "file_id",
)
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    -1e308,
    10**17,
    10**18,
    2**63,
    2**64,
    -(2**63),
    10**400,
    "",
    " ",
    "\t\n",
    "nan",
    "NaN",
    "null",
    "None",
    "Infinity",
    "-0",
    "0x10",
    "1e5",
    "１７",
    "١٧",
    "'; DROP TABLE journeys; --",
    '" OR 1=1',
    "../../../../etc/passwd",
    "..\\..\\windows",
    "/dev/zero",
    "%00",
    "\u0000",
    "a\u0000b",
    "\r\nX: y",
    "\u202e",
    "\ufeff",
    "😀" * 50,
    "ß" * 10,
    "İ",
    "é" * 1000,
    "x" * 1001,
    "x" * 100_000,
    "." * 500,
    "-" * 300,
    "001.8804823.1203199.150002.20250701.",
    [],
    {},
    [[]],
    {"a": {"b": []}},
    ["x"] * 1000,
    "2025-07-01T10:34:17",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "2025-07-01T10:34:60",
    "<script>",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "\ud7ff",
    "\uffff",
]
BODIES = [
    b"",
    b" ",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'"x"',
    b"{",
    b"}",
    b'{"data"',
    b"\xff\xfe",
    b"\x00" * 10,
    b"\xef\xbb\xbf{}",
    b'{"data": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b'{"data": [NaN]}',
    b'{"data": [Infinity]}',
    b'{"data": [{"event_id": NaN}]}',
    b'{"data": [{"event_id": 1e999}]}',
    b'{"data": [{"event_id": ' + b"9" * 5000 + b"}]}",
    b'{"data": [], "data": {}}',
    b'{"data": [{"event_id": 1, "event_id": {}}]}',
    b'{"data": "' + b"x" * 10_000_000 + b'"}',
    b'{"data": [{"epc_code": "' + b"x" * 10_000_000 + b'"}]}',
    b'{"data": [{"a\xff": 1}]}',
    '{"data": [{"epc_code": "\u00e9"}]}'.encode("latin-1"),
    '{"data": []}'.encode("utf-16"),
    '{"data": []}'.encode("utf-32"),
    b'{"data": [{"epc_code": "\\ud800"}]}',
    b"GET / HTTP/1.1\r\n\r\n",
    b"data=1&event_id=2",
    b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
    json.dumps({"data": [1, "x", None, [], True]}).encode(),
    json.dumps({"data": [{}] * 5000}).encode(),
]


@pytest.fixture(scope="module")
def client() -> Any:
    with serving(models_named("lstm svm"), limits=Limits(most_events=10_000)) as running:
        yield running


def judged_still(client: TestClient) -> None:
    assert post(client, "lstm", [EVENT | {"event_id": 1}]).status_code == 200


@pytest.mark.parametrize("number", range(len(BODIES)), ids=[repr(body[:24]) for body in BODIES])
def test_odd_bodies(client: TestClient, number: int) -> None:
    for path in PATHS.values():
        response = client.post(path, content=BODIES[number])
        assert response.status_code in (413, 422) or response.json()["EventHistory"] == []
        assert len(response.content) < 20_000
    judged_still(client)


@pytest.mark.parametrize("field", FIELDS)
def test_odd_values_in_every_field(client: TestClient, field: str) -> None:
    seen = set()
    for value in ODD:
        response = post(client, "lstm", [EVENT | {"event_id": 1}, EVENT | {"event_id": 2, field: value}])
        seen.add(response.status_code)
        assert response.status_code in (200, 422), (field, value, response.text)
        if response.status_code == 422:
            told = response.json()["detail"]
            assert [(problem["row"], problem["field"]) for problem in told] == [(1, field)], (value, told)
    assert seen == {200, 422}
    judged_still(client)


def test_a_hundred_thousand_events(client: TestClient) -> None:
    event = json.dumps(EVENT | {"event_id": 5})
    body = '{"data": [' + ",".join([event] * 100_000) + "]}"
    response = client.post(PATHS["rule"], content=body)
    assert response.status_code == 413
    small = '{"data": [' + ",".join(['{"a":1}'] * 100_000) + "]}"
    response = client.post(PATHS["rule"], content=small)
    assert response.status_code == 413 and "10000" in response.json()["error"]
    judged_still(client)


def test_ten_thousand_events_of_one_epc_and_one_second(client: TestClient) -> None:
    code = "001.8804823.1203199.150009.20250701.000000001"
    same = [EVENT | {"event_id": number, "epc_code": code, "location_id": number} for number in range(1, 10_001)]
    response = post(client, "lstm", same)
    assert response.status_code == 200
    assert response.json()["epcAnomalyStats"][0]["totalEvents"] > 9_900
    judged_still(client)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=50),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from([*FIELDS, "data", "x"]), inner),
        max_leaves=20,
    )
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json(client: TestClient, content: Any) -> None:
    for body in (content, {"data": content}, {"data": [content]}, {"data": [EVENT | {"event_id": 3}, content]}):
        response = client.post(PATHS["lstm"], content=json.dumps(body))
        assert response.status_code in (200, 422)


@given(st.binary(max_size=200), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(client: TestClient, noise: bytes, seed: int) -> None:
    assert client.post(PATHS["lstm"], content=noise).status_code in (200, 422)
    body = bytearray(json.dumps({"data": [EVENT | {"event_id": 3}]}).encode())
    chance = random.Random(seed)
    for _ in range(3):
        body[chance.randrange(len(body))] = chance.randrange(256)
    assert client.post(PATHS["lstm"], content=bytes(body)).status_code in (200, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/epcs/%00",
        "/api/v1/epcs/" + "x" * 5000,
        "/api/v1/epcs/..%2f..%2fetc",
        "/api/v1/epcs/' OR 1=1",
        "/api/v1/alerts?since=yesterday",
        "/api/v1/alerts?label=none",
        "/api/v1/alerts?min_score=NaN",
        "/api/v1/alerts?min_score=101",
        "/api/v1/alerts?after=x",
        "/api/v1/alerts?after=-1",
        "/api/v1/alerts?limit=0",
        "/api/v1/alerts?limit=1e9",
        "/api/v1/alerts?after=999999999999999999",
        "/api/v1/alerts?site=" + "9" * 30,
        "/api/v1/alerts?site=%00",
        "/api/v1/alerts?since=0001-01-01",
        "/api/v1/alerts?after=1-1",
        "/api/v1/alerts?since=9999-12-31T23:59:59-14:00",
        "/metrics?x=" + "y" * 4000,
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_odd_paths(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (200, 404, 422)


def _review(count: int) -> dict[str, Any]:
    return {"made_at": "2025-09-01T12:00:00", "model": "lstm_model_20250901.pt", "questions": []}


def _whole_app() -> Any:
    service = Service(MemoryHistory(), standins.settings(), FixedModels(models_named("lstm svm")))
    desk = FeedbackDesk(Path(tempfile.mkdtemp()), "Asia/Seoul")
    return create_app(service, Keys(None), feedback=desk, review=_review)


def test_the_whole_schema_with_schemathesis() -> None:
    """Generated requests, good and bad, over every path of a real server: each answer is as the schema has it."""
    with on_a_port(_whole_app()) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        asked = {found.ok().label: _fuzz(found.ok()) for found in schema.get_all_operations()}
    assert len(asked) >= 9
    assert all(count > 20 for name, count in asked.items() if name.startswith("POST")), asked


def _fuzz(operation: Any) -> int:
    asked = 0

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal asked
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
        try:
            case = data.draw(operation.as_strategy(generation_mode=mode))
        except Unsatisfiable:  # a path without a body or parameters has no bad requests
            return
        response = case.call()
        asked += 1
        assert response.status_code < 500, response.text
        case.validate_response(response, excluded_checks=[checks.unsupported_method, checks.positive_data_acceptance])

    run()
    return asked


def test_a_client_that_sends_a_byte_a_second_harms_no_other() -> None:
    service = Service(MemoryHistory(), standins.settings(), FixedModels(models_named("lstm")))
    with on_a_port(create_app(service, Keys(None))) as address:
        port = int(address.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        for number, one in enumerate(slow):
            head = f"POST {PATHS['lstm']} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
            one.sendall(head[: len(head) if number % 2 else 20])
        body = json.dumps({"data": [EVENT | {"event_id": 1}]}).encode()
        waits = []
        for _ in range(20):
            for one in slow:
                one.sendall(b"x")
            started = time.perf_counter()
            with urllib.request.urlopen(address + PATHS["lstm"], body) as answer:
                assert answer.status == 200
            waits.append(time.perf_counter() - started)
        for one in slow:
            one.close()
    assert sorted(waits)[10] < 0.5
