"""Journeys that go on: what they look like, and that truth holds on their further events as on others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.simulator import World, simulate
from barcode_pipeline.simulator.long_journeys import MOST_EVENTS
from barcode_pipeline_tests.simulator.judging import judged

LONG = World(events=20_000, seed=2, long_journeys=0.2)


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    return judged(simulate(LONG.clean())).sort_values(["epc_code", "event_time"], kind="stable", ignore_index=True)


@pytest.fixture(scope="module")
def disturbed() -> pd.DataFrame:
    # Everything is read, and nothing arrives late, so that whatever the rules say has one cause.
    noise = replace(LONG.noise, missed_reads=0.0, rereads=0.0, delayed_items=0.0, delayed_pallets=0.0, stragglers=0.0)
    world = replace(LONG, events=60_000, noise=noise, anomalies=replace(LONG.anomalies, ahead_of_truck=0.002))
    return judged(simulate(world))


def test_journeys_grow_to_forty_events(clean: pd.DataFrame) -> None:
    length = clean.groupby("epc_code").size()
    assert length.max() == MOST_EVENTS
    assert (length % 2 == 0).all()
    plain = judged(simulate(replace(LONG, long_journeys=0.0).clean())).groupby("epc_code").size()
    assert set(length.index) == set(plain.index)
    grown = length > plain.reindex(length.index)
    assert grown.mean() == pytest.approx(0.2, abs=0.01)
    assert (length[~grown] == plain.reindex(length.index)[~grown]).all()


def test_goods_leave_where_they_came_to_and_go_somewhere_else(clean: pd.DataFrame) -> None:
    after = clean.groupby("epc_code")[["event_time", "scan_location", "event_type"]].shift(-1)
    pairs = clean.join(after.add_suffix("_next")).dropna(subset=["event_type_next"])
    same = pairs["scan_location"] == pairs["scan_location_next"]
    came = pairs["event_type"].str.endswith("Inbound")
    sold = pairs["event_type_next"] == "POS_Sell"
    assert same[came | sold].all()
    assert not same[~came & ~sold].any()
    leaves = {name: name.replace("Inbound", "Outbound") for name in pairs["event_type"].unique()}
    assert (pairs["event_type_next"] == pairs["event_type"].map(leaves))[came].all()
    assert (pairs["event_time_next"] > pairs["event_time"]).all()
    assert clean["event_time"].max() <= pd.Timestamp(LONG.end)


def test_returns_and_repeated_moves_happen(clean: pd.DataFrame) -> None:
    after = clean.groupby("epc_code")["event_type"].shift(-1)
    moves = set(zip(clean["event_type"], after, strict=True))
    assert {
        ("R_Stock_Outbound", "W_Stock_Inbound"),
        ("R_Stock_Outbound", "R_Stock_Inbound"),
        ("W_Stock_Outbound", "W_Stock_Inbound"),
        ("W_Stock_Outbound", "HUB_Inbound"),
        ("HUB_Outbound", "HUB_Inbound"),
        ("HUB_Outbound", "WMS_Inbound"),
    } < moves


def test_half_of_them_travel_together(clean: pd.DataFrame) -> None:
    arrivals = clean[(clean["event_type"] == "W_Stock_Inbound") & clean["epc_code"].duplicated()]
    returned = arrivals[arrivals.duplicated(["epc_code", "event_type"])]
    lot = returned["epc_code"].str.split(".").str[3]
    together = returned.groupby([lot, "scan_location", "event_time"])["epc_code"].transform("size")
    assert 0.3 < (together > 1).mean() < 0.8


def test_rules_alarm_at_returns_and_at_nothing_else(clean: pd.DataFrame) -> None:
    assert not clean[["epcFake", "epcDup", "evtOrderErr", "jump"]].any(axis=None)
    steps = ("Aggregation", "WMS", "HUB", "W_Stock", "R_Stock", "POS")
    number = {name: place for place, step in enumerate(steps) for name in clean["event_type"] if name.startswith(step)}
    level = clean["event_type"].map(number)
    backward = (level < level.shift(1)) & (clean["epc_code"] == clean["epc_code"].shift(1))
    assert backward.sum() > 500
    assert (clean["locErr"] == backward).all()


def test_anomalies_fall_on_further_events_and_their_truth_holds(disturbed: pd.DataFrame) -> None:
    ordered = disturbed.sort_values(["epc_code", "event_time"], kind="stable")
    late = ordered[ordered.groupby("epc_code").cumcount() >= 12]
    further = late[late["label"].notna()]
    assert further["variant"].nunique() >= 10
    seen = np.array([row[row["label"]] for row in further[further["rule_visible"] == True].to_dict("records")])  # noqa: E712
    assert len(seen) > 50 and seen.all()
    unseen = disturbed[disturbed["rule_visible"] == False]  # noqa: E712
    assert not unseen[["epcFake", "epcDup", "evtOrderErr", "jump"]].any(axis=None)


def test_alerts_beside_truth_are_returns_or_aftermath(disturbed: pd.DataFrame) -> None:
    unexplained = disturbed[disturbed["label"].isna() & disturbed["aftermath"].isna()]
    alarmed = unexplained[unexplained[list(LABELS)].any(axis=1)]
    assert len(alarmed) > 500
    assert not alarmed[["epcFake", "epcDup", "evtOrderErr", "jump"]].any(axis=None)


def test_what_follows_an_anomaly_is_aftermath_also_where_the_goods_turn_back(disturbed: pd.DataFrame) -> None:
    ordered = disturbed.sort_values(["epc_code", "event_time"], kind="stable")
    names = ["variant", "epc_code", "locErr", "aftermath"]
    following = ordered[names].shift(-1).add_suffix("_next")
    pairs = ordered.join(following)
    named = pairs["variant"].isin(("simultaneous", "unknown_location", "short_dwell"))
    pairs = pairs[named & pairs["variant_next"].isna() & (pairs["epc_code"] == pairs["epc_code_next"])]
    turned = pairs["event_type"].str.endswith("Outbound") & pairs["locErr_next"]
    assert turned.sum() >= 8
    assert (pairs["aftermath_next"] == pairs["variant"]).all()
