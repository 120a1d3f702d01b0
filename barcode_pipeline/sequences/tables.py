"""`epc_sequences` as tables: one step per event, from which any window can be formed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

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


def sequences_table(features: EventFeatures) -> pa.Table:
    """Positions and features side by side, without the key, (N rows)."""
    values = pa.FixedSizeBinaryArray.from_buffers(
        _FEATURES.type, len(features.values), [None, pa.py_buffer(np.ascontiguousarray(features.values))]
    )
    return pa.table([pa.array(features.position), values], schema=pa.schema(list(SEQUENCES_SCHEMA)[len(KEY_FIELDS) :]))


def feature_matrix(table: pa.Table) -> np.ndarray:
    """(N, F) float16 of the column `features`; `pandas` users find it here too."""
    chunks = [_matrix(chunk) for chunk in table.column("features").chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate([np.empty((0, len(FEATURE_NAMES)), np.float16), *chunks])


def features_in_order(table: pa.Table, source: np.ndarray) -> np.ndarray:
    """`feature_matrix(table)[source]`, without putting chunks together first. source: (N,), every row once."""
    place = np.empty(len(table), dtype=np.int64)
    place[source] = np.arange(len(table))
    values = np.empty((len(table), len(FEATURE_NAMES)), dtype=np.float16)
    chunks = table.column("features").chunks
    ends = np.cumsum([len(chunk) for chunk in chunks]).tolist()

    def put(chunk: pa.Array, end: int) -> None:
        values[place[end - len(chunk) : end]] = _matrix(chunk)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(put, chunks, ends))
    return values


def _matrix(column: pa.FixedSizeBinaryArray) -> np.ndarray:
    width = len(FEATURE_NAMES)
    values = np.frombuffer(column.buffers()[1] or b"", dtype=np.float16)
    return values[column.offset * width : (column.offset + len(column)) * width].reshape(len(column), width)
