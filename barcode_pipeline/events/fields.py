"""Columns of a raw file as dictionaries: each distinct text is made once, however many rows bear it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.distinct import NumberedTexts
from barcode_pipeline.events.text import map_dictionary

_QUOTE = 34
_ROWS = 4096


def encode_fields(
    data: np.ndarray, starts: Sequence[np.ndarray], stops: Sequence[np.ndarray]
) -> list[pa.DictionaryArray]:
    """Columns of fields, each distinct text of a column once, in order of appearance.

    data: uint8, UTF-8. starts, stops: of each column (N,) int32 positions in it. A field that begins with a quote is
    given without its quotes, doubled ones as one.
    """
    columns = [NumberedTexts(data, start, stop) for start, stop in zip(starts, stops, strict=True)]
    # Some rows of all columns, then the next: what stands in a line is read while the processor's cache holds it.
    for begin in range(0, len(starts[0]) if len(starts) else 0, _ROWS):
        for column in columns:
            column.number(begin, begin + _ROWS)
    return [_dictionary(column) for column in columns]


def _dictionary(fields: NumberedTexts) -> pa.DictionaryArray:
    first = fields.first[: fields.found]
    start, stop = fields.start[first], fields.stop[first]
    offsets, text = _unquoted(fields.data, start, stop)
    words = pa.StringArray.from_buffers(len(first), pa.py_buffer(offsets), pa.py_buffer(text))
    column = pa.DictionaryArray.from_arrays(pa.array(fields.codes), words)
    quoted = bool((fields.data[start[stop > start]] == _QUOTE).any())
    # One text may stand with quotes and without.
    return map_dictionary(column, words) if quoted else column


@compiled
def _unquoted(data: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (N + 1,) int32 and bytes of some fields without their quotes."""
    offsets = np.zeros(len(start) + 1, dtype=np.int32)
    out = np.empty((stop - start).sum(), dtype=np.uint8)
    end = 0
    for row in range(len(start)):
        position = start[row]
        quoted = position < stop[row] and data[position] == _QUOTE
        position += quoted
        while position < stop[row]:
            if quoted and data[position] == _QUOTE:
                position += 1
                # A doubled quote stands for one; a single one ends what is quoted.
                if position == stop[row] or data[position] != _QUOTE:
                    quoted = False
                    continue
            out[end] = data[position]
            end += 1
            position += 1
        offsets[row + 1] = end
    return offsets, out[:end]
