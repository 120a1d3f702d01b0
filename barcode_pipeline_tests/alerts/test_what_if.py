"""What if: counting what a change brings and takes away."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.alerts.what_if import ALL_SITES, ANY, by_truth, by_verdicts, compare
from barcode_pipeline.events.formats import LABELS

NAMES = np.array(["Hub", "Plant", "Shop"], dtype=object)


def alerts(events: int, *cells: tuple[int, int]) -> np.ndarray:
    out = np.zeros((events, 5), dtype=bool)
    for cell in cells:
        out[cell] = True
    return out


def line(table: pd.DataFrame, label: str, site: str) -> dict[str, int]:
    (found,) = table[(table["label"] == label) & (table["site"] == site)].to_dict("records")
    return {name: value for name, value in found.items() if name not in ("label", "site")}


def test_gained_and_lost_are_told_by_label_and_site():
    before, after = alerts(4, (0, 4), (1, 4)), alerts(4, (1, 4), (2, 4), (2, 0))
    table = compare(before, after, np.array([0, 1, 1, 2]), NAMES)
    assert line(table, "jump", ALL_SITES) == {"before": 2, "after": 2, "gained": 1, "lost": 1}
    assert line(table, "jump", "Hub") == {"before": 1, "after": 0, "gained": 0, "lost": 1}
    assert line(table, "jump", "Plant") == {"before": 1, "after": 2, "gained": 1, "lost": 0}
    assert line(table, "epcFake", ALL_SITES) == {"before": 0, "after": 1, "gained": 1, "lost": 0}
    # An event with two alerts is one event with any.
    assert line(table, ANY, ALL_SITES) == {"before": 2, "after": 2, "gained": 1, "lost": 1}
    # Sites without alerts are left out, labels are not.
    assert "Shop" not in set(table["site"])
    assert table[table["site"] == ALL_SITES]["label"].tolist() == [*LABELS, ANY]


def test_verdicts_and_truth_say_what_is_gained():
    before, after = alerts(5, (4, 0)), alerts(5, (0, 0), (1, 0), (2, 0))
    judged, holds = alerts(5, (0, 0), (1, 0), (4, 0)), alerts(5, (0, 0))
    truth = alerts(5, (0, 0), (1, 3))
    aftermath = np.array([False, False, True, False, False])
    table = compare(before, after, np.zeros(5, int), NAMES, (by_verdicts(judged, holds), by_truth(truth, aftermath)))
    found = line(table, "epcFake", ALL_SITES)
    assert (found["gained"], found["gained_confirmed"], found["gained_rejected"]) == (3, 1, 1)
    assert (found["lost_confirmed"], found["lost_rejected"]) == (0, 1)
    # Event 1 is anomalous by another label, event 2 aftermath: neither true nor false alerts of this one.
    assert (found["gained_true"], found["gained_false"], found["lost_false"]) == (1, 0, 1)
    assert line(table, ANY, ALL_SITES)["gained_true"] == 2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 40))
def test_the_books_balance(seed, events):
    random = np.random.default_rng(seed)
    before, after, truth = (random.random((events, 5)) < 0.3 for _ in range(3))
    aftermath = random.random(events) < 0.1
    table = compare(before, after, random.integers(0, 3, events), NAMES, (by_truth(truth, aftermath),))
    assert (table["before"] + table["gained"] - table["lost"] == table["after"]).all()
    assert (table["gained_true"] + table["gained_false"] <= table["gained"]).all()
    sites = table[table["site"] != ALL_SITES].groupby("label").sum(numeric_only=True)
    whole = table[table["site"] == ALL_SITES].set_index("label").drop(columns="site")
    pd.testing.assert_frame_equal(sites.reindex(whole.index, fill_value=0), whole, check_dtype=False)
    swapped = compare(after, before, random.integers(0, 3, events), NAMES)
    assert swapped[swapped["site"] == ALL_SITES]["gained"].tolist() == whole["lost"].tolist()


def test_nothing_changes_where_nothing_changes():
    same = alerts(3, (1, 1))
    table = compare(same, same, np.zeros(3, int), NAMES)
    assert not table[["gained", "lost"]].any().any()
