"""`event_scores` as a table."""

from __future__ import annotations

import pyarrow as pa

from barcode_pipeline.events.formats import ALERTS, KEY_FIELDS, PROBABILITIES

_WORDS = pa.dictionary(pa.int32(), pa.string())

SCORES_SCHEMA = pa.schema(
    [
        *KEY_FIELDS,
        *(pa.field(name, pa.float32()) for name in PROBABILITIES),
        *(pa.field(name, pa.bool_()) for name in ALERTS),
        pa.field("method", _WORDS),
        pa.field("model_file", _WORDS),
        pa.field("reason", _WORDS),
    ]
)
"""Key, calibrated probabilities, alerts, who spoke, by which model, and the reason of an alert in words."""
