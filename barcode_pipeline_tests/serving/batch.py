"""What the nightly chain's functions make of some rows at once, and rows as a client sends them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.formats import EVENT_SCHEMA
from barcode_pipeline.events.journeys import find_journeys
from barcode_pipeline.events.merging import merge, read_events
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.sequences.features import compute_features
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.serving.judge import Settings


def batch_verdicts(table: pa.Table, settings: Settings, model: LstmModel) -> tuple[np.ndarray, np.ndarray]:
    """(rule scores (N, 5), probabilities (N, 5)) of rows without exact duplicates."""
    events = read_events(one_chunk(table), settings.reference.sites)
    assert not merge(table, events).duplicate.any()
    scores = score_events(events, settings.reference, settings.rules).scores
    features = compute_features(events, settings.reference, settings.rules.companies, settings.rules.v_max)
    journeys = find_journeys(events)
    alone = np.arange(journeys.offsets[-1] + 1, len(events) + 1)
    offsets = np.concatenate([journeys.offsets, alone])
    offsets = offsets[np.append(True, np.diff(offsets) > 0)]
    probabilities = np.empty((len(events), 5), dtype=np.float32)
    found = model.probabilities(JourneyFeatures(features.values[journeys.order], offsets))
    probabilities[journeys.order] = found
    return scores, probabilities


def as_sent(table: pa.Table, event_ids: np.ndarray) -> list[dict[str, Any]]:
    """Rows of `EVENT_SCHEMA` as a client sends them."""
    return [
        {
            "event_id": int(event_id),
            "file_id": 1,
            "event_time": row["event_time"].isoformat(),
            "epc_code": row["epc_code"],
            "location_id": row["location_id"] if row["location_text"] is None else row["location_text"],
            "scan_location": row["scan_location"],
            "business_step": row["business_step"],
            "event_type": row["event_type"],
        }
        for row, event_id in zip(table.to_pylist(), event_ids, strict=True)
    ]


def with_ids(table: pa.Table, event_ids: np.ndarray) -> pa.Table:
    place = EVENT_SCHEMA.get_field_index("event_id")
    return table.select(EVENT_SCHEMA.names).set_column(place, "event_id", pa.array(event_ids, pa.int64()))


def requests_by_time(time: np.ndarray, random: np.random.Generator, most: int) -> list[np.ndarray]:
    """Rows in the order of time, cut into requests of random size; rows of one second stay together."""
    order = np.argsort(time, kind="stable")
    out, start = [], 0
    while start < len(order):
        stop = min(start + int(random.integers(1, most)), len(order))
        while stop < len(order) and time[order[stop]] == time[order[stop - 1]]:
            stop += 1
        out.append(order[start:stop])
        start = stop
    return out
