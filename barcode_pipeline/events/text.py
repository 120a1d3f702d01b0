"""Reading one field of text: stripped, and missing where it says nothing. All columns pass here first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.distinct import number_texts

_MISSING_WORDS = pa.array(["", "null", "nan"])


def clean_words(words: pa.Array) -> pa.Array:
    """Strip every word; the empty word, `null` and `nan` in any case become missing. (N,) -> (N,) string."""
    stripped = pc.utf8_trim_whitespace(words.cast(pa.string()))
    missing = pc.is_in(pc.utf8_lower(stripped), value_set=_MISSING_WORDS)
    return pc.if_else(missing, pa.scalar(None, pa.string()), stripped)


def map_dictionary(column: pa.DictionaryArray, words: pa.Array) -> pa.DictionaryArray:
    """Replace each dictionary word by `words` at its place; equal words become one, missing ones null."""
    encoded = words.dictionary_encode()
    # Array.take passes nulls of the indices on, so a row that was missing stays missing.
    return pa.DictionaryArray.from_arrays(encoded.indices.take(column.indices), encoded.dictionary)


def clean_dictionary(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """`clean_words` on the dictionary of a column: each distinct word is looked at once."""
    return map_dictionary(column, clean_words(column.dictionary))


def integers_from_words(words: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Read words such as `17`, `017`, `-3`, `17.0` as integers.

    Returns (values (N,) int64, readable (N,) bool); what is no integer of 64 bits is not readable.
    """
    pattern = r"^(?P<whole>[+-]?[0-9]{1,19})(?:\.0*)?$"
    whole = pc.struct_field(pc.extract_regex(words, pattern), "whole")
    digits = pc.replace_substring_regex(whole, r"^\+", "")
    # 19 digits can exceed 64 bits: such a number cannot be an id that anyone keeps in an integer column.
    short = pc.less_equal(pc.utf8_length(pc.replace_substring(digits, "-", "")), 18)
    readable = pc.fill_null(pc.and_(pc.is_valid(digits), short), False)
    values = pc.fill_null(pc.if_else(readable, digits, "0"), "0").cast(pa.int64())
    return values.to_numpy(zero_copy_only=False), readable.to_numpy(zero_copy_only=False)


def plain_integers(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Write `1.0` as `1`: the same number, whichever way a sender's tool wrote it; other words stay."""
    words = clean_words(column.dictionary)
    return map_dictionary(column, pc.replace_substring_regex(words, r"^([+-]?[0-9]+)\.0*$", r"\1"))


def in_one_piece(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array; `combine_chunks` copies a single chunk too."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([pa.array([], column.type), *column.chunks])


def decode(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A dictionary column as one array of plain strings."""
    if isinstance(column, pa.ChunkedArray):
        column = in_one_piece(column)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def dictionary_array(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """One dictionary array of a column, whatever chunks and dictionaries it came in."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks > 1 and pa.types.is_dictionary(column.type):
            return _in_one_dictionary(column.chunks)
        column = in_one_piece(column)
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _in_one_dictionary(chunks: list[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Chunks with dictionaries of their own put together: words in order of appearance in the dictionaries."""
    words = pa.concat_arrays([chunk.dictionary for chunk in chunks])
    offsets, data = string_buffers(words)
    number, first = number_texts(data, offsets[:-1], offsets[1:])
    codes = np.concatenate([dictionary_codes(chunk) for chunk in chunks])
    rows = np.cumsum([0, *(len(chunk) for chunk in chunks)])
    _renumber(codes, rows, np.cumsum([0, *(len(chunk.dictionary) for chunk in chunks)]), number)
    missing = codes < 0 if any(chunk.null_count for chunk in chunks) else None
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=missing), words.take(pa.array(first)))


@compiled
def _renumber(codes: np.ndarray, rows: np.ndarray, words: np.ndarray, number: np.ndarray) -> None:
    """Codes of each chunk, which count its own words, as those of all words. rows, words: where each chunk begins."""
    for chunk in range(len(rows) - 1):
        for row in range(rows[chunk], rows[chunk + 1]):
            if codes[row] >= 0:
                codes[row] = number[words[chunk] + codes[row]]


def only_used_words(table: pa.Table) -> pa.Table:
    """The same rows, their dictionaries without the words that no row has. Few rows of many dates bring the words of
    all rows of these dates along, and those are what takes time where the dates are put together."""
    for place, field in enumerate(table.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        column = dictionary_array(table.column(place))
        codes, used = dictionary_codes(column), np.zeros(len(column.dictionary), dtype=bool)
        used[codes[codes >= 0]] = True
        if used.all():
            continue
        number = np.append(np.cumsum(used, dtype=np.int32) - 1, np.int32(-1))
        missing = codes < 0 if column.null_count else None
        fewer = pa.DictionaryArray.from_arrays(
            pa.array(number[codes], mask=missing), column.dictionary.filter(pa.array(used))
        )
        table = table.set_column(place, field, fewer)
    return table


def string_buffers(words: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (N + 1,) int32 and bytes of a string array, without copying."""
    _, offsets, data = words.buffers()
    if offsets is None:
        return np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.uint8)
    starts = np.frombuffer(offsets, dtype=np.int32)[words.offset : words.offset + len(words) + 1]
    return starts, np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)


def dictionary_codes(column: pa.DictionaryArray) -> np.ndarray:
    """The codes of a dictionary column, (N,) int32, -1 where missing."""
    indices = column.indices
    if indices.null_count:
        indices = pc.fill_null(indices, -1)
    return indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)


def texts_at(data: np.ndarray, start: np.ndarray, stop: np.ndarray) -> pa.Array:
    """The texts at some places of one piece of memory, (N,) string. start, stop: (N,) int32."""
    offsets = np.zeros(len(start) + 1, dtype=np.int32)
    np.cumsum(stop - start, out=offsets[1:])
    texts = np.empty(offsets[-1], dtype=np.uint8)
    _copy_texts(data, start, offsets, texts)
    return pa.StringArray.from_buffers(len(start), pa.py_buffer(offsets), pa.py_buffer(texts))


@compiled
def _copy_texts(data: np.ndarray, start: np.ndarray, offsets: np.ndarray, texts: np.ndarray) -> None:
    for row in range(len(start)):
        for i in range(offsets[row + 1] - offsets[row]):
            texts[offsets[row] + i] = data[start[row] + i]


def factorize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (N,) and distinct values, in order of first appearance."""
    codes, distinct = pd.factorize(values)
    return codes.astype(np.int32), distinct
