"""Clean journeys: pallets, and every EPC's sites and times, before noise and anomalies.

All facts of the real data are met here. Times are int64 seconds since the world's start. An EPC's journey is
a row of ten cells, one per step; it ends early, after an even number of steps. Whoever travels on after that
(`long_journeys`) has further rows, each from a lower or the same level downwards again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from barcode_pipeline.simulator.production import (
    DAY,
    DWELL_DAYS,
    DWELL_SHAPE,
    apportion,
    produce,
    rank_within,
    time_scale,
)
from barcode_pipeline.simulator.sites import WHOLESALER, Sites, delivery_seconds, transport_seconds
from barcode_pipeline.simulator.steps import (
    AGGREGATION,
    HUB_IN,
    POS,
    R_IN,
    R_OUT,
    STEPS,
    W_IN,
    W_OUT,
    WMS_IN,
    WMS_OUT,
)
from barcode_pipeline.simulator.world import World

COMPANIES = ("8804823", "8805843", "8809437")
"""Registered companies."""
PRODUCTS = 15
MOVES = ((WMS_OUT, HUB_IN), (HUB_IN + 1, W_IN), (W_OUT, R_IN))
"""The three transports: (out, in)."""

BENIGN_KINDS = (
    "off_plan_batch",
    "rerouted_item",
    "cross_docked",
    "straggler",
    "delayed",
    "further_journey",
    "reread",
    "after_missed_read",
)
"""Benign irregularities that an event may bear, numbered from 1; the later in time of two stands."""
OFF_PLAN_BATCH, REROUTED_ITEM, CROSS_DOCKED, STRAGGLER, DELAYED, FURTHER, REREAD, AFTER_MISSED = range(1, 9)

_COMPANY_OF_FACTORY = (0, 1, 2, 0)
_SHORTEST_STAY_DAYS = 0.8
_SPARE_SERIALS = 400  # left unused between lots
_SHELF_LIFE_DAYS = (180, 365, 270)  # per product, in turn


@dataclass
class Journeys:
    """Every EPC's journey, and the shipments it travelled in. Arrays over rows unless said otherwise.

    Row i is EPC i's journey; further rows of EPCs come after all of those.
    """

    time: np.ndarray
    """(rows, 10) int64 seconds since the start; meaningless where `missing`, but for the cell before a further
    row's first step: that is the departure which leads there (time, and site)."""
    site: np.ndarray
    """(rows, 10) int16."""
    length: np.ndarray
    """Last step of each row, plus one."""
    batch: np.ndarray
    pallet: np.ndarray
    serial: np.ndarray
    lot_of_batch: np.ndarray
    factory_of_lot: np.ndarray
    product_of_lot: np.ndarray
    code_of_lot: np.ndarray
    """(lots,) six-digit numbers."""
    plan_of_lot: np.ndarray
    """(lots, 2): the wholesalers a lot is meant for (the same twice where its hub serves one)."""
    missing: np.ndarray = field(init=False)
    """(rows, 10) bool: no such event (beyond the journey's end, or skipped)."""
    benign: np.ndarray = field(init=False)
    """(rows, 10) int8: the benign irregularity that an event bears (`BENIGN_KINDS`), 0 for none."""
    epc: np.ndarray = field(init=False)
    """EPC of each row."""
    first: np.ndarray = field(init=False)
    """First step of each row: 0, unless the row is a further one."""
    onward: np.ndarray = field(init=False)
    """Row in which each one's EPC travels on, -1 where it does not."""

    def __post_init__(self) -> None:
        """Mark the steps beyond each journey's end as missing."""
        rows = len(self.length)
        self.missing = np.arange(STEPS) >= self.length[:, None]
        self.benign = np.zeros(self.time.shape, dtype=np.int8)
        self.epc, self.first, self.onward = np.arange(rows), np.zeros(rows, dtype=np.int64), np.full(rows, -1)

    @property
    def epcs(self) -> int:
        """Number of EPCs."""
        return int((self.first == 0).sum())

    @property
    def lot(self) -> np.ndarray:
        """Lot of each row."""
        return self.lot_of_batch[self.batch]

    @property
    def made(self) -> np.ndarray:
        """When each row's EPC was made, seconds since the start: as its aggregation was recorded."""
        return self.time[:, AGGREGATION]


def stream(world: World, name: str) -> np.random.Generator:
    """Return the random numbers of one named part: changing one part's rate leaves the others as they were."""
    return np.random.default_rng([world.seed, crc32(name.encode())])


