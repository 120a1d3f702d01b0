"""Which rows are said otherwise because a reference table has changed: new sites, other coordinates, other routes.

No files and no dates here; which dates hold them and what follows from them is asked by `changed_tables`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.pairs import first_rows, number_pairs
from barcode_pipeline.events.places import NO_LOCATION_ID, Places, Reference, Sites, resolve_places
from barcode_pipeline.events.text import dictionary_array


class ChangedRows(NamedTuple):
    """(N,) bool each. place: rows whose place is another site than before, or is known now, or no longer: they may be
    ordered, and told from one another, in another way. said: these, and rows where something else of their place, or
    of a route that ends there, is another."""

    place: np.ndarray
    said: np.ndarray


def rows_changed_by_tables(table: pa.Table, old: Reference, new: Reference) -> ChangedRows:
    """The rows of a table with `location_id`, `location_text` and `scan_location` that two pairs of tables differ on.

    A route concerns the events at its destination: only what comes in is compared with it. One from or to a site that
    has changed is left out: whatever travels on it has been at that site, which concerns it from then on.
    """
    given = (
        pc.fill_null(table.column("location_id"), NO_LOCATION_ID).to_numpy().astype(np.int64, copy=False),
        dictionary_array(table.column("location_text")),
        dictionary_array(table.column("scan_location")),
    )
    place_before, places_before = resolve_places(*given, old.sites)
    place_now, places_now = resolve_places(*given, new.sites)
    pair = number_pairs(place_before.astype(np.int64), place_now.astype(np.int64))
    first = first_rows(pair)
    pairs = list(zip(place_before[first].tolist(), place_now[first].tolist(), strict=True))
    was, now = _identities(places_before), _identities(places_now)
    place = np.array([was[a] != now[b] for a, b in pairs], dtype=bool)
    at_before, at_now = _coordinates(places_before, old.sites), _coordinates(places_now, new.sites)
    moved = np.array([at_before[a] != at_now[b] for a, b in pairs], dtype=bool)
    ends = _ends_of_changed_routes(old, new)
    reached = np.array([bool(now[b][0]) and now[b][2] in ends for _, b in pairs], dtype=bool)
    return ChangedRows(place[pair], (place | moved | reached)[pair])


def _identities(places: Places) -> list[tuple[bool, int, str | None]]:
    """Of each place, whether it is a site, its id and its name."""
    known = (places.site >= 0).tolist()
    return list(zip(known, places.location_id.tolist(), places.name.to_pylist(), strict=True))


def _coordinates(places: Places, sites: Sites) -> list[str]:
    """Of each place, so that missing equals missing."""
    latitude, longitude = np.append(sites.latitude, np.nan), np.append(sites.longitude, np.nan)
    return [f"{north!r} {east!r}" for north, east in zip(latitude[places.site], longitude[places.site], strict=True)]


def _ends_of_changed_routes(old: Reference, new: Reference) -> set[str]:
    """The destinations of the routes that only one of two tables has in this form, between sites that are the same."""
    before, now = _sites_as_text(old.sites), _sites_as_text(new.sites)
    same = {name for name, said in before.items() if now.get(name) == said}
    changed = _routes_as_text(old) ^ _routes_as_text(new)
    return {destination for origin, destination, _ in changed if origin in same and destination in same}


def _sites_as_text(sites: Sites) -> dict[str, str]:
    columns = (sites.location_id.tolist(), sites.latitude.tolist(), sites.longitude.tolist())
    return {name: repr(said) for name, *said in zip(sites.name, *columns, strict=True)}


def _routes_as_text(reference: Reference) -> set[tuple[str, str, str]]:
    """Origin, destination, and all that is said of the route."""
    sites, routes = reference.sites, reference.routes
    origin = np.repeat(np.arange(len(sites)), np.diff(routes.start))
    numbers = (routes.mean, routes.std, routes.minimum, routes.maximum, routes.count)
    return {
        (sites.name[start], sites.name[end], repr(said))
        for start, end, *said in zip(
            origin.tolist(), routes.destination.tolist(), *(column.tolist() for column in numbers), strict=True
        )
    }
