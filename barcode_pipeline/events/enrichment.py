"""Enrichment: where an event was, which level it is, and what lies between it and the event before."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.formats import EVENT_SCHEMA
from barcode_pipeline.events.journeys import Events, follow
from barcode_pipeline.events.places import NO_LOCATION_ID, Reference, distance_km, route_between
from barcode_pipeline.events.steps import DIRECTION_NAMES, LEVEL_NAMES
from barcode_pipeline.events.text import dictionary_array, dictionary_codes

_WORDS = pa.dictionary(pa.int32(), pa.string())

ENRICHED_SCHEMA = pa.schema(
    [
        *EVENT_SCHEMA,
        pa.field("site_name", _WORDS),
        pa.field("level", _WORDS),
        pa.field("direction", _WORDS),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("previous_location", _WORDS),
        pa.field("hours_since_previous", pa.float64()),
        pa.field("distance_km", pa.float64()),
        pa.field("transition_hours_mean", pa.float64()),
        pa.field("transition_hours_std", pa.float64()),
        pa.field("transition_hours_min", pa.float64()),
        pa.field("transition_hours_max", pa.float64()),
        pa.field("transition_count", pa.float64()),
    ]
)
"""`enriched_events`: `location_id` as resolved (an unknown place keeps the id it was given), `site_name` the
table's name of a known place. What lies between an event and the one before in its journey is null for a first
event or an unknown route."""


def enrich(table: pa.Table, events: Events, reference: Reference) -> pa.Table:
    """Add coordinates, level, direction and transition statistics to merged events. (N rows) -> (N rows).

    table: has the columns of the key and `location_text`; what else of `EVENT_SCHEMA` it has is passed on.
    """
    sites, routes = reference.sites, reference.routes
    previous = follow(events).previous_rows()
    site = events.places.site[events.place]
    hours, distance, route = look_back(
        previous, events.time, site, sites.latitude, sites.longitude, routes.start, routes.destination
    )
    location_id = events.places.location_id[events.place]
    columns = {name: table.column(name) for name in EVENT_SCHEMA.names if name in table.column_names}
    columns |= {
        "location_id": pa.array(location_id, mask=location_id == NO_LOCATION_ID),
        "site_name": _named(site, sites.name),
        "level": _named(events.level, LEVEL_NAMES),
        "direction": _named(events.direction, DIRECTION_NAMES),
        "latitude": _of_site(sites.latitude, site),
        "longitude": _of_site(sites.longitude, site),
        "previous_location": _names_of_previous(previous, events, table.column("location_text")),
        "hours_since_previous": _number(hours),
        "distance_km": _number(distance),
        "transition_hours_mean": _of_site(routes.mean, route),
        "transition_hours_std": _of_site(routes.std, route),
        "transition_hours_min": _of_site(routes.minimum, route),
        "transition_hours_max": _of_site(routes.maximum, route),
        "transition_count": _of_site(routes.count, route),
    }
    schema = pa.schema([field for field in ENRICHED_SCHEMA if field.name in columns])
    return pa.table([columns[name] for name in schema.names], schema=schema)


@compiled
def look_back(
    previous: np.ndarray,
    time: np.ndarray,
    site: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    route_start: np.ndarray,
    route_destination: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hours (NaN: first), km (NaN: unknown) and route (-1: none) from each event's previous one."""
    hours = np.full(len(time), np.nan)
    distance = np.full(len(time), np.nan)
    route = np.full(len(time), -1, dtype=np.int32)
    for row in range(len(time)):
        before = previous[row]
        if before >= 0:
            hours[row] = (time[row] - time[before]) / 3600.0
            distance[row] = distance_km(latitude, longitude, site[before], site[row])
            route[row] = route_between(route_start, route_destination, site[before], site[row])
    return hours, distance, route


def _number(values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _of_site(values: np.ndarray, position: np.ndarray) -> pa.Array:
    """Value of a table row each, null where there is no row (-1) or no value in it."""
    return _number(np.append(values, np.nan)[position])


def _named(codes: np.ndarray, names: tuple[str, ...]) -> pa.DictionaryArray:
    """Names of codes; a code without a name is null."""
    unknown = (codes >= len(names)) | (codes < 0)
    indices = pa.array(codes.astype(np.int32), mask=unknown if unknown.any() else None)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names))


def _names_of_previous(previous: np.ndarray, events: Events, location_text: pa.ChunkedArray) -> pa.DictionaryArray:
    """Name of the place before: the site's, else the unknown place's name or id."""
    places = events.places
    ids = pa.array(places.location_id, mask=places.location_id == NO_LOCATION_ID).cast(pa.string())
    given = dictionary_array(location_text)
    text_of_place = np.full(len(places), -1, dtype=np.int32)
    text_of_place[events.place] = dictionary_codes(given)  # an id that is no integer is the same in all rows of a place
    texts = given.dictionary.take(pa.array(text_of_place, mask=text_of_place < 0))
    words = pc.fill_null(pc.coalesce(places.name, ids, texts), "unknown").dictionary_encode()
    place = pa.array(np.where(previous >= 0, events.place[previous], 0), mask=previous < 0)
    return pa.DictionaryArray.from_arrays(words.indices.take(place), words.dictionary)
