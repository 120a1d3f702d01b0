"""Worlds that change from one day on, and rows that come weeks late."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from barcode_pipeline.simulator import World, simulate, write_simulation
from barcode_pipeline_tests.simulator.judging import KEY, events, judged, truth

DAY = date(2025, 10, 1)
CLEAN = World(events=40_000, seed=3).clean()


def transports(world: World) -> pd.DataFrame:
    """Return when each EPC left for each arrival's step, and the hours it took."""
    rows = events(simulate(world)).sort_values(["epc_code", "event_time"], kind="stable")
    rows["event_time"] = pd.to_datetime(rows["event_time"])
    before = rows.groupby("epc_code")[["event_time", "event_type"]].shift(1)
    rows["left"], rows["hours"] = before["event_time"], (rows["event_time"] - before["event_time"]).dt.total_seconds()
    rows = rows[rows["event_type"].isin(("HUB_Inbound", "W_Stock_Inbound", "R_Stock_Inbound"))]
    return rows.set_index(["epc_code", "event_type"])[["left", "hours"]]


@pytest.mark.parametrize("factor", [1.3, 0.8])
def test_transports_take_longer_from_the_day_on(factor: float) -> None:
    usual, slower = transports(CLEAN), transports(replace(CLEAN, slower_routes=(DAY, factor)))
    both = usual.join(slower.add_suffix("_now"), how="inner")
    assert len(both) > 0.99 * len(usual)
    after = both["left"] >= pd.Timestamp(DAY)
    assert 0.3 < after.mean() < 0.9
    assert (both["left"] == both["left_now"]).all()
    assert (both["hours"] == both["hours_now"])[~after].all()
    assert np.abs(both["hours_now"] - factor * both["hours"])[after].max() < 60


def test_nothing_happens_after_the_end_and_the_table_knows_nothing() -> None:
    simulation = simulate(replace(CLEAN, slower_routes=(date(2025, 7, 1), 2.0)))
    rows = events(simulation)
    assert pd.to_datetime(rows["event_time"]).max() <= pd.Timestamp(CLEAN.end)
    assert simulation.transitions.equals(simulate(CLEAN).transitions)
    ordered = rows.sort_values(["epc_code", "event_time"], kind="stable")
    assert (ordered.groupby("epc_code")["event_type"].first() == "Aggregation").all()


@pytest.mark.parametrize("variant", ["diverted_item", "diverted_group", "made_elsewhere"])
def test_anomalous_transports_take_longer_too(variant: str) -> None:
    world = replace(CLEAN, anomalies=replace(CLEAN.anomalies, **{variant: 0.01}))
    mean = []
    for each in (world, replace(world, slower_routes=(date(2025, 7, 1), 1.5))):
        step = "HUB_Inbound" if variant == "made_elsewhere" else "W_Stock_Inbound"
        anomalous = truth(simulate(each))["epc_code"]
        taken = transports(each).loc[(slice(None), step), "hours"]
        mean.append(taken[taken.index.get_level_values(0).isin(anomalous)].mean())
    assert mean[1] / mean[0] == pytest.approx(1.5, rel=0.08)


def test_rules_see_a_shifted_world_as_jumps() -> None:
    world = replace(World(events=30_000, seed=5), slower_routes=(DAY, 1.3)).without_anomalies()
    verdict = judged(simulate(world))
    alarmed = verdict[verdict["jump"]]
    share = (pd.to_datetime(alarmed["event_time"]) >= pd.Timestamp(DAY)).mean()
    assert len(alarmed) > 100 and share > 0.8


def test_rows_may_come_weeks_late(tmp_path: Path) -> None:
    world = World(events=3_000, layout="daily", late_days=20)
    world = replace(world, noise=replace(world.noise, late_rows=0.2))
    write_simulation(tmp_path, world)
    late = []
    for path in (tmp_path / "data/raw").glob("*/*.csv"):
        sent = pd.Timestamp(path.parent.name)
        times = pd.to_datetime(pd.read_csv(path, sep="\t", usecols=["event_time"])["event_time"])
        late.append((sent - times.dt.normalize()).dt.days)
    days = pd.concat(late)
    assert days.max() in (19, 20, 21)
    assert (days > 5).mean() == pytest.approx(0.2 * 15 / 19, abs=0.05)


def test_lateness_changes_no_row() -> None:
    usual, later = simulate(World(events=3_000)), simulate(World(events=3_000, late_days=20))
    assert set(map(tuple, events(usual)[KEY].to_numpy())) == set(map(tuple, events(later)[KEY].to_numpy()))
