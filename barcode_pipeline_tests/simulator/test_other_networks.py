"""Other networks: complete, unlike the first, and clean to the rules."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.formats import LABELS, SITE_COLUMNS, TRANSITION_COLUMNS
from barcode_pipeline.simulator import World, simulate
from barcode_pipeline.simulator.columns import decoded
from barcode_pipeline.simulator.network import location_table
from barcode_pipeline.simulator.other_networks import other_network
from barcode_pipeline.simulator.sites import invented_sites
from barcode_pipeline_tests.simulator.judging import judged


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10_000))
def test_every_number_is_a_complete_network(number: int) -> None:
    locations, transitions = other_network(number)
    assert tuple(locations.columns) == SITE_COLUMNS
    assert tuple(transitions.columns) == TRANSITION_COLUMNS
    assert not locations["location_id"].duplicated().any() and not locations["scan_location"].duplicated().any()
    sites = invented_sites(number)
    count = [int((sites.role == role).sum()) for role in range(-1, 5)]
    assert count[:3] == [0, 4, 4]
    assert 3 <= count[3] <= 5 and count[4] >= count[3] and count[5] >= 12
    assert all(
        sites.name[plant] + " Warehouse" == sites.name[warehouse]
        for plant, warehouse in zip(sites.factory, sites.warehouse, strict=True)
    )
    assert (sites.hours[:, 1] > 0).all() and (sites.hours[:, 2] < sites.hours[:, 0]).all()
    apart = sites.distance_km[np.triu_indices(len(sites.name), 1)]
    assert apart.min() > 0.5 and apart.max() < 600


def test_a_network_is_the_same_every_time_and_another_is_another() -> None:
    for first, again in zip(other_network(3), other_network(3), strict=True):
        pd.testing.assert_frame_equal(first, again)
    assert not set(other_network(3)[0]["scan_location"]) >= set(other_network(4)[0]["scan_location"])


@pytest.mark.parametrize("network", [1, 9])
def test_rules_are_silent_in_a_clean_world_on_it(network: int) -> None:
    verdict = judged(simulate(World(events=10_000, seed=4, network=network).clean()))
    assert not verdict[list(LABELS)].any(axis=None)


def test_sites_products_and_lots_are_unseen_and_companies_registered() -> None:
    known, unseen = (
        pd.concat([decoded(table).to_pandas() for table in simulate(World(events=5_000, network=n)).raw.values()])
        for n in (0, 2)
    )
    plain = [frame[frame["epc_code"].str.fullmatch(r"001\.\d{7}\.\d{7}\.\d{6}\.\d{8}\.\d{9}", na=False)]
             for frame in (known, unseen)]  # fmt: skip
    for column in ("epc_lot", "epc_product", "product_name"):
        assert not set(plain[0][column]) & set(plain[1][column]), column
    issued = [set(frame.loc[frame["event_type"] == "Aggregation", "epc_company"].value_counts().index[:3])
              for frame in plain]  # fmt: skip
    assert issued[0] == issued[1]
    listed = set(location_table()["scan_location"])
    assert not listed & set(unseen["scan_location"])
    assert set(known["factory"]) == set(unseen["factory"])


def test_its_own_reference_tables_come_with_the_world() -> None:
    simulation = simulate(World(events=3_000, network=5))
    pd.testing.assert_frame_equal(simulation.sites, other_network(5)[0])
    pd.testing.assert_frame_equal(simulation.transitions, other_network(5)[1])
    summary = simulation.summary["parameters"]
    assert isinstance(summary, dict) and summary["network"] == 5
