"""A second opinion orders what is far below the thresholds, and changes nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from barcode_pipeline.models.lifting import CEILING, lifted

FIVE = 5
SHARES = st.floats(0, 1, width=32)


def probabilities(rows: int = 20) -> st.SearchStrategy[np.ndarray]:
    # Half of them small, so that the ceiling is met from both sides.
    return st.one_of(
        arrays(np.float32, (rows, FIVE), elements=SHARES),
        arrays(np.float32, (rows, FIVE), elements=st.floats(0, 0.125, width=32)),
    )


def test_by_hand():
    threshold = np.array([0.5, 0.5, 0.5, 0.04, 0.5])
    first = np.array([[0.001, 0.001, 0.2, 0.001, 0.04]])
    second = np.array([[0.5, 0.0, 1.0, 1.0, 0.1]])
    # Half of the ceiling; not heard; above the ceiling; half of a low threshold; it says less than the first.
    np.testing.assert_allclose(lifted(first, second, threshold), [[CEILING / 2, 0.001, 0.2, 0.02, 0.04]], rtol=1e-6)


@given(probabilities(), probabilities(), arrays(np.float64, FIVE, elements=st.floats(1e-4, 1)))
def test_no_alert_and_nothing_above_the_ceiling_changes_and_nothing_falls(first, second, threshold):
    found = lifted(first, second, threshold)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found >= threshold.astype(np.float32), first >= threshold.astype(np.float32))
    ceiling = np.minimum(CEILING, threshold / 2)
    np.testing.assert_array_equal(found[first >= ceiling], first[first >= ceiling])
    assert (found >= first).all()
    assert (found[first < ceiling] <= np.broadcast_to(ceiling, first.shape)[first < ceiling] * (1 + 1e-6)).all()


@given(probabilities(), probabilities(), probabilities())
def test_who_is_suspected_more_stands_no_lower(first, second, other):
    threshold = np.full(FIVE, 0.5)
    more, less = np.maximum(second, other), np.minimum(second, other)
    assert (lifted(first, more, threshold) >= lifted(first, less, threshold)).all()
