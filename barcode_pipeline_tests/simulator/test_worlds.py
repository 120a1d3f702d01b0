"""Worlds: determinism, refusals, what parameters do, and what holds in any world."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.simulator import AnomalyRates, Noise, World, simulate
from barcode_pipeline.simulator.columns import decoded
from barcode_pipeline_tests.simulator.judging import KEY, aftermath, events, truth

rates = st.one_of(st.just(0.0), st.floats(0, 0.05))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw small worlds, many of them odd."""
    noise = Noise(**{name: draw(rates) for name in Noise.__dataclass_fields__ if name != "clock_skew_seconds"})
    anomalies = AnomalyRates(**{name: draw(rates) for name in AnomalyRates.__dataclass_fields__})
    start = datetime(2025, 7, 1, 10, 23, 38)
    return World(
        events=draw(st.integers(10, 3_000)),
        seed=draw(st.integers(0, 99)),
        noise=replace(noise, clock_skew_seconds=draw(st.sampled_from([0, 120, 600]))),
        anomalies=anomalies,
        event_ids=draw(st.booleans()),
        start=start,
        end=start + timedelta(days=draw(st.integers(30, 200))),
        lots=draw(st.sampled_from([1, 10, 104])),
        batch_size=draw(st.sampled_from([1, 5, 100])),
        pallet_size=draw(st.sampled_from([1, 33])),
        long_journeys=draw(st.sampled_from([0.0, 0.0, 0.3, 1.0])),
        network=draw(st.sampled_from([0, 0, 3])),
        slower_routes=draw(st.sampled_from([None, None, (date(2025, 7, 20), 1.3), (date(2025, 7, 5), 2.0)])),
        late_days=draw(st.sampled_from([1, 5, 20])),
    )


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_any_world_has_consistent_truth(world: World) -> None:
    simulation = simulate(world)
    rows, anomalies, consequences = events(simulation), truth(simulation), aftermath(simulation)
    keys = set(map(tuple, rows[KEY].to_numpy()))
    assert set(map(tuple, anomalies[KEY].to_numpy())) <= keys
    assert set(map(tuple, consequences[KEY].to_numpy())) <= keys
    assert not anomalies.duplicated(KEY).any()
    assert not set(map(tuple, anomalies[KEY].to_numpy())) & set(map(tuple, consequences[KEY].to_numpy()))
    assert set(anomalies["label"]) <= set(LABELS)
    assert (anomalies.dropna(subset=["epc_code"]).groupby("epc_code")["variant"].nunique() <= 1).all()
    slack = pd.Timedelta(seconds=world.noise.clock_skew_seconds + 120)
    assert (rows["event_time"] >= pd.Timestamp(world.start) - slack).all()
    if world.event_ids:
        assert sorted(rows["event_id"]) == sorted(set(rows["event_id"]))


def test_same_world_same_tables_and_another_seed_others() -> None:
    first, again = simulate(World(events=5_000)), simulate(World(events=5_000))
    for factory, table in first.raw.items():
        assert table.equals(again.raw[factory])
    assert first.anomalies.equals(again.anomalies)
    other = simulate(World(events=5_000, seed=2))
    assert not first.raw["icn"].equals(other.raw["icn"])


def test_one_rate_leaves_other_parts_as_they_were() -> None:
    world = World(events=20_000)
    more = replace(world, anomalies=replace(world.anomalies, too_fast=0.005))
    keys = [KEY[:-1], "variant"]
    base, changed = truth(simulate(world)), truth(simulate(more))
    fakes = [frame[frame["variant"].isin(("wrong_header", "diverted_group"))][keys[0]] for frame in (base, changed)]
    assert len(fakes[0])
    assert set(map(tuple, fakes[0].to_numpy())) == set(map(tuple, fakes[1].to_numpy()))
    assert (changed["variant"] == "too_fast").sum() > 2 * (base["variant"] == "too_fast").sum()


@pytest.mark.parametrize("missed", [0.1, 0.3])
def test_missed_reads_are_a_parameter(missed: float) -> None:
    world = World(events=30_000).clean()
    rows = simulate(replace(world, noise=replace(world.noise, missed_reads=missed))).rows
    assert rows == pytest.approx(30_000 * (1 - missed), rel=0.02)


def test_clock_skew_is_one_for_a_site_and_day() -> None:
    world = World(events=20_000).clean()
    skewed = simulate(replace(world, noise=replace(world.noise, clock_skew_seconds=600)))
    plain = simulate(world)
    apart = []
    for factory, table in plain.raw.items():
        time, wrong = (each["event_time"].to_numpy() for each in (table, skewed.raw[factory]))
        frame = pd.DataFrame({"site": table["location_id"].to_pandas(), "day": time.astype("datetime64[D]")})
        apart.append(frame.assign(seconds=(wrong - time).astype(int)))
    seconds = pd.concat(apart)
    assert seconds["seconds"].abs().max() <= 600
    assert seconds["seconds"].std() > 200
    assert (seconds.groupby(["site", "day"], observed=True)["seconds"].nunique() == 1).all()


def test_event_ids_follow_the_order_of_sending() -> None:
    simulation = simulate(World(events=20_000, event_ids=True))
    ids = np.concatenate([table["event_id"].to_numpy() for table in simulation.raw.values()])
    sent = np.concatenate(list(simulation.sent.values()))
    time = np.concatenate([table["event_time"].to_numpy() for table in simulation.raw.values()])
    assert sorted(ids) == list(range(1, simulation.rows + 1))
    assert (np.diff(sent[np.argsort(ids)]) >= np.timedelta64(0, "s")).all()
    assert 0.005 < np.mean(sent - time >= np.timedelta64(1, "D")) < 0.02
    assert "event_id" not in simulate(World(events=1_000)).raw["icn"].column_names


def test_a_sparse_world_has_small_shipments() -> None:
    sparse = simulate(World(events=20_000, batch_size=5, pallet_size=2).clean())
    made = pd.concat([decoded(table).to_pandas() for table in sparse.raw.values()])
    made = made[made["event_type"] == "Aggregation"]
    assert made.groupby(["epc_lot", "event_time"]).size().max() <= 5


def test_unlisted_routes_are_driven_but_not_in_the_table() -> None:
    world = replace(World(events=20_000).clean(), unlisted_routes=0.2)
    full, reduced = simulate(replace(world, unlisted_routes=0.0)), simulate(world)
    assert len(reduced.transitions) == 66
    assert all(table.equals(reduced.raw[factory]) for factory, table in full.raw.items())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"events": 5}, "10 or more"),
        ({"seed": -1}, "seed"),
        ({"layout": "weekly"}, "weekly"),
        ({"noise": Noise(missed_reads=1.5)}, "missed_reads"),
        ({"anomalies": AnomalyRates(too_fast=-0.1)}, "too_fast"),
        ({"end": datetime(2025, 7, 2)}, "30 days"),
        ({"batch_size": 0}, "batch_size"),
        ({"network": -1}, "network"),
        ({"late_days": 0}, "late_days"),
        ({"long_journeys": 1.5}, "long_journeys"),
        ({"slower_routes": (date(2025, 8, 1), 3.0)}, "slower_routes"),
    ],
)
def test_worlds_that_cannot_be(change: dict[str, object], word: str) -> None:
    with pytest.raises(UserError, match=word):
        replace(World(), **change)  # type: ignore[arg-type]
