"""Golden cases as data: events in short, and what is to be answered, in short too; spelt out here.

A case of `golden/*.json` holds `name`; `says`, the sentence of the contract that it stands for; `models` in service;
and `steps`, each a request and its answer. An event takes what it does not say from `EVENT`. `found` gives labels and
scores per event id; the whole answer is put together from it by `answer_of`, a second reading of the answer's form.
A step may give `answer` instead, word for word, or `problems`, the rows and fields of a 422.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"
EPC = "001.8804823.1203199.150002.20250701.000000001"
EVENT: dict[str, Any] = {
    "epc_code": EPC, "location_id": 1, "business_step": "Factory", "event_type": "Aggregation",
    "event_time": "2025-07-02T09:00:00", "file_id": 3,
}  # fmt: skip
NOTHING = object()
COUNTS = {"jump": "jumpCount", "evtOrderErr": "evtOrderErrCount", "epcFake": "epcFakeCount", "epcDup": "epcDupCount",
          "locErr": "locErrCount"}  # fmt: skip


def golden_cases() -> list[dict[str, Any]]:
    return [
        case | {"file": path.stem}
        for path in sorted(FOLDER.glob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))
    ]


def events_of(step: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a step, spelt out. A field that is `"-"` is left out."""
    spelt = [EVENT | {"event_id": number + 1} | event for number, event in enumerate(step["events"])]
    return [{name: value for name, value in event.items() if value != "-"} for event in spelt]


def answer_of(step: dict[str, Any], events: list[dict[str, Any]]) -> Any:
    """The whole answer that a step asks for."""
    if "answer" in step:
        return step["answer"]
    endpoint = step.get("endpoint", "rule")
    objects = []
    for file in dict.fromkeys(int(float(event["file_id"])) for event in events):
        history, per_epc = [], {}
        of_file = no_counts()
        for event in events:
            given = event.get("event_id")
            event_id = int(float(event["eventId"] if given is None else given))
            labels = step["found"].get(str(event_id), {})
            if int(float(event["file_id"])) != file or not labels:
                continue
            told = {"eventId": event_id}
            scores = {label: score for label, score in labels.items() if label in COUNTS}
            for label, score in scores.items():
                told |= {label: True, f"{label}Score": score}
                of_file["totalEvents"] += 1
                of_file[COUNTS[label]] += 1
                if (event.get("epc_code") or "").strip().lower() not in ("", "nan", "null"):
                    stats = per_epc.setdefault(event["epc_code"], no_counts())
                    stats["totalEvents"] += 1
                    stats[COUNTS[label]] += 1
            if endpoint != "rule":
                told |= {f"{endpoint}Score": max(scores.values()), "method": labels.get("method", endpoint)}
            history.append(told)
        objects.append(
            {"fileId": file, "EventHistory": history, "fileAnomalyStats": of_file,
             "epcAnomalyStats": [{"epcCode": code, **stats} for code, stats in per_epc.items()]}
        )  # fmt: skip
    return objects[0] if len(objects) == 1 else objects


def no_counts() -> dict[str, int]:
    return {"totalEvents": 0, **dict.fromkeys(COUNTS.values(), 0)}
