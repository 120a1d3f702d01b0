"""The packed form of a journey in the history: one fixed-size row per scan, its verdicts beside it.

Only the layout belongs here. What a row means is `judge`'s business, where it lies that of the stores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from barcode_pipeline.events.formats import LABELS

ROWS_VERSION = 1
"""Raised when the layout changes: a history of another version is refused."""

_LABELS = len(LABELS)

VERDICT = np.dtype(
    [
        ("rule", "u1", (_LABELS,)),
        ("rule_labels", "u1"),
        ("lstm", "<f4", (_LABELS,)),
        ("lstm_labels", "u1"),
        ("lstm_method", "u1"),
        ("svm", "<f4", (_LABELS,)),
        ("svm_labels", "u1"),
        ("svm_method", "u1"),
    ]
)
"""What each endpoint answers for a scan. rule: scores 0 to 100. lstm, svm: probabilities, and shares of training
scores, 0 to 1. `…_labels`: a bit per label, in the order of `LABELS`. `…_method`: who judged, as below."""

BY_MODEL, TOO_EARLY, NO_MODEL = 1, 2, 3
"""Methods: the model itself; the rules, since too little of the EPC was known; the rules, since there was no model."""

ROW = np.dtype(
    [
        ("time", "<i8"),
        ("event_id", "<i8"),
        ("file_id", "<i8"),
        ("reading", "<u8"),
        ("received", "<i8"),
        ("arrival", "<u4"),
        ("verdict", VERDICT),
    ]
)
"""A scan. time: seconds of the pipeline's zone. event_id: `NO_EVENT_ID` where the nightly row has none. file_id: -1
where it has none. reading: id of place, step and type as given (`readings`). received: ms since 1970 UTC, 0 for rows
filled in from nightly data. arrival: grows with each request that brought scans of this EPC, so that what was known
when a scan came can be told later."""


def unpack(blobs: Sequence[bytes | None]) -> tuple[np.ndarray, np.ndarray]:
    """Journeys as stored -> (rows of all, (N,) `ROW`; the place of each row's journey in `blobs`, (N,) int32)."""
    counts = np.fromiter((len(blob) // ROW.itemsize if blob else 0 for blob in blobs), np.int64, len(blobs))
    rows = np.frombuffer(bytearray(b"".join(blob for blob in blobs if blob)), dtype=ROW)
    return rows, np.repeat(np.arange(len(blobs), dtype=np.int32), counts)


def label_bits(labels: np.ndarray) -> np.ndarray:
    """(N, 5) bool -> (N,) uint8."""
    return (labels.astype(np.uint8) << np.arange(_LABELS, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)


def labels_of_bits(bits: np.ndarray) -> np.ndarray:
    """(N,) uint8 -> (N, 5) bool."""
    return (bits[:, None] >> np.arange(_LABELS, dtype=np.uint8) & 1).astype(bool)
