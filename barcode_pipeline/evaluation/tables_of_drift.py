"""The figures of drift as a table: one row per figure of a date."""

from __future__ import annotations

import pyarrow as pa

DRIFT_SCHEMA = pa.schema(
    [
        pa.field("date", pa.date32()),
        pa.field("figure", pa.dictionary(pa.int32(), pa.string())),
        pa.field("value", pa.float64()),
    ]
)
