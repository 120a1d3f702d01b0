"""Corruptions: each changes one thing, says which events bear it, and leaves all else as it was."""

from __future__ import annotations

import numpy as np
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.journeys import EVENT_COLUMNS
from barcode_pipeline.teachers.planting.corruptions import (
    HOURS_APART,
    LONGEST_HOURS,
    MOST_COPIED,
    SHORTEST_HOURS,
    TIMES_AS_LONG,
)
from barcode_pipeline.teachers.planting.families import CORRUPTIONS, FAMILY_NAMES
from barcode_pipeline.teachers.planting.planter import Planted
from barcode_pipeline_tests.teachers.planting_grounds import grounds, planted

NAMES = tuple(one.name for one in CORRUPTIONS)
INSERTING = ("corrupted_count",)


def only(name: str, seed: int = 3) -> Planted:
    families = tuple(one for one in CORRUPTIONS if one.name == name)
    return planted(families=families, seed=(seed,))


def codes_of(events) -> np.ndarray:
    codes = events.codes.to_numpy(zero_copy_only=False)
    return np.append(codes, [""])[events.epc]


def changed(made: Planted, column: str) -> np.ndarray:
    """(M,) bool, of the events that were there before: where the column is another. Of inserted ones false."""
    there = made.source >= 0
    out = np.zeros(len(made.source), dtype=bool)
    if column == "epc":
        new, old = codes_of(made.events), codes_of(grounds().events)
    else:
        new, old = getattr(made.events, column), getattr(grounds().events, column)
    out[there] = new[there] != old[made.source[there]]
    return out


@pytest.mark.parametrize("name", NAMES)
def test_a_corruption_bears_its_label_on_ordinary_epcs_and_changes_no_other(name):
    made = only(name)
    family = CORRUPTIONS[NAMES.index(name)]
    bearing = made.family == 0
    assert bearing.sum() >= 20, "too few to say anything"
    expected = np.zeros((len(bearing), len(LABELS)), dtype=bool)
    expected[bearing, LABELS.index(family.label)] = True
    np.testing.assert_array_equal(made.targets, expected)
    assert (made.weight[bearing] == 1).all()
    assert not grounds().labelled[made.source[bearing & (made.source >= 0)]].any()
    assert (made.source[bearing] < 0).all() == (name in INSERTING)
    assert (made.source < 0).any() == (name in INSERTING)
    # Nothing is dropped, and what was changed bears the label or follows from it.
    np.testing.assert_array_equal(np.sort(made.source[made.source >= 0]), np.arange(len(grounds())))
    touched = np.logical_or.reduce([changed(made, column) for column in EVENT_COLUMNS])
    assert touched.any() != (name in INSERTING)
    untouched_epcs = np.setdiff1d(np.unique(codes_of(made.events)), np.unique(codes_of(made.events)[bearing | touched]))
    assert len(untouched_epcs) > 0.5 * len(grounds().events.codes)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_and_another_one_others(name):
    one, again, other = only(name), only(name), only(name, seed=4)
    np.testing.assert_array_equal(one.events.time, again.events.time)
    np.testing.assert_array_equal(codes_of(one.events), codes_of(again.events))
    np.testing.assert_array_equal(one.family, again.family)
    assert (
        len(one.family) != len(other.family)
        or (one.source[one.family >= 0][:20] != other.source[other.family >= 0][:20]).any()
    )


def test_a_corrupted_code_differs_in_one_part_and_was_nobodys():
    made = only("corrupted_code")
    bearing = made.family == 0
    np.testing.assert_array_equal(changed(made, "epc"), bearing)
    new, old = codes_of(made.events)[bearing], codes_of(grounds().events)[made.source[bearing]]
    assert not np.isin(new, codes_of(grounds().events)).any()
    parts = [np.array([code.split(".") for code in codes]) for codes in (new, old)]
    assert parts[0].shape == parts[1].shape
    assert ((parts[0] != parts[1]).sum(axis=1) == 1).all()
    assert len(np.unique(np.argmax(parts[0] != parts[1], axis=1))) >= 3, "hardly any part is ever drawn"
    # All that follows under the old code has the new one.
    for code in np.unique(old):
        rest = grounds().events.time[codes_of(grounds().events) == code]
        given = made.events.time[bearing & np.isin(codes_of(made.events), new[old == code])]
        np.testing.assert_array_equal(np.sort(rest)[-len(given) :], np.sort(given))


def test_copied_scans_are_elsewhere_and_the_genuine_ones_stay_and_teach_nothing():
    made = only("corrupted_count")
    bearing = made.family == 0
    names = codes_of(made.events)
    assert np.unique(names[bearing], return_counts=True)[1].max() <= MOST_COPIED
    for code in np.unique(names[bearing])[:40]:
        mine, genuine = (names == code) & bearing, (names == code) & ~bearing
        assert (made.weight[genuine] == 0).all()
        hours = np.abs(made.events.time[mine][:, None] - made.events.time[genuine]) / 3600
        first, last = HOURS_APART
        near = (hours >= first - 0.01) & (hours <= last + 0.01)
        same = (made.events.level[mine][:, None] == made.events.level[genuine]) & (
            made.events.direction[mine][:, None] == made.events.direction[genuine]
        )
        elsewhere = made.events.place[mine][:, None] != made.events.place[genuine]
        assert (near & same & elsewhere).any(axis=1).all()


def test_a_corrupted_place_is_one_where_the_lot_never_was():
    made = only("corrupted_place")
    bearing = made.family == 0
    assert changed(made, "place")[bearing].all()
    ground = grounds().events
    lots = np.append(lot_names(ground.codes).to_numpy(zero_copy_only=False), [""])[ground.epc]
    seen = {(lot, place) for lot, place in zip(lots.tolist(), ground.place.tolist(), strict=True)}
    source = made.source[bearing]
    for lot, place in zip(lots[source].tolist(), made.events.place[bearing].tolist(), strict=True):
        assert (lot, place) not in seen
    np.testing.assert_array_equal(changed(made, "level") | changed(made, "direction") | changed(made, "epc"), False)


def test_a_corrupted_stay_is_many_times_shorter_or_longer():
    made = only("corrupted_stay")
    bearing = np.flatnonzero(made.family == 0)
    ground = grounds().events
    names, old_names = codes_of(made.events), codes_of(ground)
    shorter = 0
    for row in bearing[:60]:
        before = ground.time[(old_names == names[row]) & (ground.time < ground.time[made.source[row]])].max()
        old, new = ground.time[made.source[row]] - before, made.events.time[row] - before
        shorter += new < old
        many_times = max(old / max(new, 1), new / max(old, 1)) >= 0.99 * TIMES_AS_LONG[0]
        assert many_times or abs(new - old - 3600 * LONGEST_HOURS) <= 1 or abs(new - 3600 * SHORTEST_HOURS) <= 1
    assert 10 <= shorter <= 50
    for column in ("place", "level", "direction", "epc"):
        assert not changed(made, column).any()


def test_no_corruption_is_left_out_by_name():
    with pytest.raises(UserError, match="There is no family of planted anomalies 'corrupted_code'"):
        planted(leave_out=("corrupted_code",))
    assert not set(NAMES) & set(FAMILY_NAMES)
