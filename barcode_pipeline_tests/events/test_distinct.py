"""Texts numbered by what they say, against a dictionary of Python's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.distinct import NumberedTexts, is_same, number_texts
from barcode_pipeline.events.fields import encode_fields

SOME = ("", "a", "b", "ab", "1234567", "12345678", "12345679", "123456789", "x" * 17, "é" * 9)
TEXTS = st.lists(st.sampled_from(SOME) | st.text(max_size=20), max_size=40)


def laid_out(texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The texts in one piece of memory that ends where the last of them does."""
    parts = [text.encode() for text in texts]
    stop = np.cumsum([len(part) for part in parts], dtype=np.int32)
    data = np.frombuffer(b"".join(parts), dtype=np.uint8)
    return data, np.concatenate([[0], stop[:-1]]).astype(np.int32) if len(stop) else stop, stop


def slow_numbers(texts: list[str]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(text, len(numbers)) for text in texts]


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_numbers_in_order_of_appearance(texts: list[str]) -> None:
    numbers, first = number_texts(*laid_out(texts))
    assert numbers.tolist() == slow_numbers(texts)
    assert [texts[row] for row in first] == list(dict.fromkeys(texts))


def test_many_texts_in_several_calls() -> None:
    """More than the table has room for at first."""
    texts = [f"{number * number % 7919}" for number in range(20_000)]
    data, start, stop = laid_out(texts)
    some = NumberedTexts(data, start, stop)
    for begin in range(0, len(texts), 3_000):
        some.number(begin, begin + 3_000)
    assert some.codes.tolist() == slow_numbers(texts)
    assert some.found == len(set(texts))


@pytest.mark.parametrize("length", range(1, 27))
def test_texts_that_differ_in_one_byte_are_not_the_same(length: int) -> None:
    for place in range(length):
        data = np.frombuffer(b"7" * length + b"7" * place + b"8" + b"7" * (length - place - 1), dtype=np.uint8)
        assert not is_same(data, 0, length, length) and is_same(data, 0, 0, length)


def test_one_text_with_quotes_and_without_is_one_word() -> None:
    fields = ["a", '"a"', '"say ""a"""', "", '""', '"a"b']
    data, start, stop = laid_out(fields)
    (column,) = encode_fields(data, [start], [stop])
    assert column.to_pylist() == ["a", "a", 'say "a"', "", "", "ab"]
    assert column.dictionary.to_pylist() == ["a", 'say "a"', "", "ab"]
