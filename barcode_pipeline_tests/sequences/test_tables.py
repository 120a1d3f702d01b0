"""`epc_sequences` as a table and back."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.formats import KEY_FIELDS
from barcode_pipeline.sequences.features import FEATURE_NAMES, EventFeatures
from barcode_pipeline.sequences.tables import SEQUENCES_SCHEMA, feature_matrix, features_in_order, sequences_table


def table_of(values):
    return sequences_table(EventFeatures(values, np.arange(len(values), dtype=np.int32)))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_features_come_back_as_they_were(count, start, other):
    values = np.random.default_rng(count).normal(size=(count, len(FEATURE_NAMES))).astype(np.float16)
    table = table_of(values)
    assert [*KEY_FIELDS, *table.schema] == list(SEQUENCES_SCHEMA)
    np.testing.assert_array_equal(feature_matrix(table), values)
    np.testing.assert_array_equal(feature_matrix(table.slice(start)), values[start:])
    more = np.random.default_rng(other).normal(size=(other, len(FEATURE_NAMES))).astype(np.float16)
    both = pa.concat_tables([table.slice(start), table_of(more)])
    np.testing.assert_array_equal(feature_matrix(both), np.concatenate([values[start:], more]))
    source = np.random.default_rng(start).permutation(len(both))
    np.testing.assert_array_equal(features_in_order(both, source), feature_matrix(both)[source])


def test_the_table_says_what_its_features_are():
    metadata = SEQUENCES_SCHEMA.field("features").metadata
    assert json.loads(metadata[b"names"]) == list(FEATURE_NAMES)
    assert metadata[b"dtype"] == b"float16"
