"""Rows as the raw columns of the real files, dictionary-encoded, and as event keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.formats import KEY_FIELDS, RAW_COLUMNS
from barcode_pipeline.simulator.codes import PARTS, Codes
from barcode_pipeline.simulator.journeys import PRODUCTS, Journeys, expiry_days
from barcode_pipeline.simulator.rows import Rows
from barcode_pipeline.simulator.scene import UNKNOWN_PLACES
from barcode_pipeline.simulator.sites import Sites
from barcode_pipeline.simulator.steps import wordings
from barcode_pipeline.simulator.world import World

_UNKNOWN_ID = 9001


@dataclass
class RawColumns:
    """All rows of a world as Arrow columns."""

    table: pa.Table
    """`RAW_COLUMNS`, and `event_id` where the world has them."""
    keys: pa.Table
    """`KEY_COLUMNS` as the pipeline resolves them."""
    factory: np.ndarray
    """Number of each row's factory file."""
    factory_codes: list[str]
    sent: np.ndarray
    """datetime64[s]"""

    @classmethod
    def of(cls, world: World, sites: Sites, journeys: Journeys, codes: Codes, rows: Rows) -> RawColumns:
        """Return the columns of rows."""
        start = np.datetime64(world.start, "s")
        per_code = _per_code(world, journeys, codes)
        columns = {name: _encode(values, rows.code) for name, values in per_code.items()}
        unread = pa.array(rows.unread_code)
        for name in ("epc_code", *(f"epc_{part}" for part in PARTS)):
            columns[name] = _without(columns[name], unread)
        place_ids, place_names, place_codes = _places(sites)
        ids = pa.array(place_ids.astype(str))
        for name in ("location_id", "operator_id", "device_id"):
            columns[name] = _encode(ids, rows.site)
        columns["scan_location"] = _encode(pa.array(place_names), rows.site)
        words = wordings()
        columns["business_step"] = _encode(pa.array([word.business_step for word in words]), rows.wording)
        columns["event_type"] = _encode(pa.array([word.event_type for word in words]), rows.wording)
        endings = [word.hub_type_ending for word in words]
        columns["hub_type"] = _encode(
            pa.array(["_".join(filter(None, (code, ending))) for code in place_codes for ending in endings]),
            rows.site.astype(np.int64) * len(words) + rows.wording,
        )
        columns["event_time"] = pa.array(start + rows.time, type=pa.timestamp("s"))
        factory = journeys.factory_of_lot[codes.lot][rows.code]
        columns["factory"] = _encode(pa.array(sites.factory_codes()), factory)
        event_id = pa.nulls(len(rows), pa.int64())
        if world.event_ids:
            event_id = pa.array(_ids_in_order(rows.sent))
            columns["event_id"] = event_id
        order = [*RAW_COLUMNS, *(["event_id"] if world.event_ids else [])]
        keys = dict(columns, location_id=pa.array(place_ids[rows.site]), event_id=event_id)
        return cls(
            table=pa.table({name: columns[name] for name in order}),
            keys=pa.table({item.name: keys[item.name] for item in KEY_FIELDS}).cast(pa.schema(KEY_FIELDS)),
            factory=factory,
            factory_codes=sites.factory_codes(),
            sent=start + rows.sent,
        )

    def by_factory(self) -> tuple[dict[str, pa.Table], dict[str, np.ndarray]]:
        """Return each factory's rows, and when they were sent, in the order they have."""
        raw, sent = {}, {}
        for number, code in enumerate(self.factory_codes):
            here = np.flatnonzero(self.factory == number)
            raw[code] = self.table.take(pa.array(here))
            sent[code] = self.sent[here]
        return raw, sent


def decoded(table: pa.Table) -> pa.Table:
    """Return a table without dictionaries, as files hold it."""
    return pa.table(
        {
            name: column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )


def _per_code(world: World, journeys: Journeys, codes: Codes) -> dict[str, pa.Array]:
    """Return the columns that one code has in all its rows."""
    text = codes.text()
    made_time = np.datetime64(world.start, "s") + codes.made
    product = journeys.product_of_lot[codes.lot]
    expiry = made_time.astype("datetime64[D]") + expiry_days(product)
    columns = {
        "epc_code": text,
        "product_name": pa.array([f"Article {n + 1 + PRODUCTS * world.network}" for n in range(PRODUCTS)]).take(
            pa.array(product)
        ),
        "manufacture_date": pc.strftime(pa.array(made_time), format="%Y-%m-%d %H:%M:%S"),
        "expiry_date": pc.strftime(pa.array(expiry), format="%Y%m%d"),
    }
    split = np.flatnonzero(codes.whole == "")
    for name in PARTS:
        part = pa.array(codes.parts[name][split])
        # An integer column: leading zeros are lost. What is no integer stays as it is.
        shortened = pc.if_else(
            pc.match_substring_regex(part, "^[0-9]+$"),
            pc.replace_substring_regex(part, "^0+([0-9])", r"\1"),
            part,
        )
        values = pa.nulls(len(codes), pa.string())
        mask = np.zeros(len(codes), dtype=bool)
        mask[split] = True
        columns[f"epc_{name}"] = pc.replace_with_mask(values, pa.array(mask), shortened)
    return columns


def _places(sites: Sites) -> tuple[np.ndarray, list[str | None], list[str]]:
    """Return id, name and code of every site, and of the places that no table knows (every other nameless)."""
    first = max(int(sites.location_id.max()) + 100, _UNKNOWN_ID)
    unknown = range(UNKNOWN_PLACES)
    ids = np.concatenate([sites.location_id, [first + 7 * number for number in unknown]])
    names = sites.name + [None if number % 2 else f"Unlisted Depot {number + 1}" for number in unknown]
    return ids, names, sites.code + [f"X{number + 1}" for number in unknown]


def _encode(values: pa.Array, place: np.ndarray) -> pa.DictionaryArray:
    """Return values at places as a dictionary-encoded column."""
    words = pc.dictionary_encode(values)
    index = words.indices.take(pa.array(place.astype(np.int32)))
    return pa.DictionaryArray.from_arrays(index, words.dictionary)


def _without(column: pa.DictionaryArray, absent: pa.Array) -> pa.DictionaryArray:
    """Return a column with some values missing."""
    index = pc.if_else(absent, pa.scalar(None, column.indices.type), column.indices)
    return pa.DictionaryArray.from_arrays(index, column.dictionary)


def _ids_in_order(sent: np.ndarray) -> np.ndarray:
    """Return the event ids 1, 2, … in order of sending."""
    ids = np.empty(len(sent), dtype=np.int64)
    ids[np.argsort(sent, kind="stable")] = np.arange(1, len(sent) + 1)
    return ids
