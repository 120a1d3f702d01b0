"""Hashes of words, lots and rows, 64 bits: equal for equal content, whatever dictionaries it came in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.events.codes import lot_bounds
from barcode_pipeline.events.text import dictionary_array, dictionary_codes, string_buffers

_MISSING = np.uint64(0x6D697373696E6721)


def word_hashes(words: pa.Array) -> np.ndarray:
    """A hash of each word, (N,) uint64. words: (N,) string without nulls."""
    offsets, data = string_buffers(words)
    out = np.empty(len(words), dtype=np.uint64)
    _hash_words(offsets, data, out)
    return out


def lot_hashes(codes: pa.Array) -> np.ndarray:
    """A hash of the lot of each canonical code, (N,) uint64: of `codes.lot_names`, without making the names."""
    offsets, data = string_buffers(codes)
    out = np.empty(len(codes), dtype=np.uint64)
    _hash_lots(offsets, data, out)
    return out


def is_in_sorted(values: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Whether each value is one of some others, (N,) bool. some: (n,) ascending: many columns are looked up in it."""
    if not len(some):
        return np.zeros(len(values), dtype=bool)
    return some[np.minimum(np.searchsorted(some, values), len(some) - 1)] == values


def lot_buckets(lots: pa.Array) -> np.ndarray:
    """A stable hash of each lot's name, (L,) uint32, by which lots are split: the same on every machine and in every
    version."""
    return np.array(
        [int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") for name in lots.to_pylist()],
        dtype=np.uint32,
    )


def row_hashes(table: pa.Table, names: Sequence[str]) -> np.ndarray:
    """A hash of some columns of each row, (N,) uint64; missing equals missing. Columns: words, integers, times."""
    out = np.zeros(len(table), dtype=np.uint64)
    for name in names:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            words = dictionary_array(column)
            values = np.append(word_hashes(words.dictionary), _MISSING)[dictionary_codes(words)]
        else:
            numbers = column.cast(pa.int64())
            values = numbers.fill_null(0).to_numpy().astype(np.int64).view(np.uint64)
            if numbers.null_count:
                values = np.where(numbers.is_null().to_numpy(), _MISSING, values)
        _mix_in(out, values)
    return out


@inlined
def _mix(value: np.uint64) -> np.uint64:
    """Every bit of the result depends on every bit of the value (the finalizer of splitmix64)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@inlined
def _hash_bytes(data: np.ndarray, start: int, stop: int) -> np.uint64:
    """FNV-1a of some bytes, mixed."""
    value = np.uint64(0xCBF29CE484222325)
    for i in range(start, stop):
        value = (value ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
    return _mix(value)


@compiled
def _mix_in(out: np.ndarray, values: np.ndarray) -> None:
    for row in range(len(out)):
        out[row] = _mix(out[row] * np.uint64(3) + _mix(values[row] + np.uint64(0x9E3779B97F4A7C15)))


@compiled
def _hash_words(offsets: np.ndarray, data: np.ndarray, out: np.ndarray) -> None:
    for row in range(len(out)):
        out[row] = _hash_bytes(data, offsets[row], offsets[row + 1])


@compiled
def _hash_lots(offsets: np.ndarray, data: np.ndarray, out: np.ndarray) -> None:
    for row in range(len(out)):
        first, last = lot_bounds(data, offsets[row], offsets[row + 1])
        out[row] = _hash_bytes(data, first, last)