def clean_journeys(world: World, sites: Sites) -> Journeys:
    """Return the journeys of a world without noise and anomalies."""
    random = stream(world, "journeys")
    made = produce(random, world, len(sites.factory))
    factory_of_lot, lot_of_batch, size = made.factory_of_lot, made.lot_of_batch, made.size
    factory, length = factory_of_lot[lot_of_batch], made.length
    hub, plan = _plans(random, sites, factory_of_lot)
    wholesaler = _choose_wholesalers(random, sites, plan[lot_of_batch], length)
    places = _batch_sites(sites, factory, hub[lot_of_batch], wholesaler)
    times = _batch_times(random, world, sites, places, length, made.made)
    batch = np.repeat(np.arange(len(size)), size)
    pallet_of_epc, pallets = _pallets(random, world, size)
    time = times[batch] + _pallet_seconds(random, pallets)[pallet_of_epc]
    site = places[batch]
    site[:, R_IN:] = draw_retailers(random, sites, wholesaler[batch])[:, None]
    epc_length = length[batch]
    _stretch_to_range(world, time, batch, epc_length)
    return Journeys(
        time=time,
        site=site,
        length=epc_length,
        batch=batch,
        pallet=pallet_of_epc,
        serial=_serials(factory_of_lot, lot_of_batch[batch]),
        lot_of_batch=lot_of_batch,
        factory_of_lot=factory_of_lot,
        product_of_lot=_products(random, factory_of_lot),
        code_of_lot=_first_lot(world) + (factory_of_lot + 3) * 10_000 + 11 * rank_within(factory_of_lot) + 7,
        plan_of_lot=plan,
    )


def draw_retailers(random: np.random.Generator, sites: Sites, wholesaler: np.ndarray) -> np.ndarray:
    """Return, for each item at a wholesaler, one of the retailers it serves, all equally likely."""
    draw = random.random(len(wholesaler))
    result = np.zeros(len(wholesaler), dtype=np.int16)
    for site in np.flatnonzero(sites.role == WHOLESALER):
        here = wholesaler == site
        served = sites.retailers[site]
        result[here] = served[(draw[here] * len(served)).astype(np.int64)]
    return result


def product_codes(world: World) -> list[str]:
    """Return the code of each product: every network has products of its own."""
    return [f"{1040017 + 104729 * number + 7919 * _turn(world, 12):07d}" for number in range(PRODUCTS)]


def _first_lot(world: World) -> int:
    """Return what the numbers of a network's lots are above those of network 0."""
    return 100_000 * _turn(world, 8)


def _turn(world: World, turns: int) -> int:
    """Return 0 for network 0, and 1 to `turns` in turn for the others."""
    return (world.network - 1) % turns + 1 if world.network else 0


def expiry_days(product: np.ndarray) -> np.ndarray:
    """Return the shelf life of each product in days."""
    return np.array(_SHELF_LIFE_DAYS)[product % len(_SHELF_LIFE_DAYS)]


