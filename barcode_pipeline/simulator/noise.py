"""Benign irregularities of what happens in the world: detours, delays, wrong clocks. Not one is an anomaly.

How events are read and sent (missed reads, re-reads, late rows, duplicates) belongs in `rows`.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from barcode_pipeline.simulator.journeys import (
    CROSS_DOCKED,
    DELAYED,
    MOVES,
    OFF_PLAN_BATCH,
    REROUTED_ITEM,
    STRAGGLER,
    Journeys,
    draw_retailers,
    stream,
)
from barcode_pipeline.simulator.production import DAY
from barcode_pipeline.simulator.sites import WHOLESALER, Sites, delivery_seconds, transport_seconds
from barcode_pipeline.simulator.steps import HUB_IN, HUB_OUT, R_IN, W_IN, W_OUT, WMS_IN
from barcode_pipeline.simulator.world import World

HOUR = 3600
_LONG = np.iinfo(np.int64).max // 4
_TRUCK_HOURS = 14
"""A transport can be drawn anew where the next event, or the end, is this far from the departure."""


def gap_after(world: World, journeys: Journeys) -> np.ndarray:
    """Return (rows, 10) seconds from each event to the next of its journey, or to the world's end."""
    gaps = np.full(journeys.time.shape, -_LONG)
    gaps[:, :-1] = np.diff(journeys.time, axis=1)
    rows, last = np.arange(len(gaps)), journeys.length.astype(np.int64) - 1
    goes_on = journeys.time[journeys.onward, journeys.first[journeys.onward]]
    gaps[rows, last] = np.where(journeys.onward >= 0, goes_on, world.duration_seconds()) - journeys.time[rows, last]
    gaps[journeys.missing] = -_LONG
    further = np.flatnonzero(journeys.first > 0)
    arrival = journeys.first[further]
    gaps[further, arrival - 1] = journeys.time[further, arrival] - journeys.time[further, arrival - 1]
    return gaps


def off_plan_wholesalers(random: np.random.Generator, sites: Sites, plan: np.ndarray) -> np.ndarray:
    """Return, for each row of planned wholesalers (n, 2), another wholesaler, all equally likely."""
    wholesalers = np.flatnonzero(sites.role == WHOLESALER)
    allowed = (wholesalers[None] != plan[:, :1]) & (wholesalers[None] != plan[:, 1:])
    return wholesalers[np.argmax(random.random(allowed.shape) * allowed, axis=1)].astype(np.int16)


def can_divert(world: World, sites: Sites, journeys: Journeys) -> np.ndarray:
    """Return which EPCs have room in their times for another wholesaler's transports."""
    gaps = gap_after(world, journeys)
    possible = (journeys.length > W_IN) & ((sites.role == WHOLESALER).sum() > 2)
    possible &= gaps[:, HUB_OUT] + gaps[:, W_IN] >= _TRUCK_HOURS * HOUR
    return possible & ((journeys.length <= R_IN) | (gaps[:, W_OUT] + gaps[:, R_IN] >= _TRUCK_HOURS * HOUR))


def divert(random: np.random.Generator, sites: Sites, journeys: Journeys, epcs: np.ndarray, group: np.ndarray) -> None:
    """Send EPCs to a wholesaler off their lot's plan and on to its retailers, in place.

    `group` (0, 1, …) says which of them travel together: one wholesaler and one transport time each.
    """
    if not len(epcs):
        return
    _, first = np.unique(group, return_index=True)
    leader = epcs[first]
    wholesaler = off_plan_wholesalers(random, sites, journeys.plan_of_lot[journeys.lot[leader]])
    transport = transport_seconds(random, sites, journeys.site[leader, HUB_OUT], wholesaler)
    delivery = delivery_seconds(random, sites, wholesaler)
    journeys.site[epcs, W_IN] = journeys.site[epcs, W_OUT] = wholesaler[group]
    journeys.time[epcs, W_IN] = journeys.time[epcs, HUB_OUT] + transport[group]
    journeys.site[epcs, R_IN:] = draw_retailers(random, sites, wholesaler[group])[:, None]
    journeys.time[epcs, R_IN] = journeys.time[epcs, W_OUT] + delivery[group]


