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
    """start, stop: (n,) int64 byte positions without the line break. kind: (n,) uint8. fields: (n,) int32."""

    start: np.ndarray
    stop: np.ndarray
    kind: np.ndarray
    fields: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


def split_lines(data: bytes, separator: str, fields: int) -> Lines:
    """Look at every line of `data` once; a record has `fields` fields."""
    buffer = np.frombuffer(data, dtype=np.uint8)
    count = data.count(b"\n") + (0 if data.endswith(b"\n") or not data else 1)
    start, stop = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    kind, found = np.empty(count, dtype=np.uint8), np.empty(count, dtype=np.int32)
    _scan(buffer, ord(separator), fields, start, stop, kind, found)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        _mark_not_utf8(buffer, start, stop, kind)
    return Lines(start, stop, kind, found)


def gather(data: bytes, lines: Lines, chosen: np.ndarray) -> bytes:
    """The chosen lines, each with a line break, as one piece. chosen: (k,) positions in `lines`."""
    lengths = (lines.stop - lines.start)[chosen] + 1
    out = np.full(int(lengths.sum()), 10, dtype=np.uint8)
    _copy(np.frombuffer(data, dtype=np.uint8), lines.start[chosen], lengths - 1, out)
    return out.tobytes()


def texts(data: bytes, lines: Lines, chosen: np.ndarray) -> pa.Array:
    """The chosen lines as strings; bytes that are not UTF-8 are written as `\\xNN`."""
    if not len(chosen):
        return pa.array([], pa.string())
    joined = gather(data, lines, chosen).decode("utf-8", errors="backslashreplace")
    return pa.array(joined.split("\n")[:-1], pa.string())


@compiled
def _scan(
    data: np.ndarray,
    separator: int,
    fields: int,
    start: np.ndarray,
    stop: np.ndarray,
    kind: np.ndarray,
    found: np.ndarray,
) -> None:
    size = len(data)
    position = 0
    for line in range(len(start)):
        start[line] = position
        separators = 0
        quoted, field_start, nul, carriage = False, True, False, False
        while position < size and data[position] != 10:
            byte = data[position]
            if quoted:
                if byte == 34:
                    if position + 1 < size and data[position + 1] == 34:
                        position += 1
                    else:
                        quoted = False
            elif byte == separator:
                separators += 1
                field_start = True
                position += 1
                continue
            elif byte == 34 and field_start:
                quoted = True
            if byte == 0:
                nul = True
            elif byte == 13:
                carriage = carriage or not (position + 1 == size or data[position + 1] == 10)
            field_start = False
            position += 1
        end = position
        if end > start[line] and data[end - 1] == 13:
            end -= 1
        stop[line] = end
        position += 1
        found[line] = separators + 1
        if end == start[line]:
            kind[line] = BLANK
        elif nul:
            kind[line] = NUL_BYTE
        elif carriage:
            kind[line] = CARRIAGE_RETURN
        elif quoted:
            kind[line] = OPEN_QUOTE
        elif separators + 1 != fields:
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
