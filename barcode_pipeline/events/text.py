"""Reading one field of text: stripped, and missing where it says nothing. All columns pass here first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

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


def decode(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A dictionary column as one array of plain strings."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def dictionary_array(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """One dictionary array of a column, whatever chunks and dictionaries it came in."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks > 1 and pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def dictionary_codes(column: pa.DictionaryArray) -> np.ndarray:
    """The codes of a dictionary column, (N,) int32, -1 where missing."""
    indices = column.indices
    if indices.null_count:
        indices = pc.fill_null(indices, -1)
    return indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)


def factorize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (N,) and distinct values, in order of first appearance."""
    codes, distinct = pd.factorize(values)
    return codes.astype(np.int32), distinct
