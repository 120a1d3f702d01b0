"""Splitting the bytes of a raw file into lines, and telling which of them are records.

A record is one line: a line break inside a field is not supported, so that every rejected row has a line
number and one bad quote cannot swallow the rows after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from barcode_pipeline.compiled import compiled

GOOD, BLANK, WRONG_FIELDS, OPEN_QUOTE, NUL_BYTE, CARRIAGE_RETURN, NOT_UTF8 = range(7)
"""What a line is. Only `GOOD` ones are parsed; `BLANK` ones are no rows."""


@dataclass(frozen=True)
class Lines:
    """start, stop: (n,) int32 byte positions without the line break. kind: (n,) uint8. fields: (n,) int32, how many.
    ends: (fields, n) int32, where each field of a record ends; the next begins one byte later."""

    start: np.ndarray
    stop: np.ndarray
    kind: np.ndarray
    fields: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


def split_lines(data: bytes | memoryview, separator: str, fields: int) -> Lines:
    """Look at every line of `data` once; a record has `fields` fields."""
    buffer = np.frombuffer(data, dtype=np.uint8)
    if len(buffer) and buffer[-1] != 10:
        buffer = np.append(buffer, np.uint8(10))
    count, highest = _count_lines(buffer)
    start, stop, found = (np.empty(count, dtype=np.int32) for _ in range(3))
    kind, ends = np.empty(count, dtype=np.uint8), np.empty((fields, count), dtype=np.int32)
    _scan(buffer, ord(separator), _telling(separator), start, stop, kind, found, ends)
    if highest >= 0x80 and not _is_utf8(buffer):
        _mark_not_utf8(buffer, start, stop, kind)
    return Lines(start, stop, kind, found, ends)


def _telling(separator: str) -> np.ndarray:
    """(256,) bool, the bytes that say something of a line; all others are text."""
    telling = np.zeros(256, dtype=np.bool_)
    telling[[0, 10, 13, 34, ord(separator)]] = True
    return telling


def _is_utf8(buffer: np.ndarray) -> bool:
    try:
        buffer.tobytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def gather(data: bytes | memoryview, lines: Lines, chosen: np.ndarray) -> bytes:
    """The chosen lines, each with a line break, as one piece. chosen: (k,) positions in `lines`."""
    lengths = (lines.stop - lines.start)[chosen] + 1
    out = np.full(int(lengths.sum()), 10, dtype=np.uint8)
    _copy(np.frombuffer(data, dtype=np.uint8), lines.start[chosen], lengths - 1, out)
    return out.tobytes()


def texts(data: bytes | memoryview, lines: Lines, chosen: np.ndarray) -> pa.Array:
    """The chosen lines as strings; bytes that are not UTF-8 are written as `\\xNN`."""
    if not len(chosen):
        return pa.array([], pa.string())
    joined = gather(data, lines, chosen).decode("utf-8", errors="backslashreplace")
    return pa.array(joined.split("\n")[:-1], pa.string())


@compiled
def _count_lines(data: np.ndarray) -> tuple[int, int]:
    """(how many line breaks there are, the highest byte)."""
    count, highest = 0, np.uint8(0)
    for position in range(len(data)):
        count += data[position] == 10
        highest = max(highest, data[position])
    return count, int(highest)


@compiled
def _scan(
    data: np.ndarray,
    separator: int,
    telling: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    kind: np.ndarray,
    found: np.ndarray,
    ends: np.ndarray,
) -> None:
    """Every line of `data`, the last of which ends in a line break too."""
    fields = ends.shape[0]
    position = 0
    for line in range(len(start)):
        start[line] = position
        field, field_start = 0, position
        quoted, nul, carriage = False, False, False
        while True:
            byte = data[position]
            if not telling[byte]:
                position += 1
                continue
            if byte == 10:
                break
            if byte == separator and not quoted:
                if field < fields:
                    ends[field, line] = position
                field += 1
                field_start = position + 1
            elif byte == 34 and quoted:
                if data[position + 1] == 34:
                    position += 1
                else:
                    quoted = False
            elif byte == 34:
                quoted = position == field_start
            elif byte == 0:
                nul = True
            elif byte == 13 and data[position + 1] != 10:
                carriage = True
            position += 1
        end = position
        if end > start[line] and data[end - 1] == 13:
            end -= 1
        if field < fields:
            ends[field, line] = end
        stop[line] = end
        position += 1
        found[line] = field + 1
        if end == start[line]:
            kind[line] = BLANK
        elif nul:
            kind[line] = NUL_BYTE
        elif carriage:
            kind[line] = CARRIAGE_RETURN
        elif quoted:
            kind[line] = OPEN_QUOTE
        elif field + 1 != fields:
            kind[line] = WRONG_FIELDS
        else:
            kind[line] = GOOD


@compiled
def _mark_not_utf8(data: np.ndarray, start: np.ndarray, stop: np.ndarray, kind: np.ndarray) -> None:
    """Mark lines with a byte sequence that is not UTF-8 (RFC 3629)."""
    for line in range(len(start)):
        position, end = start[line], stop[line]
        while position < end:
            byte = data[position]
            low, high, more = 0x80, 0xBF, 0
            if byte < 0x80:
                more = 0
            elif 0xC2 <= byte <= 0xDF:
                more = 1
            elif 0xE0 <= byte <= 0xEF:
                more = 2
                low = 0xA0 if byte == 0xE0 else 0x80
                high = 0x9F if byte == 0xED else 0xBF
            elif 0xF0 <= byte <= 0xF4:
                more = 3
                low = 0x90 if byte == 0xF0 else 0x80
                high = 0x8F if byte == 0xF4 else 0xBF
            else:
                more = -1
            sound = more >= 0 and position + more < end
            for k in range(1, more + 1):
                if not sound:
                    break
                sound = low <= data[position + k] <= high
                low, high = 0x80, 0xBF
            if not sound:
                kind[line] = NOT_UTF8
                break
            position += more + 1


@compiled
def _copy(data: np.ndarray, start: np.ndarray, length: np.ndarray, out: np.ndarray) -> None:
    position = 0
    for line in range(len(start)):
        for i in range(length[line]):
            out[position + i] = data[start[line] + i]
        position += length[line] + 1
