"""`epc_sequences` as tables: one step per event, from which any window can be formed."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.formats import KEY_FIELDS
from barcode_pipeline.sequences.features import FEATURE_NAMES, EventFeatures

_FEATURES = pa.field(
    "features", pa.binary(2 * len(FEATURE_NAMES)), metadata={"dtype": "float16", "names": json.dumps(FEATURE_NAMES)}
)
SEQUENCES_SCHEMA = pa.schema([*KEY_FIELDS, pa.field("position", pa.int32()), _FEATURES])
"""Key, `position` (events of the EPC before this one) and `features`: F float16 one after the other, named in the
column's metadata (a column each would cost most of the time of writing and reading). The window of an
event is its own row and those of its EPC at the L - 1 positions before it, on this date or earlier ones."""


def sequences_table(key: pa.Table, features: EventFeatures) -> pa.Table:
    """Put keys and features side by side, (N rows)."""
    values = pa.FixedSizeBinaryArray.from_buffers(
        _FEATURES.type, len(features.values), [None, pa.py_buffer(np.ascontiguousarray(features.values))]
    )
    columns = [key.column(field.name) for field in KEY_FIELDS]
    return pa.table([*columns, pa.array(features.position), values], schema=SEQUENCES_SCHEMA)


def feature_matrix(table: pa.Table) -> np.ndarray:
    """(N, F) float16 of the column `features`; `pandas` users find it here too."""
    column = table.column("features").combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], _FEATURES.type)
    width = len(FEATURE_NAMES)
    values = np.frombuffer(column.buffers()[1] or b"", dtype=np.float16)
    return values[column.offset * width : (column.offset + len(column)) * width].reshape(len(column), width)
