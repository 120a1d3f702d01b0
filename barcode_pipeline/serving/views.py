"""Looking back: journeys and alerts as the service knows them, with the reason of each label in words.

A verdict stands as it was answered. Its reason is found again from the scans that were known when the event came.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from barcode_pipeline.alerts.reasons import explain
from barcode_pipeline.events.codes import canonical_codes
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.journeys import NO_EVENT_ID
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.serving.history import NO_EPC, Alert, AlertFilter, History
from barcode_pipeline.serving.judge import Given, Settings, find_scans, known_events
from barcode_pipeline.serving.readings import Clean, ReadingTable, clean_of, read_readings
from barcode_pipeline.serving.rows import BY_MODEL, labels_of_bits, unpack


def journey_view(history: History, settings: Settings, epc: str) -> dict[str, Any] | None:
    """The journey of an EPC by time, None where nothing is known of it."""
    code = canonical_codes(pa.array([epc], pa.string()))[0].as_py()
    if code is None:
        return None
    rows, _ = unpack(history.journeys([code]))
    if not len(rows):
        return None
    table = _readings(history, settings, rows["reading"])
    rows = rows[np.argsort(rows["time"], kind="stable")]
    reasons = reasons_of(settings, table, [code], rows, np.zeros(len(rows), np.int32), np.arange(len(rows)))
    events = [
        {
            **_event(row, table.clean[table.find(row["reading"][None])[0]]),
            "received": _moment(int(row["received"])),
            "labels": _names(int(row["verdict"]["lstm_labels"])),
            "scores": _scores(row["verdict"]["lstm"].astype(np.float64) * 100),
            "rule_scores": _scores(row["verdict"]["rule"]),
            "method": "lstm" if row["verdict"]["lstm_method"] == BY_MODEL else "rule",
            "reason": reason,
        }
        for row, reason in zip(rows, reasons, strict=True)
    ]
    return {"epc_code": code, "events": events}


def alerts_view(
    history: History, settings: Settings, after: str | None, chosen: AlertFilter, most: int
) -> dict[str, Any]:
    """A page of alerts with their reasons."""
    alerts, cursor = history.alerts(after, chosen, most)
    return {"alerts": _alert_entries(history, settings, alerts), "next": cursor}


def _alert_entries(history: History, settings: Settings, alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    keys = list(dict.fromkeys(alert.key for alert in alerts))
    rows, key = unpack(history.journeys(keys))
    table = _readings(history, settings, rows["reading"])
    number = {name: place for place, name in enumerate(keys)}
    # A journey that was cut or forgotten since has the event no more, and its reason cannot be found again.
    place = {
        (int(k), int(row["time"]), int(row["event_id"]), int(row["reading"])): at
        for at, (k, row) in enumerate(zip(key, rows, strict=True))
    }
    at = [place.get((number[alert.key], alert.time, alert.event_id, alert.reading), -1) for alert in alerts]
    found = [where for where in at if where >= 0]
    reason = dict(zip(found, reasons_of(settings, table, keys, rows, key, np.array(found, np.int64)), strict=True))
    return [
        {
            "epc_code": None if alert.key.startswith(NO_EPC) else alert.key,
            "event_id": None if alert.event_id == NO_EVENT_ID else alert.event_id,
            "event_time": _local(alert.time),
            "location_id": alert.location_id,
            "scan_location": alert.place,
            "labels": _names(alert.labels),
            "scores": {
                label: round(score, 4)
                for column, (label, score) in enumerate(zip(LABELS, alert.scores, strict=True))
                if alert.labels >> column & 1
            },
            "method": alert.method,
            "reason": reason.get(where),
            "received": _moment(alert.received),
        }
        for alert, where in zip(alerts, at, strict=True)
    ]


def reasons_of(
    settings: Settings, table: ReadingTable, keys: Sequence[str], rows: np.ndarray, key: np.ndarray, chosen: np.ndarray
) -> list[str | None]:
    """Why the labels of some rows were set, in the order of `chosen`.

    keys: of the journeys. rows, key: (N,) all rows, and the journey of each. chosen: (C,) rows. Each is seen among
    the rows of its journey that had come when it came.
    """
    if not len(chosen):
        return []
    moments, moment = np.unique(
        np.stack([key[chosen].astype(np.int64), rows["arrival"][chosen].astype(np.int64)]), axis=1, return_inverse=True
    )
    moment = moment.reshape(-1)
    by_key = np.argsort(key, kind="stable")
    bounds = np.searchsorted(key[by_key], np.arange(len(keys) + 1))
    parts = [
        some[rows["arrival"][some] <= arrival]
        for journey, arrival in moments.T.tolist()
        for some in (by_key[bounds[journey] : bounds[journey + 1]],)
    ]
    row = np.concatenate(parts)
    replica = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    given = Given(replica, rows["time"][row], rows["event_id"][row], table.find(rows["reading"][row]), len(row), table)
    stays = find_scans(given)
    known = np.flatnonzero(stays == np.arange(len(row)))
    names = [keys[journey] for journey in moments[0].tolist()]
    has_code = np.array([not name.startswith(NO_EPC) for name in names])
    codes = pa.array([name for name in names if not name.startswith(NO_EPC)], pa.string())
    code_of_key = np.where(has_code, np.cumsum(has_code) - 1, -1).astype(np.int32)
    events = known_events(given, known, code_of_key, codes)
    start = np.cumsum([0, *(len(part) for part in parts)])
    at = np.array(
        [start[m] + np.flatnonzero(parts[m] == c)[0] for m, c in zip(moment.tolist(), chosen.tolist(), strict=True)]
    )
    at = np.searchsorted(known, stays[at])
    verdicts = rows["verdict"][row[known]]
    wanted = np.zeros(len(known), dtype=bool)
    wanted[at] = True
    alerts = labels_of_bits(verdicts["lstm_labels"]) & wanted[:, None]
    judged = score_events(events, settings.reference, settings.rules)
    said = explain(events, judged, alerts, verdicts["lstm"], settings.reference, settings.rules.v_max)
    return pa.array(said).take(pa.array(at)).to_pylist()


def _readings(history: History, settings: Settings, ids: np.ndarray) -> ReadingTable:
    texts = history.readings(np.unique(ids).tolist())
    return read_readings({number: clean_of(text) for number, text in texts.items()}, settings.reference.sites)


def _event(row: np.void, clean: Clean) -> dict[str, Any]:
    location_id, location_text, name, step, kind = clean
    event_id = int(row["event_id"])
    return {
        "event_id": None if event_id == NO_EVENT_ID else event_id,
        "event_time": _local(int(row["time"])),
        "location_id": location_id if location_id is not None else location_text,
        "scan_location": name,
        "business_step": step,
        "event_type": kind,
    }


def _names(bits: int) -> list[str]:
    return [label for column, label in enumerate(LABELS) if bits >> column & 1]


def _scores(values: np.ndarray) -> dict[str, float]:
    return {label: round(float(value), 4) for label, value in zip(LABELS, values, strict=True)}


def _local(seconds: int) -> str:
    """A time of the pipeline's zone."""
    return str(np.datetime64(seconds, "s"))


def _moment(milliseconds: int) -> str | None:
    if not milliseconds:
        return None
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).isoformat(timespec="milliseconds")
