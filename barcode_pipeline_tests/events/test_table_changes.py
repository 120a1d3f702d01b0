"""Rows that a changed reference table concerns, against all that enrichment, rules and features say of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.enrichment import enrich
from barcode_pipeline.events.merging import merge, read_events
from barcode_pipeline.events.places import Reference
from barcode_pipeline.events.table_changes import rows_changed_by_tables
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.sequences.features import compute_features
from barcode_pipeline.sequences.tables import sequences_table
from barcode_pipeline_tests.rules.reference_rules import Route, Site
from barcode_pipeline_tests.rules.strategies import Case, cases, routes_between
from barcode_pipeline_tests.worlds import events_table, reference

RULES = RuleSettings()


@st.composite
def tables_changed(draw: st.DrawFn) -> tuple[Case, list[Site], list[Route]]:
    """A case, and the sites and routes of its world after one to three changes."""
    case = draw(cases())
    sites, routes = [replace(site) for site in case.world.sites], list(case.world.routes)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(sites) - 1))
        kind = draw(st.sampled_from(("gone", "moved", "renamed", "another id", "new", "route", "routes")))
        given_ids = {row.location_id for row in case.rows if isinstance(row.location_id, int)}
        free = sorted({*given_ids, 999} - {site.location_id for site in sites})
        if kind == "gone" and len(sites) > 1:
            sites.pop(place)
        elif kind == "moved":
            sites[place] = replace(sites[place], latitude=36.0, longitude=127.0)
        elif kind == "renamed":
            sites[place] = replace(sites[place], name=f"{sites[place].name} too")
        elif kind == "another id" and free:
            sites[place] = replace(sites[place], location_id=draw(st.sampled_from(free)))
        elif kind == "new" and free:
            names = {row.scan_location for row in case.rows if row.scan_location} - {site.name for site in sites}
            name = draw(st.sampled_from(sorted({name.strip() for name in names if name.strip()} | {"a new one"})))
            if name not in {site.name for site in sites} and name.lower() not in ("null", "nan"):
                sites.append(Site(draw(st.sampled_from(free)), name, 36.5, 127.5))
        elif kind == "route" and routes:
            routes[0] = replace(routes[0], std=routes[0].std + 1, minimum=0.1)
        elif kind == "routes":
            routes = draw(routes_between(sites)) if len(sites) > 1 else []
    return case, sites, routes


def said(table: pa.Table, tables: Reference) -> tuple[list[Any], list[Any]]:
    """What is said of each row: (by its journey, by its lot)."""
    events = read_events(table, tables.sites)
    scored = score_events(events, tables, RULES)
    # A place is told by what it was given and the table's name, not by its number in one reading.
    enriched = enrich(table, events, tables).to_pylist()
    journey = list(zip(map(repr, enriched), scored.scores.tolist(), strict=True))
    features = sequences_table(compute_features(events, tables, RULES.companies, RULES.v_max))
    return journey, [repr(row) for row in features.to_pylist()]


@settings(deadline=None, max_examples=80)
@given(tables_changed())
def test_all_that_is_said_otherwise_follows_from_a_row_that_is_named(
    change: tuple[Case, list[Site], list[Route]],
) -> None:
    case, sites, routes = change
    table, _ = events_table(case.rows)
    old, new = reference(case.world.sites, case.world.routes), reference(sites, routes)
    found = rows_changed_by_tables(table, old, new)
    assert (found.said >= found.place).all()
    epc = table.column("epc_code").to_pylist()
    lot = [None if code is None else lot_names(pa.array([code]))[0].as_py() for code in epc]
    time = table.column("event_time").to_pylist()
    named = np.flatnonzero(found.said).tolist()

    def follows(row: int, of: list[str | None]) -> bool:
        return row in named or any(
            of[row] is not None and of[one] == of[row] and time[one] <= time[row] for one in named
        )

    before, after = said(table, old), said(table, new)
    for row in range(len(table)):
        if before[0][row] != after[0][row]:
            assert follows(row, epc)
        if before[1][row] != after[1][row]:
            assert follows(row, lot)
    if not found.place.any():
        merged = [merge(table, read_events(table, tables.sites)) for tables in (old, new)]
        assert np.array_equal(merged[0].rows, merged[1].rows)


SITES = [Site(1, "Plant", 37.4, 126.6), Site(2, "Hub", 36.0, 127.0), Site(3, "Shop", 35.0, 128.0)]
ROUTES = [Route("Plant", "Hub", 5.0, 2.0, 1.0), Route("Hub", "Shop", 4.0, 1.0, 1.0)]
GIVEN = [(1, None), (2, "Hub"), (3, None), (None, "Shop"), (4, None), (4, "Shop"), (None, "Kiosk"), (None, None)]


def named(sites: list[Site], routes: list[Route]) -> tuple[list[int], list[int]]:
    """The rows that another table concerns: (their place, anything)."""
    count = len(GIVEN)
    table = pa.table(
        {
            "location_id": pa.array([number for number, _ in GIVEN], pa.int64()),
            "location_text": pa.array([None] * count, pa.string()).dictionary_encode(),
            "scan_location": pa.array([name for _, name in GIVEN]).dictionary_encode(),
        }
    )
    found = rows_changed_by_tables(table, reference(SITES, ROUTES), reference(sites, routes))
    return np.flatnonzero(found.place).tolist(), np.flatnonzero(found.said).tolist()


def test_nothing_has_changed() -> None:
    assert named(SITES, ROUTES) == ([], [])
    assert named(SITES[::-1], ROUTES[::-1]) == ([], [])


def test_a_new_site_is_known_by_its_id_and_by_its_name() -> None:
    # The fourth id was another word for the shop as long as nobody knew it.
    assert named([*SITES, Site(4, "Kiosk", 35.0, 128.0)], ROUTES) == ([4, 5, 6], [4, 5, 6])


def test_other_coordinates_are_no_other_place() -> None:
    assert named([*SITES[:2], Site(3, "Shop", 35.0, 128.1)], ROUTES) == ([], [2, 3, 5])
    assert named([*SITES[:2], Site(3, "Shop", None, None)], ROUTES) == ([], [2, 3, 5])


def test_a_route_concerns_its_destination() -> None:
    assert named(SITES, [ROUTES[0], replace(ROUTES[1], std=1.5)]) == ([], [2, 3, 5])
    assert named(SITES, ROUTES[1:]) == ([], [1])


def test_a_route_of_a_new_site_concerns_nobody_who_was_not_there() -> None:
    kiosk = Site(4, "Kiosk", 35.0, 128.0)
    routes = [*ROUTES, Route("Kiosk", "Hub", 4.0, 1.0, 1.0), Route("Shop", "Kiosk", 4.0, 1.0, 1.0)]
    assert named([*SITES, kiosk], routes) == ([4, 5, 6], [4, 5, 6])
