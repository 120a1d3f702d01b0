"""Texts in one piece of memory numbered by what they say.

Rows of one file are near copies of each other, so a text is first compared with that of the row before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from barcode_pipeline.compiled import compiled, inlined


def number_texts(data: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the number of each text (N,) int32, counted in order of appearance, the first row of each distinct one)."""
    texts = NumberedTexts(data, start, stop)
    texts.number(0, len(start))
    return texts.codes, texts.first[: texts.found]


class NumberedTexts:
    """Texts while they are numbered, some rows after others.

    data: uint8. start, stop: (N,) int32 positions in it. codes: (N,) int32, the number of each text, counted in order
    of appearance. first: the first row of each of the `found` distinct ones; hashes, table: to find them again.
    """

    def __init__(self, data: np.ndarray, start: np.ndarray, stop: np.ndarray) -> None:
        self.data, self.start, self.stop = data, start, stop
        self.codes, self.first = np.empty(len(start), dtype=np.int32), np.empty(len(start), dtype=np.int32)
        self.hashes = np.empty(len(start), dtype=np.uint64)
        self.table, self.found = np.full(1024, -1, dtype=np.int32), 0

    def number(self, begin: int, end: int) -> None:
        self.table, self.found = _number(
            self.data, self.start, self.stop, begin, min(end, len(self.start)),
            self.codes, self.first, self.hashes, self.table, self.found,
        )  # fmt: skip


def _load(typing: Any, data: types.Array, position: types.Integer) -> Any:
    """The eight bytes from a position on as one number: compiled code reads arrays of bytes one at a time."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, values[0])
        pointer = builder.bitcast(builder.gep(array.data, [values[1]]), ir.IntType(64).as_pointer())
        word = builder.load(pointer, typ=ir.IntType(64))
        word.align = 1
        return word

    return types.uint64(data, types.int64), generate


_eight_bytes: Any = intrinsic(_load)


@inlined
def _number_of(data: np.ndarray, start: int, stop: int) -> np.uint64:
    """Fewer than eight bytes as one number."""
    if start + 8 <= len(data):
        return _eight_bytes(data, start) & ((np.uint64(1) << np.uint64(8 * (stop - start))) - np.uint64(1))
    word = np.uint64(0)
    for i in range(start, stop):
        word |= np.uint64(data[i]) << np.uint64(8 * (i - start))
    return word


@inlined
def is_same(data: np.ndarray, one: int, other: int, length: int) -> bool:
    """Whether two texts of one length are equal."""
    if length < 8:
        return _number_of(data, one, one + length) == _number_of(data, other, other + length)
    same = True
    for i in range(0, length - 7, 8):
        if _eight_bytes(data, one + i) != _eight_bytes(data, other + i):
            same = False
            break
    # The last eight bytes may overlap those before them.
    return same and _eight_bytes(data, one + length - 8) == _eight_bytes(data, other + length - 8)


@inlined
def _mix_in(value: np.uint64, word: np.uint64) -> np.uint64:
    value = (value ^ word) * np.uint64(0xBF58476D1CE4E5B9)
    return value ^ (value >> np.uint64(29))


@inlined
def _hash(data: np.ndarray, start: int, stop: int) -> np.uint64:
    value = np.uint64(stop - start) * np.uint64(0x9E3779B97F4A7C15)
    if stop - start < 8:
        return _mix_in(value, _number_of(data, start, stop))
    for i in range(start, stop - 7, 8):
        value = _mix_in(value, _eight_bytes(data, i))
    return _mix_in(value, _eight_bytes(data, stop - 8))


@compiled
def _number(
    data: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    begin: int,
    end: int,
    codes: np.ndarray,
    first: np.ndarray,
    hashes: np.ndarray,
    table: np.ndarray,
    found: int,
) -> tuple[np.ndarray, int]:
    """Number the texts of rows `begin` to `end` - 1, those found before included; the table and how many there are."""
    size = len(table)
    for row in range(begin, end):
        at, length = start[row], stop[row] - start[row]
        if row > 0 and stop[row - 1] - start[row - 1] == length and is_same(data, start[row - 1], at, length):
            codes[row] = codes[row - 1]
            continue
        value = _hash(data, at, stop[row])
        slot = np.int64(value & np.uint64(size - 1))
        code = table[slot]
        while code >= 0:
            other = first[code]
            same_size = hashes[code] == value and stop[other] - start[other] == length
            if same_size and is_same(data, start[other], at, length):
                break
            slot = (slot + 1) & (size - 1)
            code = table[slot]
        if code < 0:
            code = np.int32(found)
            table[slot], first[code], hashes[code] = code, row, value
            found += 1
            if 2 * found > size:
                size *= 4
                table = _table_of(hashes[:found], size)
        codes[row] = code
    return table, found


@compiled
def _table_of(hashes: np.ndarray, size: int) -> np.ndarray:
    table = np.full(size, -1, dtype=np.int32)
    for code in range(len(hashes)):
        slot = np.int64(hashes[code] & np.uint64(size - 1))
        while table[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        table[slot] = code
    return table
