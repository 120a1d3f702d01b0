"""`epc_sequences` as tables: one step per event, from which any window can be formed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.formats import KEY_FIELDS
from barcode_pipeline.sequences.features import FEATURE_NAMES, EventFeatures

SEQUENCES_SCHEMA = pa.schema(
    [*KEY_FIELDS, pa.field("position", pa.int32()), *(pa.field(name, pa.float16()) for name in FEATURE_NAMES)]
)
"""Key, `position` (events of the EPC before this one) and features. The window of an event is its own row and
those of its EPC at the L - 1 positions before it, on this date or earlier ones."""


def sequences_table(key: pa.Table, features: EventFeatures) -> pa.Table:
    """Put keys and features side by side, (N rows)."""
    columns = [key.column(field.name) for field in KEY_FIELDS]
    by_feature = np.ascontiguousarray(features.values.T)
    return pa.table(
        [*columns, pa.array(features.position), *(pa.array(column) for column in by_feature)], schema=SEQUENCES_SCHEMA
    )


def feature_matrix(table: pa.Table) -> np.ndarray:
    """(N, F) float16 of the feature columns."""
    out = np.empty((len(table), len(FEATURE_NAMES)), dtype=np.float16)
    for column, name in enumerate(FEATURE_NAMES):
        out[:, column] = table.column(name).to_numpy()
    return out
