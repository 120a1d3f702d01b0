"""Finding rows that are the same, byte for byte.

The events of a shipment are near copies of each other, so that work per distinct row, weighted by how often the
row occurs, costs a fraction of work per row. Only the search belongs here: what a weight means is the caller's.
"""

from __future__ import annotations

import numpy as np

from barcode_pipeline.compiled import compiled

_WORDS = (np.dtype(np.uint64), np.dtype(np.uint32), np.dtype(np.uint16), np.dtype(np.uint8))


def unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of a table, in the order of their first occurrence.

    rows: (N, B) of any type of fixed size. Rows are the same where their bytes are: 0.0 and -0.0 differ.
    Returns first, (U,) int64, the row of each distinct one's first occurrence, ascending, and inverse, (N,)
    int64: `rows[first][inverse]` is `rows`. How often each occurs: `np.bincount(inverse, minlength=len(first))`.
    """
    return _find(_as_words(rows))


def _as_words(rows: np.ndarray) -> np.ndarray:
    """The same bytes as the widest unsigned integers of which a row holds a whole number."""
    if rows.ndim != 2 or rows.dtype.hasobject:
        raise ValueError(f"Rows of a table of a fixed-size type are wanted, not {rows.ndim} axes of {rows.dtype}.")
    row_bytes = rows.shape[1] * rows.dtype.itemsize
    if row_bytes == 0:
        return np.zeros((len(rows), 0), dtype=np.uint8)
    word = next(word for word in _WORDS if row_bytes % word.itemsize == 0)
    return np.ascontiguousarray(rows).view(word)


@compiled
def _find(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A hash table of open addressing, never more than half full; equal hashes are told apart by the rows."""
    count, width = words.shape
    size = 16
    while size < 2 * count:
        size *= 2
    slots = np.zeros(size, dtype=np.int64)
    hashes = np.empty(count, dtype=np.uint64)
    first = np.empty(count, dtype=np.int64)
    inverse = np.empty(count, dtype=np.int64)
    distinct = 0
    for row in range(count):
        mixed = np.uint64(0x9E3779B97F4A7C15)
        for column in range(width):
            mixed = (mixed ^ np.uint64(words[row, column])) * np.uint64(0xD6E8FEB86659FD93)
            mixed ^= mixed >> np.uint64(32)
        slot = np.int64(mixed & np.uint64(size - 1))
        while True:
            known = slots[slot] - 1
            if known < 0:
                slots[slot] = distinct + 1
                hashes[distinct], first[distinct], inverse[row] = mixed, row, distinct
                distinct += 1
                break
            if hashes[known] == mixed:
                same = True
                for column in range(width):
                    if words[first[known], column] != words[row, column]:
                        same = False
                        break
                if same:
                    inverse[row] = known
                    break
            slot = (slot + 1) & (size - 1)
    return first[:distinct].copy(), inverse
