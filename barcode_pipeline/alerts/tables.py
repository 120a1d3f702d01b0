"""`alerts` as a table: one row per alert of a date, ranked."""

from __future__ import annotations

import pyarrow as pa

_WORDS = pa.dictionary(pa.int32(), pa.string())

SEVERITIES = ("HIGH", "MEDIUM", "LOW", "NORMAL")
SEVERITY_FROM = (70.0, 40.0, 20.0)
"""Lowest score of each severity but the last. Source: the rules' contract."""

ALERTS_SCHEMA = pa.schema(
    [
        pa.field("alert_id", pa.string()),
        pa.field("rank", pa.int32()),
        pa.field("is_new", pa.bool_()),
        pa.field("continues", pa.string()),
        pa.field("since", pa.date32()),
        pa.field("severity", _WORDS),
        pa.field("score", pa.float32()),
        pa.field("confidence", pa.float32()),
        pa.field("label", _WORDS),
        pa.field("labels", pa.list_(pa.string())),
        pa.field("reason", pa.string()),
        pa.field("normal", pa.string()),
        pa.field("place", pa.string()),
        pa.field("step", _WORDS),
        pa.field("sites", pa.list_(pa.string())),
        pa.field("lot", pa.string()),
        pa.field("product", pa.string()),
        pa.field("epc_count", pa.int32()),
        pa.field("event_count", pa.int32()),
        pa.field("first_time", pa.timestamp("s")),
        pa.field("last_time", pa.timestamp("s")),
        pa.field("epc_code", pa.string()),
        pa.field("event_time", pa.timestamp("s")),
        pa.field("event_id", pa.int64()),
        pa.field("journey", pa.string()),
        pa.field("epcs", pa.list_(pa.string())),
        pa.field("model_file", _WORDS),
        pa.field("own_id", pa.string()),
    ]
)
"""`alert_id` is that of the first alert that it continues, `own_id` the one it would have by itself, `continues` the
alert of an earlier date that it follows, `since` the first date of them. `score` (0 to 100) gives the severity, and
`confidence` is the model's probability; both, and `label`, `reason`, `normal`, `place`, `step`, `epc_code`,
`event_time`, `event_id` and `journey`, are of the event that speaks loudest. Times are of the events with an alert."""
