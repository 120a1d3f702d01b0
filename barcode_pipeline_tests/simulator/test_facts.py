"""The facts of the real data, in the world before noise and anomalies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from barcode_pipeline.events.formats import RAW_COLUMNS, SITE_COLUMNS, TRANSITION_COLUMNS
from barcode_pipeline.simulator import Simulation, World, simulate
from barcode_pipeline.simulator.columns import decoded
from barcode_pipeline.simulator.sites import invented_sites
from barcode_pipeline.simulator.steps import BUSINESS_STEPS, EVENT_TYPES

EVENTS = 100_000


@pytest.fixture(scope="module")
def clean() -> Simulation:
    return simulate(World(events=EVENTS).clean())


@pytest.fixture(scope="module")
def rows(clean: Simulation) -> pd.DataFrame:
    frame = pd.concat([decoded(table).to_pandas() for table in clean.raw.values()], ignore_index=True)
    return frame.sort_values(["epc_code", "event_time"], kind="stable", ignore_index=True)


@pytest.fixture(scope="module")
def pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Each event with the next of its EPC, and the hours between."""
    following = rows.groupby("epc_code")[["event_time", "scan_location", "event_type"]].shift(-1)
    frame = rows.join(following.add_suffix("_next")).dropna(subset=["event_time_next"])
    frame["hours"] = (frame["event_time_next"] - frame["event_time"]).dt.total_seconds() / 3600
    return frame


def test_size_lots_and_range(clean: Simulation, rows: pd.DataFrame) -> None:
    assert len(rows) == EVENTS
    assert rows["epc_code"].nunique() == round(EVENTS / 4.6)
    assert rows["epc_lot"].nunique() == 104
    assert sorted(rows["epc_company"].unique()) == ["8804823", "8805843", "8809437"]
    assert rows["epc_product"].nunique() == 15
    assert rows["event_time"].min() == pd.Timestamp("2025-07-01 10:23:38")
    assert rows["event_time"].max() == pd.Timestamp("2025-12-16 14:02:39")
    assert clean.anomalies.num_rows == clean.aftermath.num_rows == 0


def test_rows_and_epcs_per_factory(rows: pd.DataFrame) -> None:
    share = rows["factory"].value_counts() / len(rows)
    expected = {"icn": 437_200, "hws": 220_800, "ygs": 132_200, "kum": 129_800}
    for factory, count in expected.items():
        assert share[factory] == pytest.approx(count / 920_000, abs=0.001)
    epcs = rows.groupby("factory")["epc_code"].nunique() / rows["epc_code"].nunique()
    for factory, epc_share in {"icn": 0.5, "hws": 0.25, "ygs": 0.15, "kum": 0.1}.items():
        assert epcs[factory] == pytest.approx(epc_share, abs=0.001)


def test_journey_lengths(rows: pd.DataFrame) -> None:
    share = rows.groupby("epc_code").size().value_counts(normalize=True)
    assert sorted(share.index) == [2, 4, 6, 8, 10]
    for length, expected in {2: 0.350, 4: 0.304, 6: 0.100, 8: 0.191, 10: 0.057}.items():
        assert share[length] == pytest.approx(expected, abs=0.012)


def test_chain_of_ten_in_order(rows: pd.DataFrame, pairs: pd.DataFrame) -> None:
    number = {name: i for i, name in enumerate(EVENT_TYPES)}
    assert (pairs["event_type_next"].map(number) - pairs["event_type"].map(number) == 1).all()
    assert (rows.groupby("epc_code")["event_type"].first() == "Aggregation").all()
    words = set(zip(rows["business_step"], rows["event_type"], strict=True))
    assert words == set(zip(BUSINESS_STEPS, EVENT_TYPES, strict=True))


def test_form_of_a_row(clean: Simulation, rows: pd.DataFrame) -> None:
    assert all(tuple(table.column_names) == RAW_COLUMNS for table in clean.raw.values())
    assert rows["epc_code"].str.fullmatch(r"001\.\d{7}\.\d{7}\.\d{6}\.\d{8}\.\d{9}").all()
    parts = rows["epc_code"].str.split(".", expand=True)
    for column, part in zip(RAW_COLUMNS[8:14], parts.columns, strict=True):
        assert (rows[column] == parts[part].astype(int).astype(str)).all(), column
    first = rows.groupby("epc_code").first()
    assert (first["event_time"].astype(str) == first["manufacture_date"]).all()
    assert (first["manufacture_date"].str[:10].str.replace("-", "") == first["epc_manufacture"]).all()
    for factory, step, hub_type in (
        ("icn", "Aggregation", "ICN_Factory"),
        ("kum", "WMS_Outbound", "KUM_WMS_Outbound"),
        ("icn", "W_Stock_Inbound", r"[A-Z]{3}_WS\d_Stock_Inbound"),
        ("icn", "POS_Sell", r"[A-Z]{3}_WS\d_Rsell\d_POS_Sell"),
    ):
        here = rows[(rows["factory"] == factory) & (rows["event_type"] == step)]
        assert len(here)
        assert here["hub_type"].str.fullmatch(hub_type).all()


