"""Rarity: an event against its lot, label by label."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.alerts.rarity import ABOUT, lot_rarity, step_of_lot, surprise_in_group
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.sequences.features import FEATURE_NAMES


def test_the_share_of_like_values_decides():
    values = np.array([0.0] * 99 + [1.0])
    found = surprise_in_group(values, np.zeros(100, int))
    np.testing.assert_allclose(found[:99], np.log(100 / 99), rtol=1e-6)
    np.testing.assert_allclose(found[99], np.log(100), rtol=1e-6)
    # Alone in its group nothing is rare.
    assert surprise_in_group(values, np.arange(100)).tolist() == [0.0] * 100
    assert len(surprise_in_group(np.zeros(0), np.zeros(0, int))) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=60), st.randoms())
def test_order_and_numbers_of_groups_play_no_part(rows, random):
    values, group = (np.array(column) for column in zip(*rows, strict=True))
    found = surprise_in_group(values, group)
    assert (found >= 0).all()
    order = np.array(random.sample(range(len(rows)), len(rows)))
    np.testing.assert_array_equal(surprise_in_group(values[order], 7 - group[order]), found[order])
    # Equal values of one group are equally rare.
    assert len({(v, g, float(f)) for v, g, f in zip(values, group, found, strict=True)}) == len(set(rows))


def features(count: int, **columns: object) -> np.ndarray:
    out = np.zeros((count, len(FEATURE_NAMES)), dtype=np.float16)
    for name, values in columns.items():
        out[:, FEATURE_NAMES.index(name)] = values
    return out


def test_every_label_is_about_features_that_exist():
    assert set(ABOUT) == set(LABELS)
    assert all(name in FEATURE_NAMES for names in ABOUT.values() for name in names)


def test_the_label_that_a_rare_feature_is_about_is_the_one_asked_for():
    odd = np.zeros(50)
    odd[9] = 1
    rarity = lot_rarity(features(50, sites_in_second=odd), np.zeros(50, int))
    assert rarity[9].argmax() == LABELS.index("epcDup")
    rarity = lot_rarity(features(50, serial_beyond=odd), np.zeros(50, int))
    assert rarity[9].argmax() == LABELS.index("epcFake")


def test_an_event_is_compared_with_its_lot_at_its_step():
    lot = np.repeat([0, 1], 50)
    usual = np.where(lot == 0, 1.0, 0.0)
    usual[3] = 0.0  # usual in the other lot
    rarity = lot_rarity(features(100, lot_log_share_of_site=usual), lot)[:, LABELS.index("locErr")]
    assert rarity[3] == rarity.max() > rarity[50] + 3
    other_step = np.zeros(100)
    other_step[3] = 1
    alone = lot_rarity(features(100, lot_log_share_of_site=usual, level_hub=other_step), lot)
    assert alone[3, LABELS.index("locErr")] == 0


def test_a_made_up_lot_is_rare_among_all_lots():
    lot = np.append(np.zeros(200, int), 1)
    made_up = (lot == 1).astype(float)
    rarity = lot_rarity(features(201, lot_never_made=made_up), lot)
    assert rarity[:, LABELS.index("epcFake")].argmax() == 200


def test_stays_are_no_travel_and_travel_no_stay():
    random = np.random.default_rng(0)
    same_site = random.random(300) < 0.5
    hours = random.random(300)
    rarity = lot_rarity(
        features(300, same_site=same_site, log_hours_since_previous=hours, log_time_over_fastest=hours),
        np.zeros(300, int),
    )
    assert (rarity[~same_site, LABELS.index("evtOrderErr")] == 0).all()
    assert (rarity[same_site, LABELS.index("jump")] == 0).all()
    assert rarity[same_site, LABELS.index("evtOrderErr")].max() > 0


def test_steps_of_lots_have_numbers_of_their_own():
    lot = np.array([0, 0, 1, 1])
    group = step_of_lot(features(4, level_hub=[0, 1, 0, 1]), lot)
    assert len(set(group.tolist())) == 4
    assert step_of_lot(features(0), np.zeros(0, int)).tolist() == []
