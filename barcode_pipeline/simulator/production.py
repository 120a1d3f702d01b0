"""Who makes what, and when: lots, batches, their sizes, production times and how far each will get.

Where goods go and when they are scanned belongs in `journeys`. A stage is how far a journey gets: 0 to 4, for
2, 4, 6, 8 and 10 events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from barcode_pipeline.simulator.world import World

DAY = 86_400
STAGES = 5
DWELL_DAYS = np.array([27.0, 16.0, 32.0, 8.0, 31.0])
"""Mean stay at warehouse, hub, wholesaler and retailer, and from shelf to sale."""
DWELL_SHAPE = 5.0
"""Of the gamma distribution of stays: days to weeks."""

_EPC_SHARE = np.array([100.0, 50.0, 30.0, 20.0])  # thousands of EPCs per factory: icn, hws, ygs, kum
_ROWS_PER_EPC = np.array([4.372, 4.416, 4.407, 6.49])
_LEFT_WAREHOUSE = np.array([0.608, 0.678, 0.523, 0.980])  # share of a factory's EPCs
_LATER_STAGES = np.array([69.3, 49.4, 11.3]) / 130.0  # of what follows the hub: wholesaler, retailer, sale
_LOT_DAYS = 6.0  # how long a full lot's batches take to make
_FULL_LOT = 20  # batches
_DAYS_PER_STAGE = 1.5  # no batch gets farther than its age allows at this pace


@dataclass(frozen=True)
class Production:
    """Lots and batches. Batches of a lot lie together, and so do lots of a factory."""

    factory_of_lot: np.ndarray
    lot_of_batch: np.ndarray
    size: np.ndarray
    """EPCs of each batch."""
    made: np.ndarray
    """When each batch was made, int64 seconds since the world's start, in whole minutes."""
    length: np.ndarray
    """Events of each EPC of the batch: 2, 4, 6, 8 or 10."""


