"""Reading fields of text against Python's str."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.hashes import is_in_sorted
from barcode_pipeline.events.text import (
    clean_dictionary,
    clean_words,
    decode,
    dictionary_array,
    dictionary_codes,
    integers_from_words,
    map_dictionary,
    only_used_words,
    plain_integers,
)

PADDED = st.builds(
    lambda before, word, after: before + word + after,
    st.sampled_from(("", " ", "\t", "\u3000", "\xa0 ", "\r")),
    st.one_of(
        st.sampled_from(("null", "NULL", "Nan", "nan", "", "nulls", "none", "n/a", "-", "0")), st.text(max_size=8)
    ),
    st.sampled_from(("", " ", "\t", "\u2003")),
)
# Python also strips the four separators of ASCII, which Unicode does not count as white space.
WORDS = st.lists(st.one_of(st.none(), PADDED.filter(lambda word: not set(word) & set("\x1c\x1d\x1e\x1f"))), max_size=30)
NUMBERS = st.lists(
    st.one_of(
        st.from_regex(r"[+-]?[0-9]{1,20}(\.0*)?", fullmatch=True),
        st.sampled_from(
            ("17", "017", "17.0", "17.", "+3", "-3.00", "1e3", "0x1F", "1_000", "--1", ".0", "1.5", "٣", "")
        ),
        st.text(alphabet="0123456789+-. e", max_size=6),
    ),
    max_size=30,
)


def slow_clean(word: str | None) -> str | None:
    stripped = None if word is None else word.strip()
    return None if stripped is None or stripped.lower() in ("", "null", "nan") else stripped


def slow_integer(word: str) -> int | None:
    found = re.fullmatch(r"([+-]?[0-9]+)(\.0*)?", word, re.ASCII)
    # Numbers of more than 18 digits are no ids that an integer column holds for sure.
    return int(found[1]) if found and len(found[1].lstrip("+-")) <= 18 else None


@settings(deadline=None)
@given(WORDS)
def test_clean_words(words: list[str | None]) -> None:
    assert clean_words(pa.array(words, pa.string())).to_pylist() == [slow_clean(word) for word in words]


@settings(deadline=None)
@given(WORDS)
def test_clean_dictionary(words: list[str | None]) -> None:
    column = clean_dictionary(pa.array(words, pa.string()).dictionary_encode())
    assert column.to_pylist() == [slow_clean(word) for word in words]
    assert None not in column.dictionary.to_pylist()
    assert len(set(column.dictionary.to_pylist())) == len(column.dictionary)


@settings(deadline=None)
@given(NUMBERS)
def test_integers(words: list[str]) -> None:
    values, readable = integers_from_words(pa.array(words, pa.string()))
    found = [int(value) if fine else None for value, fine in zip(values, readable, strict=True)]
    assert found == [slow_integer(word) for word in words]
    assert (values[~readable] == 0).all()


def test_integers_of_missing_and_of_the_largest_words() -> None:
    words = [None, "9" * 18, "9" * 19, "-" + "9" * 18, "1" + "0" * 30, "9223372036854775807"]
    values, readable = integers_from_words(pa.array(words, pa.string()))
    assert readable.tolist() == [False, True, False, True, False, False]
    assert values[[1, 3]].tolist() == [10**18 - 1, 1 - 10**18]


@settings(deadline=None)
@given(NUMBERS)
def test_plain_integers(words: list[str]) -> None:
    column = plain_integers(pa.array(words, pa.string()).dictionary_encode())
    expected = [re.sub(r"^([+-]?[0-9]+)\.0*$", r"\1", word.strip()) for word in words]
    assert column.to_pylist() == [slow_clean(word) for word in expected]


def test_equal_words_become_one() -> None:
    column = pa.array(["a", "b", None, "a"]).dictionary_encode()
    mapped = map_dictionary(column, pa.array(["same", "same"]))
    assert mapped.to_pylist() == ["same", "same", None, "same"] and mapped.dictionary.to_pylist() == ["same"]


def test_dictionary_of_several_chunks() -> None:
    chunks = [pa.array(["a", None]).dictionary_encode(), pa.array(["b", "a"]).dictionary_encode()]
    column = dictionary_array(pa.chunked_array(chunks))
    assert column.to_pylist() == ["a", None, "b", "a"] and len(column.dictionary) == 2
    assert dictionary_codes(column)[[0, 1, 3]].tolist() == [0, -1, 0]
    assert decode(pa.chunked_array(chunks)).to_pylist() == ["a", None, "b", "a"]
    assert dictionary_array(pa.chunked_array([], chunks[0].type)).to_pylist() == []


@settings(deadline=None)
@given(st.lists(st.lists(st.none() | st.sampled_from(("a", "b", "a longer word", "é", "")), max_size=6), max_size=6))
def test_chunks_are_put_together(chunks: list[list[str | None]]) -> None:
    kind = pa.dictionary(pa.int32(), pa.string())
    column = pa.chunked_array([pa.array(chunk, pa.string()).dictionary_encode() for chunk in chunks], kind)
    together = dictionary_array(column)
    words = [word for chunk in chunks for word in chunk]
    assert together.to_pylist() == words
    assert together.dictionary.to_pylist() == list(dict.fromkeys(word for word in words if word is not None))
    part = dictionary_array(column.slice(1, 3))
    assert part.to_pylist() == words[1:4]


@settings(deadline=None)
@given(WORDS, st.sets(st.integers(0, 29)))
def test_only_used_words(words: list[str | None], kept: set[int]) -> None:
    """The same rows, and no word that none of them has."""
    rows = pa.array(sorted(row for row in kept if row < len(words)), pa.int64())
    numbers = pa.array(range(len(words)), pa.int64())
    table = pa.table({"word": pa.array(words, pa.string()).dictionary_encode(), "number": numbers}).take(rows)
    found = only_used_words(table)
    assert found.schema == table.schema and found.to_pylist() == table.to_pylist()
    some = dictionary_array(found.column("word"))
    assert sorted(some.dictionary.to_pylist()) == sorted({words[row] for row in rows.to_pylist()} - {None})


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)), st.integers(0, 5))
def test_is_in_sorted(values: list[int], others: list[int], shared: int) -> None:
    others = [*others, *values[:shared]]
    found = is_in_sorted(np.array(values, np.uint64), np.unique(np.array(others, np.uint64)))
    assert found.tolist() == [value in others for value in values]
