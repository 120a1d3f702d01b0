"""Journeys that go on: returns, re-shipments and repeated moves, legitimate in a world that has them.

Whoever waits at a hub, a wholesaler or a retailer travels on in legs: out of one site and into another. A leg to
the next level continues the row; any other begins a further row of the same EPC, from its arrival downwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from barcode_pipeline.simulator.journeys import FURTHER, Journeys, stream
from barcode_pipeline.simulator.production import DAY
from barcode_pipeline.simulator.sites import HUB, RETAILER, WAREHOUSE, WHOLESALER, Sites, transport_seconds
from barcode_pipeline.simulator.steps import HUB_IN, POS, R_IN, R_OUT, STEPS
from barcode_pipeline.simulator.world import World

MOST_EVENTS = 40
_SHORTEST_STAY = DAY // 2
_SOLD = 0.5  # share of those ending at a retailer that are sold there
_ONWARD = np.zeros((RETAILER + 1, RETAILER + 1))
"""Odds of the role a leg leads to, by the role it leaves."""
_ONWARD[WAREHOUSE, HUB] = 1
_ONWARD[HUB, [WAREHOUSE, HUB, WHOLESALER]] = 0.15, 0.3, 0.55
_ONWARD[WHOLESALER, [HUB, WHOLESALER, RETAILER]] = 0.15, 0.3, 0.55
_ONWARD[RETAILER, [WHOLESALER, RETAILER]] = 0.6, 0.4


def travel_on(world: World, sites: Sites, journeys: Journeys) -> Journeys:
    """Return the journeys with the further events of a share `long_journeys` of all EPCs; `journeys` is changed."""
    if not world.long_journeys:
        return journeys
    random = stream(world, "long journeys")
    epcs, group = _travellers(random, world, journeys)
    if not len(epcs):
        return journeys
    last = np.take_along_axis(journeys.time[epcs], journeys.length[epcs, None].astype(np.int64) - 1, axis=1)[:, 0]
    _, leader = np.unique(group, return_index=True)
    leaves = np.full(len(leader), -1)
    np.maximum.at(leaves, group, last)
    laps = _walk(random, world, sites, journeys, epcs[leader], leaves)
    return _expanded(journeys, laps, epcs, group)


def _travellers(random: np.random.Generator, world: World, journeys: Journeys) -> tuple[np.ndarray, np.ndarray]:
    """Return the EPCs that travel on, and who goes together: half of them alone, half as their pallet is at a site."""
    rows, last = np.arange(len(journeys.length)), journeys.length.astype(np.int64) - 1
    room = world.duration_seconds() - journeys.time[rows, last]
    possible = random.permutation(np.flatnonzero((last >= HUB_IN) & (last <= R_IN) & (room >= 4 * DAY)))
    wanted = min(round(world.long_journeys * len(rows)), len(possible))
    together = journeys.pallet[possible].astype(np.int64) << 16 | journeys.site[possible, last[possible]]
    _, place, size = np.unique(together, return_inverse=True, return_counts=True)
    turn = random.permutation(len(size))
    taken = np.zeros(len(size), dtype=bool)
    taken[turn] = np.cumsum(size[turn]) <= wanted / 2
    grouped = taken[place]
    alone = np.flatnonzero(~grouped)[: wanted - int(grouped.sum())]
    epcs = np.concatenate([possible[grouped], possible[alone]])
    own = len(size) + np.arange(len(alone))
    return epcs, np.unique(np.concatenate([place[grouped], own]), return_inverse=True)[1]


@dataclass
class _Laps:
    """The rows of each group: (groups, rows) and (groups, rows, 10) arrays; row 0 is the one it had."""

    time: np.ndarray
    site: np.ndarray
    first: np.ndarray
    length: np.ndarray
    """0 where a group has no such row."""


def _walk(
    random: np.random.Generator,
    world: World,
    sites: Sites,
    journeys: Journeys,
    leader: np.ndarray,
    leaves: np.ndarray,
) -> _Laps:
    """Return the rows of groups that travel on, each from where its leader is. `leaves`: when all have come."""
    groups = np.arange(len(leader))
    length = journeys.length[leader].astype(np.int64)
    # Legs and stays fit into what is left of the world; the transports are not known yet, but their longest is.
    longest = int(3600 * max(sites.hours[:, 3].max(), 9.5, sites.distance_km.max() / 70 + 0.5))
    room = world.duration_seconds() - leaves
    legs = 1 + (random.random(len(groups)) * ((MOST_EVENTS - length) // 2)).astype(np.int64)
    legs = np.minimum(legs, (0.75 * room - 2 * _SHORTEST_STAY) // (longest + _SHORTEST_STAY)).astype(np.int64)
    most = max(int(legs.max()), 0)
    spare = np.maximum(room * random.uniform(0.75, 0.97, len(groups)) - legs * longest - (legs + 2) * _SHORTEST_STAY, 0)
    weight = random.gamma(2.0, 1.0, (len(groups), most + 2)) * (np.arange(most + 2) < legs[:, None] + 2)
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    stay = _SHORTEST_STAY + (spare[:, None] * share).astype(np.int64) // 60 * 60

    laps = _Laps(
        time=np.repeat(journeys.time[leader][:, None], most + 1, axis=1),
        site=np.repeat(journeys.site[leader][:, None], most + 1, axis=1),
        first=np.zeros((len(groups), most + 1), dtype=np.int64),
        length=np.zeros((len(groups), most + 1), dtype=np.int64),
    )
    laps.length[:, 0] = length
    lap, role, now = np.zeros(len(groups), dtype=np.int64), length // 2, leaves.copy()
    here = journeys.site[leader, length - 1].astype(np.int64)
    for leg in range(most):
        g = groups[leg < legs]
        out, departs = 2 * role[g], now[g] + stay[g, leg]
        goal = np.argmax(random.random((len(g), 1)) < np.cumsum(_ONWARD[role[g]], axis=1), axis=1)
        there = _next_site(random, sites, here[g], goal)
        arrival, arrives = 2 * goal - 1, departs + transport_seconds(random, sites, here[g], there)
        laps.time[g, lap[g], out], laps.site[g, lap[g], out] = departs, here[g]
        laps.length[g, lap[g]] = out + 1
        anew = goal <= role[g]
        n, before = g[anew], lap[g[anew]]
        laps.time[n, before + 1], laps.site[n, before + 1] = laps.time[n, before], laps.site[n, before]
        laps.first[n, before + 1] = arrival[anew]
        # The departure is kept in the cell before the arrival, as `Journeys.time` says.
        laps.time[n, before + 1, arrival[anew] - 1] = departs[anew]
        laps.site[n, before + 1, arrival[anew] - 1] = here[n]
        lap[n] += 1
        laps.time[g, lap[g], arrival], laps.site[g, lap[g], arrival] = arrives, there
        laps.length[g, lap[g]] = arrival + 1
        role[g], here[g], now[g] = goal, there, arrives
    sold = (role == RETAILER) & (length + 2 * legs + 2 <= MOST_EVENTS) & (random.random(len(groups)) < _SOLD)
    g, k = groups[sold], lap[sold]
    laps.time[g, k, R_OUT] = now[g] + stay[g, legs[g]]
    laps.time[g, k, POS] = laps.time[g, k, R_OUT] + stay[g, legs[g] + 1]
    laps.site[g, k, R_OUT:] = here[g, None]
    laps.length[g, k] = STEPS
    return laps


def _next_site(random: np.random.Generator, sites: Sites, here: np.ndarray, role: np.ndarray) -> np.ndarray:
    """Return another site of a role for each, one that a known route joins with where it is, if there is any."""
    other = (sites.role[None] == role[:, None]) & (np.arange(len(sites.role)) != here[:, None])
    joined = other & ((sites.route[here] >= 0) | (sites.route[:, here].T >= 0))
    allowed = np.where(joined.any(axis=1, keepdims=True), joined, other)
    # A network with one site of the role: whatever comes again stays where it is.
    return np.where(allowed.any(axis=1), np.argmax(random.random(allowed.shape) * allowed, axis=1), here)


def _expanded(journeys: Journeys, laps: _Laps, epcs: np.ndarray, group: np.ndarray) -> Journeys:
    """Return the journeys with each group's rows given to all of its EPCs."""
    steps = np.arange(STEPS)
    more = (steps >= journeys.length[epcs, None]) & (steps < laps.length[group, 0, None])
    which, step = np.nonzero(more)
    journeys.time[epcs[which], step] = laps.time[group[which], 0, step]
    journeys.site[epcs[which], step] = laps.site[group[which], 0, step]
    journeys.length[epcs] = laps.length[group, 0]
    which, lap = np.nonzero(laps.length[group, 1:])
    lap += 1
    epc, of_group = epcs[which], group[which]
    rows = len(journeys.length)
    pallets = int(journeys.pallet.max()) + 1
    length = laps.length[of_group, lap]
    result = replace(
        journeys,
        time=np.concatenate([journeys.time, laps.time[of_group, lap]]),
        site=np.concatenate([journeys.site, laps.site[of_group, lap]]),
        length=np.concatenate([journeys.length, length.astype(journeys.length.dtype)]),
        batch=np.concatenate([journeys.batch, journeys.batch[epc]]),
        pallet=np.concatenate([journeys.pallet, pallets + of_group * laps.length.shape[1] + lap]),
        serial=np.concatenate([journeys.serial, journeys.serial[epc]]),
    )
    further = rows + np.arange(len(epc))
    result.epc[rows:], result.first[rows:] = epc, laps.first[of_group, lap]
    result.missing |= steps < result.first[:, None]
    result.onward[np.where(lap == 1, epc, further - 1)] = further
    result.benign[:rows] = journeys.benign
    result.benign[epcs[:, None], steps] = np.where(more, FURTHER, result.benign[epcs])
    result.benign[rows:] = FURTHER
    return result