def slow_down(
    world: World,
    journeys: Journeys,
    rows: np.ndarray | None = None,
    moves: tuple[tuple[int, int], ...] = MOVES,
) -> None:
    """Let transports take longer that leave on or after the day of `slower_routes`, in place (all rows, or some).

    The next stay makes up for it, down to an hour; what comes after the world's end has not happened.
    """
    if world.slower_routes is None:
        return
    day, factor = world.slower_routes
    since = (datetime(day.year, day.month, day.day) - world.start).total_seconds()
    rows = np.arange(len(journeys.time)) if rows is None else rows
    time, missing = journeys.time[rows], journeys.missing[rows]
    for out, arrival in moves:
        slower = (time[:, out] >= since) & ~missing[:, arrival]
        more = np.where(slower, (time[:, arrival] - time[:, out]) * (factor - 1), 0).astype(np.int64) // 60 * 60
        leaves = arrival + 1
        stay = np.minimum(time[:, leaves] - time[:, arrival], HOUR)
        time[:, arrival] += more
        wait = np.where(slower & (more > 0), np.maximum(time[:, arrival] + stay - time[:, leaves], 0), 0)
        time[:, leaves:] += wait[:, None]
    journeys.time[rows] = time
    over = ~missing & (time > world.duration_seconds())
    journeys.missing[rows] = missing | over
    ends = over.any(axis=1)
    journeys.length[rows[ends]] = np.argmax(over[ends], axis=1)


def disturb(world: World, sites: Sites, journeys: Journeys) -> np.ndarray:
    """Lay benign irregularities over journeys, in place; return which EPCs were sent off their lot's plan."""
    off_plan = _off_plan(world, sites, journeys)
    _cross_dock(world, journeys)
    _leave_behind(world, journeys)
    _delay(world, journeys)
    return off_plan


