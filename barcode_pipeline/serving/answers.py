"""The answer to a request: verdicts -> the objects that existing backends read. Nothing is judged here."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.serving.requests import Scans, is_missing
from barcode_pipeline.serving.rows import BY_MODEL, NO_MODEL

Endpoint = Literal["rule", "lstm", "svm"]

WARNINGS = {
    "lstm": "no LSTM is in service: the rules have judged",
    "svm": "no one-class SVM is in service: the rules have judged",
}
COUNTS = {
    "jump": "jumpCount",
    "evtOrderErr": "evtOrderErrCount",
    "epcFake": "epcFakeCount",
    "epcDup": "epcDupCount",
    "locErr": "locErrCount",
}
"""The counts, in the order in which answers give them."""
_ORDER = [(LABELS.index(label), label, f"{label}Score") for label in COUNTS]
_DECIMALS = 4


def answer(scans: Scans, verdicts: np.ndarray, endpoint: Endpoint, in_service: bool) -> dict[str, Any] | list[Any]:
    """One object per file in order of appearance; the object itself where there is one file or no event.

    verdicts: (N,) `VERDICT` of the request's events. in_service: whether the endpoint has its model, for a request
    without events.
    """
    if not len(scans):
        nothing: dict[str, Any] = {"EventHistory": [], "epcAnomalyStats": [], "fileAnomalyStats": _counts()}
        return nothing if endpoint == "rule" or in_service else {"warning": WARNINGS[endpoint], **nothing}
    scores = verdicts["rule"].astype(np.float64) if endpoint == "rule" else _percent(verdicts[endpoint])
    bits = verdicts[f"{endpoint}_labels"]
    methods = np.full(len(scans), BY_MODEL) if endpoint == "rule" else verdicts[f"{endpoint}_method"]
    by_file: dict[int, dict[str, Any]] = {}
    files = scans.file_id.tolist()
    for file in dict.fromkeys(files):
        by_file[file] = {"fileId": file, "EventHistory": [], "epcAnomalyStats": {}, "fileAnomalyStats": _counts()}
    for row in np.flatnonzero(methods == NO_MODEL).tolist() if endpoint != "rule" else ():
        by_file[files[row]]["warning"] = WARNINGS[endpoint]
    for row in np.flatnonzero(bits).tolist():
        _add(by_file[files[row]], scans, row, int(bits[row]), scores[row].tolist(), int(methods[row]), endpoint)
    objects = [
        {**({"warning": found.pop("warning")} if "warning" in found else {}), **found,
         "epcAnomalyStats": list(found["epcAnomalyStats"].values())}
        for found in by_file.values()
    ]  # fmt: skip
    return objects[0] if len(objects) == 1 else objects


def _add(
    found: dict[str, Any], scans: Scans, row: int, bits: int, scores: list[float], method: int, endpoint: Endpoint
) -> None:
    """Put one event with an anomaly into its file's object."""
    event: dict[str, Any] = {"eventId": int(scans.event_id[row])}
    code = scans.sent[row]
    counted = [found["fileAnomalyStats"]]
    if code is not None and not is_missing(code):
        counted.append(found["epcAnomalyStats"].setdefault(code, {"epcCode": code, **_counts()}))
    highest = 0.0
    for column, label, score in _ORDER:
        if bits >> column & 1:
            event[label], event[score] = True, scores[column]
            highest = max(highest, scores[column])
            for counts in counted:
                counts["totalEvents"] += 1
                counts[COUNTS[label]] += 1
    if endpoint != "rule":
        event[f"{endpoint}Score"] = highest
        event["method"] = endpoint if method == BY_MODEL else "rule"
    found["EventHistory"].append(event)


def _percent(values: np.ndarray) -> np.ndarray:
    """Probabilities as numbers from 0 to 100, with as many decimals as they can bear."""
    return np.round(values.astype(np.float64) * 100, _DECIMALS)


def _counts() -> dict[str, int]:
    return {"totalEvents": 0, **dict.fromkeys(COUNTS.values(), 0)}