def test_pallets_share_seconds_and_batches_nearly(rows: pd.DataFrame) -> None:
    # About 28,391 distinct seconds at 920,000 events: about 32 rows to a second.
    assert rows["event_time"].nunique() == pytest.approx(EVENTS * 28_391 / 920_000, rel=0.08)
    lots = rows[rows["event_type"] == "Aggregation"].groupby("epc_lot")["event_time"]
    assert lots.nunique().max() < 20


def test_tables_have_the_real_form() -> None:
    sites = invented_sites()
    assert tuple(sites.locations.columns) == SITE_COLUMNS
    assert tuple(sites.transitions.columns) == TRANSITION_COLUMNS
    assert np.bincount(sites.role).tolist() == [4, 4, 4, 10, 36]
    assert len(sites.transitions) == 82
    origin_role = np.bincount(sites.role[sites.origin])
    assert origin_role.tolist() == [0, 8, 11, 63]
    distance = sites.distance_km[sites.origin, sites.destination]
    assert int((sites.hours[:, 2] < distance / 100).sum()) == 9
    assert (sites.distance_km[sites.factory, sites.warehouse] < 3).all()
    assert sites.hours[:, 0].min() >= 3.9 and sites.hours[:, 0].max() <= 5.95
    assert sites.hours[:, 1].min() >= 2.0 and sites.hours[:, 1].max() <= 3.3


def test_retailers_are_served_by_all_wholesalers_of_their_region() -> None:
    sites = invented_sites()
    served = sites.transitions[sites.transitions["to_scan_location"].str.contains("Shop")]
    region = served["from_scan_location"].str.split().str[0]
    assert (region == served["to_scan_location"].str.split().str[0]).all()
    assert (served.groupby("from_scan_location").size() == 9).all()


def test_transports_follow_the_transition_table(clean: Simulation, pairs: pd.DataFrame) -> None:
    transports = pairs[pairs["event_type"].str.endswith("Outbound") & (pairs["event_type_next"] != "POS_Sell")]
    table = clean.transitions.set_index(["from_scan_location", "to_scan_location"])
    keys = list(zip(transports["scan_location"], transports["scan_location_next"], strict=True))
    history = table.reindex(keys)
    assert history.notna().all().all(), "a transport took a route that the table does not know"
    assert len(set(keys)) >= 75
    hours = transports["hours"].to_numpy()
    assert (hours >= history["time_taken_hours_min"].to_numpy()).all()
    assert (hours <= history["time_taken_hours_max"].to_numpy() + 2 / 60).all()
    z = np.abs(hours - history["time_taken_hours_mean"]) / history["time_taken_hours_std"]
    assert z.max() <= 2
    assert hours.mean() == pytest.approx(5.4, abs=0.3)
    assert hours.std() == pytest.approx(2.5, abs=0.3)


def test_yard_and_stays(pairs: pd.DataFrame) -> None:
    yard = pairs[pairs["event_type"] == "Aggregation"]["hours"]
    assert yard.mean() == pytest.approx(0.5, abs=0.05)
    stays = pairs[pairs["event_type"].str.endswith("Inbound")]
    assert (stays["scan_location"] == stays["scan_location_next"]).all()
    days = stays.groupby("event_type")["hours"].mean() / 24
    for step, expected in {"WMS_Inbound": 28, "HUB_Inbound": 15, "W_Stock_Inbound": 34, "R_Stock_Inbound": 7}.items():
        assert days[step] == pytest.approx(expected, rel=0.3), step


def test_scans_per_day_are_nearly_even_at_full_size() -> None:
    clean = simulate(World(events=920_000).clean())
    seconds = np.concatenate([table["event_time"].to_numpy() for table in clean.raw.values()])
    assert len(seconds) == 920_000
    assert len(np.unique(seconds)) == pytest.approx(28_391, rel=0.03)
    places = {name for table in clean.raw.values() for name in table["scan_location"].unique().to_pylist()}
    assert len(places) == 58
    daily = np.unique(seconds.astype("datetime64[D]"), return_counts=True)[1][1:-1]
    assert daily.mean() == pytest.approx(5_500, rel=0.05)
    weekly = daily[: len(daily) // 7 * 7].reshape(-1, 7).mean(axis=1)
    assert weekly.min() > 3_000 and weekly.max() < 8_500


@pytest.mark.parametrize("events", [5_000, 40_000])
def test_smaller_worlds_keep_the_lots(events: int) -> None:
    counts = simulate(World(events=events, seed=7).clean()).summary["counts"]
    assert isinstance(counts, dict)
    assert counts["lots"] == 104
    assert counts["batches"] >= 104
    assert counts["events_before_noise"] == pytest.approx(events, rel=0.01)