def clock_skew(world: World, sites: Sites, journeys: Journeys) -> None:
    """Make each site's clock wrong by its own amount every day, in place."""
    most = world.noise.clock_skew_seconds
    if not most:
        return
    midnight = world.start.hour * 3600 + world.start.minute * 60 + world.start.second
    days = (world.duration_seconds() + midnight) // DAY + 2
    wrong = stream(world, "clock skew").integers(-most, most + 1, (len(sites.name), days))
    day = np.clip((journeys.time + midnight) // DAY, 0, days - 1)
    journeys.time += wrong[journeys.site, day]


def _off_plan(world: World, sites: Sites, journeys: Journeys) -> np.ndarray:
    """Send whole batches and single items to wholesalers off their lot's plan."""
    random = stream(world, "off plan")
    possible = can_divert(world, sites, journeys)
    off_plan = np.zeros(len(possible), dtype=bool)
    batches = len(journeys.lot_of_batch)
    whole = np.bincount(journeys.batch, weights=~possible, minlength=batches) == 0
    chosen = _some(random, np.flatnonzero(whole), world.noise.off_plan_batches)
    number = np.full(batches, -1)
    number[chosen] = np.arange(len(chosen))
    moved = np.flatnonzero(number[journeys.batch] >= 0)
    divert(random, sites, journeys, moved, number[journeys.batch[moved]])
    journeys.benign[moved, W_IN:] = OFF_PLAN_BATCH
    off_plan[moved] = True
    rest = np.flatnonzero(possible & ~off_plan)
    items = min(round(world.noise.rerouted_items * len(possible)), len(rest))
    single = random.choice(rest, size=items, replace=False)
    divert(random, sites, journeys, single, np.arange(len(single)))
    journeys.benign[single, W_IN:] = REROUTED_ITEM
    off_plan[single] = True
    return off_plan


def _cross_dock(world: World, journeys: Journeys) -> None:
    """Let some batches leave one site within about an hour; they wait at the next one instead."""
    random = stream(world, "cross-docking")
    first = np.unique(journeys.batch, return_index=True)[1]
    length = journeys.length[first]
    chosen = random.permutation(np.flatnonzero(length > HUB_IN))
    chosen = chosen[: round(world.noise.cross_docked_batches * len(length))]
    arrival = np.full(len(length), -1)
    stops = np.minimum((length[chosen] - 2) // 2, 3)  # warehouse, hub, wholesaler
    arrival[chosen] = WMS_IN + 2 * (random.random(len(chosen)) * stops).astype(np.int64)
    stay = random.integers(40, 81, len(length)) * 60
    for step in (WMS_IN, HUB_IN, W_IN):
        epcs = np.flatnonzero(arrival[journeys.batch] == step)
        out, reached = step + 1, step + 2
        transport = journeys.time[epcs, reached] - journeys.time[epcs, out]
        leaves = journeys.time[epcs, step] + stay[journeys.batch[epcs]]
        sooner = leaves < journeys.time[epcs, out]
        epcs, leaves, transport = epcs[sooner], leaves[sooner], transport[sooner]
        journeys.time[epcs, out] = leaves
        journeys.time[epcs, reached] = leaves + transport
        journeys.benign[epcs, out] = CROSS_DOCKED


def _leave_behind(world: World, journeys: Journeys) -> None:
    """Leave single EPCs behind for one transport, by hours to days; they rejoin their batch at the next one."""
    random = stream(world, "stragglers")
    epcs = random.permutation(np.flatnonzero(journeys.length > HUB_IN))
    epcs = epcs[: round(world.noise.stragglers * len(journeys.length))]
    moves = np.minimum((journeys.length[epcs] - 2) // 2, 3)
    out = 2 + 2 * (random.random(len(epcs)) * moves).astype(np.int64)
    room = gap_after(world, journeys)[epcs, out + 1]
    late = np.clip(random.lognormal(np.log(10 * HOUR), 1.2, len(epcs)), HOUR, 6 * DAY)
    late = np.clip(np.minimum(late, 0.7 * room), 0, None).astype(np.int64) // 60 * 60
    journeys.time[epcs, out] += late
    journeys.time[epcs, out + 1] += late
    for step in (out, out + 1):
        journeys.benign[epcs, step] = STRAGGLER


def _delay(world: World, journeys: Journeys) -> None:
    """Give transports their tail: single EPCs and whole pallets that arrive hours late."""
    random = stream(world, "delays")
    pallets = int(journeys.pallet.max()) + 1
    for _, arrival in MOVES:
        epcs = np.flatnonzero(random.random(len(journeys.length)) < world.noise.delayed_items)
        _arrive_late(world, journeys, epcs, arrival, random.lognormal(np.log(6 * HOUR), 0.5, len(epcs)))
        late = np.where(
            random.random(pallets) < world.noise.delayed_pallets,
            random.lognormal(np.log(6 * HOUR), 0.5, pallets),
            0,
        )[journeys.pallet]
        epcs = np.flatnonzero(late > 0)
        _arrive_late(world, journeys, epcs, arrival, late[epcs])


def _arrive_late(world: World, journeys: Journeys, epcs: np.ndarray, arrival: int, late: np.ndarray) -> None:
    room = gap_after(world, journeys)[epcs, arrival]
    late = np.clip(np.minimum(late, 0.7 * room), 0, None).astype(np.int64) // 60 * 60
    journeys.time[epcs, arrival] += late
    journeys.benign[epcs[late > 0], arrival] = DELAYED


def _some(random: np.random.Generator, candidates: np.ndarray, share: float) -> np.ndarray:
    """Return a share of the candidates, at random."""
    return random.permutation(candidates)[: round(share * len(candidates))]
