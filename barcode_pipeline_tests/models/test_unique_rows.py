"""Distinct rows are found exactly, whatever their type and width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from barcode_pipeline.models.unique_rows import unique_rows

DTYPES = st.sampled_from([np.float16, np.uint8, np.int16, np.float32, np.int64])


@settings(deadline=None)
@given(arrays(DTYPES, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9), elements=st.integers(0, 1)))
def test_agrees_with_numpy(rows: np.ndarray) -> None:
    first, inverse = unique_rows(rows)
    assert np.array_equal(rows[first][inverse], rows)
    assert len(first) == len({row.tobytes() for row in rows})
    assert first.dtype == inverse.dtype == np.int64
    # The first occurrence, in order: an earlier row never has the number of a later one.
    assert np.array_equal(first, [int(np.flatnonzero(inverse == i)[0]) for i in range(len(first))])
    assert np.all(np.diff(first) > 0)


def test_many_rows_that_differ_in_one_bit() -> None:
    rows = np.random.default_rng(0).integers(0, 2**14, (40_000, 1)).astype(np.uint16)
    wide = np.zeros((len(rows), 46), dtype=np.uint16)
    wide[:, 45] = rows[:, 0]
    first, inverse = unique_rows(wide)
    values, expected = np.unique(rows[:, 0], return_index=True)
    assert np.array_equal(np.sort(first), np.sort(expected))
    assert np.array_equal(np.bincount(inverse)[np.argsort(rows[first, 0])], np.bincount(rows[:, 0])[values])


def test_a_strided_or_read_only_table_is_read_as_it_looks() -> None:
    table = np.arange(24, dtype=np.float16).reshape(4, 6) % 2
    table.flags.writeable = False
    assert unique_rows(table[:, ::2])[0].tolist() == [0]
    assert unique_rows(table[::2])[1].tolist() == [0, 0]


def test_zero_and_minus_zero_differ_and_nan_equals_itself() -> None:
    rows = np.array([[0.0], [-0.0], [np.nan], [np.nan]], dtype=np.float16)
    assert unique_rows(rows)[1].tolist() == [0, 1, 2, 2]


def test_what_is_not_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="fixed-size"):
        unique_rows(np.zeros(3))
    with pytest.raises(ValueError, match="fixed-size"):
        unique_rows(np.zeros((3, 1), dtype=object))