def produce(random: np.random.Generator, world: World, factories: int) -> Production:
    """Return the lots and batches of a world.

    Events and EPCs per factory come out as their shares say, to the event where batches allow it.
    """
    share = _EPC_SHARE[:factories]
    epcs = apportion(max(round(world.events / world.events_per_epc), factories), share, least=1)
    rows = 2 * apportion(world.events // 2, epcs * _ROWS_PER_EPC[:factories])
    stages = np.stack([_stage_shares(number, rows[number] / epcs[number]) for number in range(factories)])
    calendar = _calendar(world, epcs @ stages / epcs.sum())
    lots = np.minimum(apportion(max(world.lots, factories), share, least=1), epcs)
    factory_of_lot = np.repeat(np.arange(factories), lots)
    of_lot = np.concatenate([apportion(int(n), np.ones(k)) for n, k in zip(epcs, lots, strict=True)])
    batches = np.maximum(np.rint(of_lot / world.batch_size).astype(np.int64), 1)
    lot_of_batch = np.repeat(np.arange(len(of_lot)), batches)
    size = np.concatenate([apportion(int(n), np.ones(k)) for n, k in zip(of_lot, batches, strict=True)])
    made = _production_times(random, world, factory_of_lot, lot_of_batch, stages @ calendar)
    length = np.full(len(size), 2, dtype=np.int8)
    for number in range(factories):
        here = factory_of_lot[lot_of_batch] == number
        length[here] = _lengths(random, world, made[here], stages[number], calendar)
        size[here] = _tuned(size[here], length[here], int(rows[number]))
    return Production(factory_of_lot, lot_of_batch, size, made, length)


def apportion(total: int, weights: np.ndarray, least: int = 0) -> np.ndarray:
    """Return whole numbers that sum to `total`, in proportion to `weights`, each at least `least`."""
    exact = total * weights / weights.sum()
    parts = np.floor(exact).astype(np.int64)
    rest = total - int(parts.sum())
    parts[np.argsort(parts - exact, kind="stable")[:rest]] += 1
    if parts.min() < least:
        return apportion(total - least * len(weights), weights) + least
    return parts


def rank_within(group: np.ndarray) -> np.ndarray:
    """Return each element's rank in its group; groups lie together."""
    first = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(first, np.diff(np.append(first, len(group))))


def time_scale(world: World) -> float:
    """Return how much shorter than usual stays are in a world of few days."""
    return min(world.duration_seconds() / (168 * DAY), 1.0)


def _stage_shares(factory: int, rows_per_epc: float) -> np.ndarray:
    """Return the share of a factory's EPCs that get to each stage and no farther."""
    left = _LEFT_WAREHOUSE[factory] if rows_per_epc / 2 - 1 >= _LEFT_WAREHOUSE[factory] else rows_per_epc / 2 - 1
    later = np.clip((rows_per_epc / 2 - 1 - left) * _LATER_STAGES, 0, 1)
    reached = np.minimum.accumulate(np.clip(np.concatenate([[1.0, left], later]), 0, 1))
    return reached - np.append(reached[1:], 0)


def _calendar(world: World, share: np.ndarray) -> np.ndarray:
    """Return (stages, days): the share of each stage's EPCs that is made on each day.

    Goods need time to get as far as they do, so those that are sold are made early. Goods that never leave
    the warehouse fill the days on which little else is scanned (the first, when stock is built up, and the
    last), so that scans per day are nearly even.
    """
    days = max(int(world.duration_seconds() // DAY), 1)
    stay = DWELL_DAYS * time_scale(world)
    reached = np.concatenate([[0], np.cumsum(stay)])
    strays = np.sqrt(np.concatenate([[0], np.cumsum(stay**2)]) / DWELL_SHAPE)
    made, scans = np.zeros((STAGES, days)), np.zeros(days)
    for stage in range(1, STAGES):
        # The stay on the shelf ends with the sale, in the same stage.
        last = stage if stage < STAGES - 1 else stage + 1
        made[stage] = np.clip(days - reached[last] - np.arange(days), 0, 1)
        made[stage] /= max(made[stage].sum(), 1)
        for number in range(last + 1):
            weight = 2 if number < STAGES - 1 else 1
            scans += weight * share[stage] * _later(made[stage], reached[number], strays[number])
    made[0] = _fill(scans, 2 * share[0])
    made[0] /= max(made[0].sum(), 1e-12)
    return made


def _later(daily: np.ndarray, lag: float, deviation: float) -> np.ndarray:
    """Return what happens daily, a lag later with a deviation (days), within the same days."""
    day = np.arange(len(daily))
    kernel = np.exp(-0.5 * ((day - lag) / max(deviation, 0.5)) ** 2)
    return np.convolve(daily, kernel / max(kernel.sum(), 1e-12))[: len(daily)]


def _fill(levels: np.ndarray, total: float) -> np.ndarray:
    """Return what `total` adds to each day when the emptiest days are filled up to one level."""
    lowest = np.sort(levels)
    level = ((np.cumsum(lowest) + total) / np.arange(1, len(levels) + 1)).min()
    return np.maximum(level - levels, 0)


def _production_times(
    random: np.random.Generator,
    world: World,
    factory_of_lot: np.ndarray,
    lot_of_batch: np.ndarray,
    made_per_day: np.ndarray,
) -> np.ndarray:
    """Return when each batch was made. `made_per_day`: (factories, days).

    A factory's lots follow each other as its calendar says; the batches of a lot are made in a row.
    """
    lots = len(factory_of_lot)
    quantile = (rank_within(factory_of_lot) + random.random(lots)) / np.bincount(factory_of_lot)[factory_of_lot]
    place = np.empty(lots)
    for number, daily in enumerate(made_per_day):
        here = factory_of_lot == number
        grid = np.concatenate([[0], np.cumsum(daily)]) / daily.sum()
        place[here] = np.interp(quantile[here], grid, np.linspace(0, 1, len(grid)))
    last = world.duration_seconds() - 2 * 3600
    batches = np.bincount(lot_of_batch)[lot_of_batch]
    within = rank_within(lot_of_batch) + random.uniform(0, 0.9, len(lot_of_batch))
    lot_seconds = np.minimum(_LOT_DAYS * DAY * np.minimum(batches / _FULL_LOT, 1), last * 0.1)
    begin = np.maximum(place[lot_of_batch] * last - lot_seconds / 2, 0)
    return np.rint(np.minimum(begin + within / batches * lot_seconds, last) / 60).astype(np.int64) * 60


def _lengths(
    random: np.random.Generator, world: World, made: np.ndarray, share: np.ndarray, calendar: np.ndarray
) -> np.ndarray:
    """Return how many events the EPCs of one factory's batches have, in the shares of its stages.

    Which batch gets how far is drawn by what the calendar says of its day.
    """
    odds = share[:, None] * calendar[:, np.minimum(made // DAY, calendar.shape[1] - 1)]
    quota = np.rint(np.append(np.cumsum(share[::-1])[::-1], 0) * len(made)).astype(np.int64)
    length = np.full(len(made), 2, dtype=np.int8)
    left = np.ones(len(made), dtype=bool)
    for stage in range(STAGES - 1, 0, -1):
        weight = odds[stage] / np.maximum(odds[: stage + 1].sum(axis=0), 1e-12)
        # Sampling without replacement by weight (Efraimidis & Spirakis 2006); where weights are 0, by age.
        key = np.where(weight > 0, np.log(random.random(len(made))) / np.maximum(weight, 1e-12), -1e15 - made)
        key[~left] = -np.inf
        chosen = np.argsort(-key, kind="stable")[: quota[stage] - quota[stage + 1]]
        length[chosen] = 2 * (stage + 1)
        left[chosen] = False
    possible = 2 + 2 * ((world.duration_seconds() - made) // int(_DAYS_PER_STAGE * DAY))
    return np.minimum(length, possible).astype(np.int8)


def _tuned(size: np.ndarray, length: np.ndarray, rows: int) -> np.ndarray:
    """Return sizes with the same sum for which the batches have so many rows in all.

    The few batches of a small world cannot hit the shares of the stages: longer journeys get more EPCs, or
    fewer. Then single EPCs change batch until the number of rows is right.
    """
    away = length - np.average(length, weights=size)
    spread = float((size * away**2).sum())
    tilt = (rows - float(size @ length.astype(float))) / spread if spread else 0.0
    tuned = apportion(int(size.sum()), size * np.clip(1 + tilt * away, 0.4, 1.6), least=1)
    missing = (rows - int(tuned @ length.astype(np.int64))) // 2
    for shorter in (2, 4, 6, 8):
        low, high = np.flatnonzero(length == shorter), np.flatnonzero(length == shorter + 2)
        if missing and len(low) and len(high):
            source, goal = (low, high) if missing > 0 else (high, low)
            moves = min(abs(missing), int((tuned[source] // 2).sum()))
            tuned[source] -= apportion(moves, tuned[source] // 2 + 1e-9)
            tuned[goal] += apportion(moves, np.ones(len(goal)))
            break
    return tuned
