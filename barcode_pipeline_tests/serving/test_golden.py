"""Golden cases, among them every sentence of the API's contract, through HTTP and against the published schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from starlette.testclient import TestClient

from barcode_pipeline_tests.serving.cases import answer_of, events_of, golden_cases
from barcode_pipeline_tests.serving.standins import PATHS, models_named, serving

CASES = golden_cases()


def test_there_are_enough_cases() -> None:
    names = [(case["file"], case["name"]) for case in CASES]
    assert len(names) >= 60
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=[f"{case['file']}: {case['name']}" for case in CASES])
def test_golden_case(case: dict[str, Any]) -> None:
    with serving(models_named(case["models"]), cold_start=case.get("cold_start", 0)) as client:
        for step in case["steps"]:
            if "problems" in step:
                refused(client, step)
            else:
                answered(client, step)


def refused(client: TestClient, step: dict[str, Any]) -> None:
    path = PATHS[step.get("endpoint", "rule")]
    body = step.get("body") if "body" in step else json.dumps({"data": rows_of(step)})
    response = client.post(path, content=body)
    assert response.status_code == 422, response.text
    told = response.json()
    assert [[problem["row"], problem["field"]] for problem in told["detail"]] == step["problems"]
    assert all(problem["msg"] for problem in told["detail"])
    assert_valid(client, path, 422, told)


def rows_of(step: dict[str, Any]) -> list[Any]:
    spelt = events_of({"events": [event if isinstance(event, dict) else {} for event in step["events"]]})
    return [event if not isinstance(event, dict) else whole for event, whole in zip(step["events"], spelt, strict=True)]


def answered(client: TestClient, step: dict[str, Any]) -> None:
    path = PATHS[step.get("endpoint", "rule")]
    events = events_of(step)
    response = client.post(path, content=step.get("body") or json.dumps({"data": events}))
    assert response.status_code == 200, response.text
    told = response.json()
    assert "null" not in response.text
    assert_valid(client, path, 200, told)
    objects = told if isinstance(told, list) else [told]
    for one in objects:
        assert bool(one.pop("warning", None)) == step.get("warning", False)
    assert rounded(told) == rounded(answer_of(step, events))


def rounded(content: Any) -> Any:
    """Scores to three decimals: a probability has seven digits."""
    if isinstance(content, dict):
        return {name: rounded(value) for name, value in content.items()}
    if isinstance(content, list):
        return [rounded(value) for value in content]
    return round(content, 3) if isinstance(content, float) else content


_VALIDATORS: dict[tuple[str, int], Any] = {}


def assert_valid(client: TestClient, path: str, status: int, content: Any) -> None:
    """Valid against the schema that the service publishes for this path and status."""
    if (path, status) not in _VALIDATORS:
        schema = client.get("/openapi.json").json()
        answer = schema["paths"][path]["post"]["responses"][str(status)]["content"]["application/json"]["schema"]
        whole = {**answer, "components": schema["components"]}
        _VALIDATORS[path, status] = jsonschema_rs.Draft202012Validator(whole)
    _VALIDATORS[path, status].validate(content)
