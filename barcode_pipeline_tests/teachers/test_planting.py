"""The planter: each family leaves the trace that its table promises, and nothing else is touched."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import barcode_pipeline.teachers.planting as package
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.journeys import EVENT_COLUMNS, find_journeys
from barcode_pipeline.events.steps import IN, LEVEL_UNKNOWN, MISSING, OUT, SALE
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.teachers.planting.families import FAMILIES, FAMILY_NAMES
from barcode_pipeline.teachers.planting.planter import Planted
from barcode_pipeline.teachers.planting.settings import OrdinaryNoise
from barcode_pipeline_tests.teachers.planting_grounds import QUIET, RULES, grounds, planted

BY_NAME = {family.name: family for family in FAMILIES}
WHOLE_JOURNEY = ("code_shape", "code_header", "code_company", "code_product", "code_lot", "code_serial", "code_date",
                 "code_future", "code_old", "beyond_serials", "lot_nobody_made")  # fmt: skip
INSERTING = ("beyond_serials", "lot_nobody_made", "copy_while_waiting", "copy_goes_on", "sold_again", "backward",
             "sold_early", "repeated")  # fmt: skip


def rule_labels(made: Planted) -> np.ndarray:
    return score_events(made.events, grounds().reference, RULES).labels(RULES)


def in_order(made: Planted) -> tuple[np.ndarray, np.ndarray]:
    """(rows in the order of travel, the row after each one's in its journey, -1 for the last)."""
    journeys = find_journeys(made.events)
    after = np.append(journeys.order[1:], -1)
    after[np.append(journeys.offsets[1:] - 1, len(after) - 1)[np.diff(journeys.offsets, append=len(after)) > 0]] = -1
    following = np.full(len(made.events), -1)
    following[journeys.order] = after
    following[made.events.epc < 0] = -1
    return journeys.order, following


# --- every family ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_family_is_planted_on_its_label_and_on_ordinary_epcs_alone(name):
    made = planted(only=name)
    number = FAMILY_NAMES.index(name)
    bearing = made.family == number
    assert bearing.sum() >= 5, "too few to say anything"
    np.testing.assert_array_equal(made.family >= 0, bearing)
    expected = np.zeros((len(bearing), len(LABELS)), dtype=bool)
    expected[bearing, LABELS.index(BY_NAME[name].label)] = True
    np.testing.assert_array_equal(made.targets, expected)
    assert (made.weight[bearing] == 1).all()
    kept = made.source[bearing & (made.source >= 0)]
    assert not grounds().labelled[kept].any()
    assert (made.source[bearing] < 0).any() == (name in (*INSERTING, "same_second"))


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_the_rules_see_what_they_are_built_for_and_not_the_rest(name):
    made = planted(only=name)
    bearing = made.family >= 0
    label = LABELS.index(BY_NAME[name].label)
    seen = rule_labels(made)[bearing, label].mean()
    if BY_NAME[name].rules_see:
        assert seen >= 0.97
    else:
        assert seen <= 0.1


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_rows_are_conserved_and_others_stay_as_they_were(name):
    made = planted(only=name)
    ground = grounds().events
    real = made.source[made.source >= 0]
    assert len(np.unique(real)) == len(real)
    inserted = int((made.source < 0).sum())
    dropped = len(ground) - len(real)
    assert len(made.events) == len(ground) - dropped + inserted
    assert (dropped > 0) == (name in ("skipped", "sold_early"))
    assert (inserted > 0) == (name in (*INSERTING, "same_second"))
    changed = np.zeros(len(ground), dtype=bool)
    rows = np.flatnonzero(made.source >= 0)
    for column in EVENT_COLUMNS:
        new, old = getattr(made.events, column)[rows], getattr(ground, column)[real]
        if column == "epc":
            codes, before = (
                np.append(made.events.codes.to_numpy(zero_copy_only=False), [""]),
                np.append(ground.codes.to_numpy(zero_copy_only=False), [""]),
            )
            new, old = codes[new], before[old]
        changed[real] |= new != old
    # Only EPCs that bear something are changed, and no more than were asked for (a fifth), the last group apart.
    touched = np.unique(ground.epc[changed])
    bearing = np.unique(ground.epc[made.source[(made.family >= 0) & (made.source >= 0)]])
    assert np.isin(touched, bearing).all() or name in INSERTING
    assert len(touched) <= 0.2 * len(ground.codes) + 40


@pytest.mark.parametrize("name", sorted(set(FAMILY_NAMES) - {"code_missing"}))
def test_no_epc_bears_two_families(name):
    made = planted()
    number = FAMILY_NAMES.index(name)
    mine = np.unique(made.events.epc[made.family == number])
    others = np.unique(made.events.epc[(made.family >= 0) & (made.family != number)])
    assert not np.isin(mine[mine >= 0], others).any()


# --- traces, by example ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WHOLE_JOURNEY)
def test_a_wrong_code_is_borne_by_every_event_of_its_epc(name):
    made = planted(only=name)
    bearing = np.unique(made.events.epc[made.family >= 0])
    assert (made.family[np.isin(made.events.epc, bearing)] >= 0).all()


def test_malformed_codes_are_of_many_kinds():
    for name, fewest in (("code_shape", 4), ("code_serial", 3), ("code_date", 3)):
        made = planted(only=name)
        codes = made.events.codes.take(np.unique(made.events.epc[made.family >= 0])).to_pylist()
        shapes = {"".join("9" if c.isdigit() else "a" if c.isalpha() else c for c in code) for code in codes}
        assert len(shapes) >= fewest, (name, shapes)


def test_a_code_never_issued_is_well_formed_unknown_and_comes_in_midway():
    ground = set(grounds().events.codes.to_pylist())
    lots = {code.rsplit(".", 2)[0] for code in ground}
    for name in ("beyond_serials", "lot_nobody_made"):
        made = planted(only=name)
        codes = made.events.codes.take(np.unique(made.events.epc[made.family >= 0])).to_pylist()
        assert not ground.intersection(codes)
        assert {code.rsplit(".", 2)[0] in lots for code in codes} == {name == "beyond_serials"}
        assert not rule_labels(made)[made.family >= 0, 0].any()
        assert made.events.level[made.family >= 0].min() >= 2
        if name == "beyond_serials":
            for code in codes:
                lot, serial = code.rsplit(".", 2)[0], int(code.rsplit(".", 1)[1])
                assert serial > max(int(c.rsplit(".", 1)[1]) for c in ground if c.startswith(lot + "."))


@pytest.mark.parametrize("name", ["code_missing", "same_second", "backward", "unknown_place", "left_soon"])
def test_the_event_after_is_a_consequence(name):
    made = planted(only=name)
    _, following = in_order(made)
    if name == "code_missing":
        assert (made.events.epc[made.family >= 0] == -1).all()
        assert (made.weight[made.family < 0] == 0).sum() > 0
        return
    last = following[made.family >= 0]
    last = last[last >= 0]
    assert (made.weight[last] == np.where(made.family[last] >= 0, 1, 0)).all()


@pytest.mark.parametrize("name", ["diverted", "diverted_to_shop"])
def test_after_a_diversion_all_is_consequence_and_the_place_is_new_to_the_lot(name):
    made = planted(only=name)
    _, following = in_order(made)
    step = following[made.family >= 0]
    assert (step >= 0).any()
    while (step >= 0).any():
        step = step[step >= 0]
        assert (made.weight[step] == 0).all()
        step = following[step]
    bearing = np.flatnonzero(made.family >= 0)
    ground = grounds().events
    lot = np.array([code.rsplit(".", 2)[0] for code in ground.codes.to_pylist()])
    seen = set(zip(lot[ground.epc].tolist(), ground.place.tolist(), strict=True))
    planted_lot = lot[ground.epc[made.source[bearing]]]
    assert not seen.intersection(zip(planted_lot.tolist(), made.events.place[bearing].tolist(), strict=True))


@pytest.mark.parametrize("name", ["diverted", "left_soon", "beyond_serials"])
def test_groups_are_planted_beside_single_items(name):
    made = planted(only=name)
    bearing = made.family >= 0
    together = np.unique(
        np.column_stack([made.events.place[bearing], made.events.time[bearing] // 60]), axis=0, return_counts=True
    )[1]
    assert (together == 1).any()
    assert (together >= 3).any()


def test_a_copy_stays_slow_and_elsewhere():
    made = planted(only="copy_while_waiting")
    _, following = in_order(made)
    distances, site = grounds().reference.sites.distances, made.events.places.site
    bearing = np.flatnonzero(made.family >= 0)
    assert not rule_labels(made)[bearing].any(axis=1).mean() > 0.5
    after = following[bearing]
    moving = after >= 0
    km = distances[site[made.events.place[bearing[moving]]], site[made.events.place[after[moving]]]]
    hours = (made.events.time[after[moving]] - made.events.time[bearing[moving]]) / 3600
    assert (hours * RULES.v_max >= km).all()


def test_what_is_read_of_single_families():
    assert set(planted(only="sold_again").events.direction[planted(only="sold_again").family >= 0]) <= {IN, SALE}
    early = planted(only="sold_early")
    assert (early.events.level[early.family >= 0] == 5).all()
    assert (in_order(early)[1][early.family >= 0] == -1).all(), "what is sold does not go on"
    missing = planted(only="type_missing")
    assert (missing.events.direction[missing.family >= 0] == MISSING).all()
    unknown = planted(only="unknown_step")
    assert (unknown.events.level[unknown.family >= 0] == LEVEL_UNKNOWN).all()
    swapped = planted(only="swapped")
    assert (swapped.events.direction[swapped.family >= 0] == IN).all()
    soon = planted(only="left_soon")
    assert (soon.events.direction[soon.family >= 0] == OUT).all()


# --- the whole ------------------------------------------------------------------------------------------


def test_everything_is_planted_at_once_on_the_share_that_was_asked_for():
    made = planted(share=0.3)
    assert set(made.family) == {-1, *range(len(FAMILIES))}
    bearing = len(np.unique(made.events.epc[made.family >= 0]))
    ordinary = len(np.unique(grounds().events.epc[~grounds().labelled]))
    assert 0.2 * ordinary < bearing < 0.4 * ordinary
    assert planted(share=0.3, leave_out=("diverted", "repeated")).family.max() > 0
    assert not np.isin(
        planted(share=0.3, leave_out=("diverted", "repeated")).family,
        [FAMILY_NAMES.index("diverted"), FAMILY_NAMES.index("repeated")],
    ).any()


def test_same_seed_same_result_another_seed_another():
    noise = OrdinaryNoise()
    one, two, other = (planted(noise=noise, seed=seed) for seed in ((1, 2), (1, 2), (1, 3)))
    for column in EVENT_COLUMNS:
        np.testing.assert_array_equal(getattr(one.events, column), getattr(two.events, column))
    np.testing.assert_array_equal(one.family, two.family)
    np.testing.assert_array_equal(one.source, two.source)
    assert len(one.source) != len(other.source) or (one.source != other.source).any()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.05, 0.9))
def test_suspects_are_never_planted_upon_nor_learnt_from(seed, share):
    ground = grounds()
    random = np.random.default_rng(seed)
    suspects = random.random(len(ground)) < share * 0.1
    made = planted(suspects=suspects, seed=(seed,), noise=OrdinaryNoise(missed_reads=0.0))
    epcs = np.unique(ground.events.epc[suspects])
    rows = np.flatnonzero(np.isin(ground.events.epc, epcs))
    # All of them are still there, as they were, for the shipments of their lots.
    place = np.flatnonzero(np.isin(made.source, rows))
    assert len(place) == len(rows)
    assert (made.family[place] == -1).all()
    assert (made.weight[place] == 0).all()
    for column in ("time", "level", "direction", "place"):
        np.testing.assert_array_equal(
            getattr(made.events, column)[place], getattr(ground.events, column)[made.source[place]]
        )


def test_reads_are_dropped_but_none_that_bears_a_label():
    noise = OrdinaryNoise(**{**vars(QUIET), "missed_reads": 0.3})
    made, whole = planted(noise=noise), planted()
    gone = 1 - len(made.events) / len(whole.events)
    assert 0.03 < gone < 0.25
    assert (made.family >= 0).sum() == (whole.family >= 0).sum()
    np.testing.assert_array_equal(np.unique(made.source[made.family >= 0]), np.unique(whole.source[whole.family >= 0]))


def test_ordinary_noise_bears_no_label_and_is_learnt_from():
    noise = OrdinaryNoise(left_behind=0.2, rerouted=0.2, at_once=0.2, late_items=0.1, late_shipments=0.1, rereads=0.1)
    made = planted(noise=noise, leave_out=FAMILY_NAMES)
    assert (made.family == -1).all()
    assert not made.targets.any()
    real = made.source >= 0
    ground = grounds()
    moved = made.events.time[real] != ground.events.time[made.source[real]]
    assert moved.mean() > 0.05
    elsewhere = made.events.place[real] != ground.events.place[made.source[real]]
    assert elsewhere.any()
    assert (made.weight[real][moved | elsewhere] == 1).all()
    assert (made.source < 0).any(), "re-reads"
    # A batch that is sent elsewhere travels as far as a truck can; order stays.
    labels = rule_labels(made)[made.weight > 0]
    assert labels[:, [0, 1, 3]].mean() < 0.01


def test_an_unknown_family_is_refused():
    with pytest.raises(UserError, match=r"no family .* 'nobody'; planting\.leave_out takes code_shape"):
        planted(leave_out=("nobody",))


def test_the_planter_shares_nothing_with_the_simulator():
    folder = Path(package.__file__).parent
    paths = [*folder.rglob("*.py"), *folder.parent.glob("*.py")]
    assert len(paths) > 10
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any("simulator" in name or "models" in name.split(".") for name in names), path