def _plans(random: np.random.Generator, sites: Sites, factory_of_lot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each lot's hub, and the one or two wholesalers it is meant for, the first of which ships onwards."""
    hub = np.zeros(len(factory_of_lot), dtype=np.int16)
    plan = np.zeros((len(factory_of_lot), 2), dtype=np.int16)
    for code in np.unique(factory_of_lot):
        here = factory_of_lot == code
        hubs, weight = sites.destinations(int(sites.warehouse[code]))
        hub[here] = random.permutation(np.repeat(hubs, apportion(int(here.sum()), weight)))
    for site in np.unique(hub):
        here = np.flatnonzero(hub == site)
        served, weight = sites.destinations(int(site))
        shipping = np.isin(served, sites.origin)
        first_weight = np.where(shipping, weight, 0) if shipping.any() else weight
        plan[here, 0] = random.permutation(np.repeat(served, apportion(len(here), first_weight)))
        least = 1 if len(here) >= len(served) else 0
        plan[here, 1] = random.permutation(np.repeat(served, apportion(len(here), weight, least)))
    return hub, plan


def _choose_wholesalers(random: np.random.Generator, sites: Sites, plan: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return each batch's wholesaler; what ends its journey there is mostly at one that does not ship."""
    second_ships = np.isin(plan[:, 1], sites.origin)
    share = np.where(second_ships, 0.35, np.where(length == W_OUT, 0.8, 0.0))
    chosen = np.where(random.random(len(plan)) < share, plan[:, 1], plan[:, 0])
    return chosen


def _batch_sites(sites: Sites, factory: np.ndarray, hub: np.ndarray, wholesaler: np.ndarray) -> np.ndarray:
    """Return (batches, 10) sites; the retailers are each EPC's own and filled in later."""
    places = np.zeros((len(factory), STEPS), dtype=np.int16)
    places[:, AGGREGATION] = sites.factory[factory]
    places[:, WMS_IN : WMS_OUT + 1] = sites.warehouse[factory][:, None]
    places[:, HUB_IN : HUB_IN + 2] = hub[:, None]
    places[:, W_IN : W_OUT + 1] = wholesaler[:, None]
    return places


def _batch_times(
    random: np.random.Generator,
    world: World,
    sites: Sites,
    places: np.ndarray,
    length: np.ndarray,
    made: np.ndarray,
) -> np.ndarray:
    """Return (batches, 10) seconds; dwell times are shortened where the range would be left otherwise."""
    batches = len(length)
    step = np.zeros((batches, STEPS), dtype=np.int64)
    step[:, WMS_IN] = random.integers(20, 41, batches) * 60
    for out, arrival in MOVES[:2]:
        step[:, arrival] = transport_seconds(random, sites, places[:, out], places[:, arrival])
    step[:, R_IN] = delivery_seconds(random, sites, places[:, W_OUT])
    dwell_steps = [WMS_OUT, HUB_IN + 1, W_OUT, R_OUT, POS]
    dwell = random.gamma(DWELL_SHAPE, 1 / DWELL_SHAPE, (batches, 5)) * DWELL_DAYS * time_scale(world) * DAY
    happens = np.arange(STEPS) < length[:, None]
    dwell = np.where(happens[:, dwell_steps], np.maximum(dwell, _SHORTEST_STAY_DAYS * DAY), 0)
    available = world.duration_seconds() - 120 - made - (step * happens).sum(axis=1)
    available = available * random.uniform(0.8, 1.0, batches)
    shorten = np.minimum(available / np.maximum(dwell.sum(axis=1), 1), 1)
    step[:, dwell_steps] = np.rint(dwell * np.maximum(shorten, 0)[:, None] / 60).astype(np.int64) * 60
    return made[:, None] + np.cumsum(step, axis=1)


def _pallets(random: np.random.Generator, world: World, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each EPC's pallet, and per pallet its number within the batch and the batch's pallets."""
    count = np.maximum(np.rint(size / world.pallet_size + random.uniform(-0.45, 0.55, len(size))), 1)
    count = np.minimum(count.astype(np.int64), size)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    number = within * np.repeat(count, size) // np.repeat(size, size)
    first = np.cumsum(count) - count
    numbers = np.arange(count.sum()) - np.repeat(first, count)
    return np.repeat(first, size) + number, np.stack([numbers, np.repeat(count, count)], axis=1)


def _pallet_seconds(random: np.random.Generator, pallets: np.ndarray) -> np.ndarray:
    """Return (pallets, 10) seconds after the batch's time: pallets of a batch differ, within a minute."""
    room = np.maximum(60 // pallets[:, 1], 1)[:, None]
    return (pallets[:, :1] * room + random.integers(0, 1 << 30, (len(pallets), STEPS)) % room).astype(np.int64)


def _stretch_to_range(world: World, time: np.ndarray, batch: np.ndarray, length: np.ndarray) -> None:
    """Move the first event to the range's start and the last to its end, in place."""
    first = np.argmin(time[:, AGGREGATION])
    time[batch == batch[first], AGGREGATION:WMS_OUT] -= time[first, AGGREGATION]
    ends = np.take_along_axis(time, length[:, None].astype(np.int64) - 1, axis=1)[:, 0]
    last = np.argmax(ends)
    steps = slice(POS, STEPS) if length[last] == STEPS else slice(int(length[last]) - 2, int(length[last]))
    time[batch == batch[last], steps] += world.duration_seconds() - ends[last]


def _serials(factory_of_lot: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """Return each EPC's serial number: a factory counts on, leaving some unused after each lot."""
    factory = factory_of_lot[lot]
    return rank_within(factory) + 1 + _SPARE_SERIALS * rank_within(factory_of_lot)[lot]


def _products(random: np.random.Generator, factory_of_lot: np.ndarray) -> np.ndarray:
    """Return each lot's product: every company has five, and its lots take them in turn."""
    company = np.array(_COMPANY_OF_FACTORY)[factory_of_lot]
    turn = np.zeros(len(company), dtype=np.int64)
    for code in np.unique(company):
        here = company == code
        turn[here] = random.permutation(int(here.sum())) % 5
    return company * 5 + turn


def companies_of_factories(factory: np.ndarray) -> np.ndarray:
    """Return the index in `COMPANIES` of each factory's company."""
    return np.array(_COMPANY_OF_FACTORY)[factory]
