"""Anomalies: their rates, what each does, and what the rules say of them."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.simulator import AnomalyRates, Simulation, World, simulate
from barcode_pipeline.simulator.journeys import COMPANIES
from barcode_pipeline.simulator.variants import NEVER_PLANTED, VARIANTS
from barcode_pipeline_tests.simulator.judging import events, judged, truth

EVENTS = 60_000


@pytest.fixture(scope="module")
def default() -> Simulation:
    return simulate(World(events=EVENTS, event_ids=True))


@pytest.fixture(scope="module")
def verdicts(default: Simulation) -> pd.DataFrame:
    return judged(default)


@pytest.fixture(scope="module")
def all_read() -> pd.DataFrame:
    world = World(events=EVENTS, seed=3, event_ids=True)
    world = replace(
        world,
        noise=replace(world.noise, missed_reads=0.0),
        anomalies=replace(world.anomalies, **dict.fromkeys((*NEVER_PLANTED, "ahead_of_truck"), 0.001)),
    )
    return judged(simulate(world))


def test_every_variant_has_a_rate_and_every_rate_a_variant() -> None:
    assert {variant.name for variant in VARIANTS} == set(AnomalyRates.__dataclass_fields__)
    assert {variant.label for variant in VARIANTS} == set(LABELS)


def test_each_label_is_carried_by_2_to_5_in_a_thousand_events(default: Simulation) -> None:
    share = truth(default)["label"].value_counts() / EVENTS
    assert sorted(share.index) == sorted(LABELS)
    assert share.between(0.002, 0.005).all(), share.to_dict()


def test_variants_come_at_their_rates(default: Simulation) -> None:
    counts = truth(default)["variant"].value_counts()
    for variant in VARIANTS:
        expected = getattr(default.world.anomalies, variant.name) * EVENTS
        assert counts.get(variant.name, 0) == pytest.approx(expected, abs=0.25 * expected + 6), variant.name


def test_rules_label_every_visible_variant_where_nothing_is_missed(all_read: pd.DataFrame) -> None:
    anomalous = all_read[all_read["label"].notna()]
    assert anomalous["variant"].nunique() == len(VARIANTS)
    for row in anomalous.to_dict("records"):
        if row["rule_visible"]:
            assert row[row["label"]], row
        else:
            assert not any(row[label] for label in LABELS), row


def test_missed_reads_hide_few_visible_ones(verdicts: pd.DataFrame) -> None:
    visible = verdicts[verdicts["rule_visible"] == True]  # noqa: E712
    seen = [row[row["label"]] for row in visible.to_dict("records")]
    assert len(seen) > 500
    assert sum(seen) / len(seen) > 0.96


def test_rules_are_silent_in_the_clean_world() -> None:
    verdict = judged(simulate(World(events=30_000, seed=5).clean()))
    assert not verdict[list(LABELS)].any(axis=None)


def test_false_alerts_of_the_rules_in_the_default_world() -> None:
    alerts, rows = 0, 0
    for seed in (1, 2):
        verdict = judged(simulate(World(events=EVENTS, seed=seed)))
        alerts += int((verdict[list(LABELS)].any(axis=1) & verdict["label"].isna()).sum())
        rows += len(verdict)
    assert 3 < alerts / rows * 10_000 < 12


def test_alerts_beside_truth_come_from_noise_or_aftermath(all_read: pd.DataFrame) -> None:
    # With every read made, only late arrivals are left to be misjudged, and consequences of anomalies.
    unexplained = all_read[all_read["label"].isna() & all_read["aftermath"].isna()]
    assert not unexplained[["epcFake", "epcDup", "locErr", "evtOrderErr"]].any(axis=None)


def test_never_issued_codes_are_well_formed_and_enter_late(default: Simulation) -> None:
    fakes = truth(default)
    fakes = fakes[fakes["variant"] == "never_issued"]
    assert fakes["epc_code"].str.fullmatch(r"001\.\d{7}\.\d{7}\.\d{6}\.\d{8}\.\d{9}").all()
    assert fakes["epc_code"].str.split(".").str[1].isin(COMPANIES).all()
    first = fakes.sort_values("event_time").groupby("epc_code")["event_type"].first()
    assert set(first) == {"W_Stock_Inbound", "R_Stock_Inbound"}
    rows = events(default)
    issued = set(rows.loc[rows["event_type"] == "Aggregation", "epc_code"])
    assert not issued & set(fakes["epc_code"])
    lots = {code.split(".")[3] for code in issued if code and code.count(".") == 5}
    real = fakes["epc_code"].str.split(".").str[3].isin(lots)
    assert 0.2 < real.mean() < 0.8


def test_diverted_goods_leave_their_lots_plan(default: Simulation) -> None:
    rows, anomalies = events(default), truth(default)
    arrivals = rows[rows["event_type"] == "W_Stock_Inbound"]
    arrivals = arrivals.assign(lot=arrivals["epc_code"].str.split(".").str[3])
    diverted = anomalies[anomalies["variant"].isin(("diverted_item", "diverted_group"))]
    ordinary = arrivals[~arrivals["epc_code"].isin(diverted["epc_code"])]
    usual = ordinary.groupby("lot")["scan_location"].agg(lambda names: set(names.value_counts().index[:1]))
    lots = diverted["epc_code"].str.split(".").str[3]
    known = lots.isin(usual.index)
    pairs = zip(lots[known], diverted["scan_location"][known], strict=True)
    assert not any(name in usual[lot] for lot, name in pairs)
    groups = anomalies[anomalies["variant"] == "diverted_group"].groupby(["scan_location", "event_time"]).size()
    assert groups.max() >= 5


def test_clones_move_slowly_and_short_stays_are_short(default: Simulation) -> None:
    rows, anomalies = events(default), truth(default)
    ordered = rows.dropna(subset=["epc_code"]).sort_values(["epc_code", "event_time"])
    before = ordered.groupby("epc_code")["event_time"].shift(1)
    wait = (pd.to_datetime(ordered["event_time"]) - pd.to_datetime(before)).dt.total_seconds().rename("wait")
    waits = ordered.assign(wait=wait).merge(anomalies, on=list(ordered.columns[:6]), suffixes=("", "_truth"))
    clones, short = (waits[waits["variant"] == name]["wait"] for name in ("slow_clone", "short_dwell"))
    assert clones.min() > 12 * 3600
    assert short.min() >= 180 and short.median() <= 26 * 60


def test_what_stands_for_the_unknown_does_what_the_table_says(all_read: pd.DataFrame) -> None:
    rows = all_read.sort_values(["epc_code", "event_time"], kind="stable")
    rows["event_time"] = pd.to_datetime(rows["event_time"])
    previous = rows.groupby("epc_code")[["event_time", "event_type", "scan_location"]].shift(1)
    rows = rows.join(previous.add_suffix("_before"))
    rows["wait"] = (rows["event_time"] - rows["event_time_before"]).dt.total_seconds()
    by = {name: rows[rows["variant"] == name] for name in NEVER_PLANTED}
    assert all(len(part) > 30 for part in by.values())

    made = pd.to_datetime(by["backdated_code"]["epc_code"].str.split(".").str[4], format="%Y%m%d")
    first = by["backdated_code"].groupby("epc_code")["event_time"].transform("first")
    assert (first - made).dt.days.between(14, 91).all()

    again = by["reused_packaging"]
    assert set(again["event_type"]) == {"R_Stock_Inbound", "R_Stock_Outbound"}
    comes = again[again["event_type"] == "R_Stock_Inbound"]
    assert (comes["event_type_before"] == "R_Stock_Outbound").all()
    assert (comes["scan_location"] != comes["scan_location_before"]).all()
    assert (comes["wait"] > 86_400).all()
    sold = rows[rows["epc_code"].isin(again["epc_code"]) & (rows["event_type"] == "POS_Sell")]
    assert (sold["aftermath"] == "reused_packaging").all()
    assert (sold["scan_location"] == sold["scan_location_before"]).all()

    elsewhere = by["made_elsewhere"]
    assert set(elsewhere["event_type"]) == {"Aggregation"}
    usual = rows[(rows["event_type"] == "Aggregation") & rows["label"].isna()]
    lot = usual["epc_code"].str.split(".").str[3]
    plant = usual.groupby(lot)["scan_location"].first()
    assert (usual["scan_location"] == lot.map(plant)).all()
    own = elsewhere["epc_code"].str.split(".").str[3].map(plant)
    assert (elsewhere["scan_location"] != own).all()

    early = by["early_sale"]
    assert set(early["event_type"]) == {"POS_Sell"}
    assert early["wait"].between(120, 1200).all()
