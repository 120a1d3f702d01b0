"""Worlds on given reference tables: roles read from routes, and refusals."""

from __future__ import annotations

import pandas as pd
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.simulator import World, simulate
from barcode_pipeline.simulator.network import location_table, transition_table
from barcode_pipeline.simulator.sites import read_sites
from barcode_pipeline_tests.simulator.judging import judged


@pytest.fixture
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Another network: other names and ids, one factory less, places in another order."""
    locations, transitions = location_table(), transition_table()
    locations = locations[~locations["scan_location"].str.startswith("Mulgeum")]
    transitions = transitions[~transitions["from_scan_location"].str.startswith("Mulgeum")]
    locations = locations.sample(frac=1, random_state=1, ignore_index=True)
    locations["location_id"] += 1_000
    locations["scan_location"] = "place " + locations["location_id"].astype(str)
    names = dict(zip(location_table()["location_id"] + 1_000, location_table()["scan_location"], strict=True))
    new = {names[int(number)]: f"place {number}" for number in locations["location_id"]}
    for column in ("from_scan_location", "to_scan_location"):
        transitions[column] = transitions[column].map(new)
    return locations, transitions


def test_roles_come_from_routes(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    sites = read_sites(*tables)
    assert [(sites.role == role).sum() for role in range(5)] == [3, 3, 4, 10, 36]
    assert sites.factory_codes() == ["icn", "hws", "ygs"]


def test_a_world_on_given_tables_is_clean_and_uses_its_places(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    locations, transitions = tables
    simulation = simulate(World(events=10_000).clean(), locations, transitions)
    assert list(simulation.raw) == ["icn", "hws", "ygs"]
    verdict = judged(simulation)
    assert set(verdict["scan_location"]) <= set(locations["scan_location"])
    assert not verdict[list(LABELS)].any(axis=None)
    with_anomalies = simulate(World(events=10_000), locations, transitions)
    assert with_anomalies.anomalies.num_rows > 100


def test_tables_that_lead_nowhere_are_refused(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    locations, transitions = tables
    shops = transitions["to_scan_location"].isin(transitions["from_scan_location"])
    with pytest.raises(UserError, match="no retailer is reached"):
        simulate(World(events=1_000), locations, transitions[shops])


def test_a_warehouse_without_a_factory_is_refused(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    locations, transitions = tables
    sites = read_sites(locations, transitions)
    without = locations[locations["scan_location"] != sites.name[sites.factory[0]]]
    with pytest.raises(UserError, match="factory"):
        simulate(World(events=1_000), without, transitions)


def test_a_place_at_two_levels_is_refused(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    locations, transitions = tables
    sites = read_sites(locations, transitions)
    shortcut = transitions.iloc[:1].assign(
        from_scan_location=sites.name[sites.warehouse[0]],
        to_scan_location=sites.name[int((sites.role == 3).nonzero()[0][0])],
    )
    with pytest.raises(UserError, match="two levels"):
        simulate(World(events=1_000), locations, pd.concat([transitions, shortcut]))


def test_missing_columns_are_named(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    locations, transitions = tables
    with pytest.raises(UserError, match="Latitude"):
        simulate(World(events=1_000), locations.drop(columns="Latitude"), transitions)


def test_one_table_alone_is_refused(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    with pytest.raises(UserError, match="only one"):
        simulate(World(events=1_000), tables[0])
