"""Truth beside events: matched by key, where missing equals missing; what is not found is counted."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.truth import Truth, match_truth, read_truth
from barcode_pipeline.events.formats import FORMAT_VERSION, KEY_COLUMNS, KEY_FIELDS, LABELS

WORDS = pa.dictionary(pa.int32(), pa.string())
TIME = datetime.datetime(2025, 7, 1, 10)
KEY = ("001.8804823.1203199.150002.20250620.000000001", TIME, 1, "factory one", "Factory", "Inbound", 7)
OTHER = ("001.8804823.1203199.150002.20250620.000000002", TIME, 1, "factory one", "Factory", "Inbound", 8)


def keys_of(keys):
    columns = [pa.array([key[place] for key in keys], field.type) for place, field in enumerate(KEY_FIELDS)]
    return pa.table(columns, schema=pa.schema(KEY_FIELDS))


def truth_of(anomalies, aftermath=(), plain=False):
    """anomalies: (key, label, visible) each; aftermath: keys. plain: words as strings, not dictionaries."""
    found = keys_of([key for key, _, _ in anomalies])
    found = found.append_column("label", pa.array([label for _, label, _ in anomalies], WORDS))
    found = found.append_column("variant", pa.array(["variant"] * len(anomalies), WORDS))
    found = found.append_column("rule_visible", pa.array([visible for _, _, visible in anomalies], pa.bool_()))
    after = keys_of(list(aftermath)).append_column("variant", pa.array(["variant"] * len(aftermath), WORDS))
    if plain:
        found, after = (
            table.cast(pa.schema([(f.name, pa.string() if f.type == WORDS else f.type) for f in table.schema]))
            for table in (found, after)
        )
    return Truth(found, after)


@pytest.mark.parametrize("plain", [False, True])
def test_events_are_found_by_their_key(plain):
    truth = truth_of([(KEY, "locErr", True), (KEY, "jump", False)], [OTHER], plain)
    found = match_truth(truth, keys_of([OTHER, KEY]))
    assert found.truth.tolist() == [[False] * 5, [False, False, True, False, True]]
    assert found.visible.tolist() == [[False] * 5, [False, False, True, False, False]]
    assert found.aftermath.tolist() == [True, False]
    assert found.unmatched == 0


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("missing", [*((name,) for name in KEY_COLUMNS if name != "event_time"), KEY_COLUMNS[2:]])
def test_missing_equals_missing_and_nothing_else(missing, plain):
    without = tuple(None if name in missing else value for name, value in zip(KEY_COLUMNS, KEY, strict=True))
    truth = truth_of([(without, "epcDup", True)], [without], plain)
    found = match_truth(truth, keys_of([KEY, without, OTHER]))
    assert found.truth[:, 1].tolist() == [False, True, False]
    assert found.aftermath.tolist() == [False, True, False]
    assert match_truth(truth, keys_of([KEY])).unmatched == 1
    # The other way round: truth that names what the events do not.
    assert not match_truth(truth_of([(KEY, "epcDup", True)]), keys_of([without])).truth.any()


@pytest.mark.parametrize("column", range(len(KEY_COLUMNS)))
def test_every_column_of_the_key_counts(column):
    changed = list(KEY)
    changed[column] = OTHER[0] if column == 0 else TIME + datetime.timedelta(seconds=1) if column == 1 else (
        "another" if isinstance(KEY[column], str) else 99)  # fmt: skip
    found = match_truth(truth_of([(KEY, "jump", True)]), keys_of([tuple(changed)]))
    assert not found.truth.any()
    assert found.unmatched == 1


def test_large_ids_are_compared_exactly():
    one, two = ((*KEY[:6], number) for number in (2**53, 2**53 + 1))
    found = match_truth(truth_of([(two, "jump", True)]), keys_of([one, two]))
    assert found.truth[:, 4].tolist() == [False, True]


def test_no_truth_and_no_events():
    assert not match_truth(truth_of([]), keys_of([KEY])).truth.any()
    found = match_truth(truth_of([(KEY, "jump", True)]), keys_of([]))
    assert found.truth.shape == (0, 5)
    assert found.unmatched == 1


VALUES = [st.sampled_from((value, None)) for value in KEY]
VALUES[0] = st.sampled_from((KEY[0], OTHER[0], None))
VALUES[1] = st.just(TIME)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*VALUES), unique=True, max_size=12), st.lists(st.tuples(*VALUES), unique=True, max_size=6))
def test_matching_is_that_of_tuples(events, concerned):
    anomalies = [(key, LABELS[place % 5], place % 2 == 0) for place, key in enumerate(concerned)]
    found = match_truth(truth_of(anomalies, concerned), keys_of(events))
    expected = np.zeros((len(events), 5), bool)
    visible = expected.copy()
    for key, label, seen in anomalies:
        if key in events:
            expected[events.index(key), LABELS.index(label)] = True
            visible[events.index(key), LABELS.index(label)] = seen
    np.testing.assert_array_equal(found.truth, expected)
    np.testing.assert_array_equal(found.visible, visible)
    np.testing.assert_array_equal(found.aftermath, [key in concerned for key in events])
    assert found.unmatched == sum(key not in events for key in concerned)


def written(folder, truth, version=FORMAT_VERSION):
    for name, table in (("anomalies", truth.anomalies), ("aftermath", truth.aftermath)):
        table = table.replace_schema_metadata({"format_version": str(version)})
        pq.write_table(table, folder / f"{name}.parquet")


def test_truth_is_read_where_there_is_one(tmp_path):
    assert read_truth(tmp_path) is None
    truth = truth_of([(KEY, "jump", True)], [OTHER])
    written(tmp_path, truth)
    found = match_truth(read_truth(tmp_path), keys_of([KEY, OTHER]))
    assert found.truth[0, 4]
    assert found.aftermath.tolist() == [False, True]


def test_truth_of_another_format_is_refused(tmp_path):
    written(tmp_path, truth_of([(KEY, "jump", True)]), FORMAT_VERSION + 1)
    with pytest.raises(UserError, match=r"anomalies\.parquet has another format version.*make data"):
        read_truth(tmp_path)
