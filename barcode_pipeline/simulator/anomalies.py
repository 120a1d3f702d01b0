"""Anomalies, laid over noisy journeys: which EPCs, which events, what changes, and what carries truth.

One function per variant edits a `Scene`; `docs/simulator.md` holds the table of what each does. No EPC bears
two variants.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from barcode_pipeline.simulator.codes import forge, never_issued
from barcode_pipeline.simulator.journeys import MOVES, stream
from barcode_pipeline.simulator.noise import HOUR, can_divert, divert, slow_down
from barcode_pipeline.simulator.production import DAY
from barcode_pipeline.simulator.scene import UNKNOWN_PLACES, Scene
from barcode_pipeline.simulator.steps import (
    AGGREGATION,
    HUB_IN,
    HUB_OUT,
    NO_EVENT_TYPE,
    POS,
    R_IN,
    R_OUT,
    STEPS,
    UNKNOWN_STEP,
    UNKNOWN_STEPS,
    W_IN,
    W_OUT,
    WMS_IN,
)
from barcode_pipeline.simulator.unplanted import UNPLANTED
from barcode_pipeline.simulator.variants import CODE_OF_VARIANT, NEVER_PLANTED, VARIANTS, Variant

INBOUND = (WMS_IN, HUB_IN, W_IN, R_IN)
ARRIVALS = (HUB_IN, W_IN, R_IN)


def inject(scene: Scene) -> None:
    """Lay every variant over a scene, in place. Groups come first: they need pallets nobody touched."""

    def turn(variant: Variant) -> tuple[bool, bool, bool]:
        grouped = variant.name in ("diverted_group", "short_dwell")
        return variant.name in NEVER_PLANTED, not grouped, variant.name == "never_issued"

    injectors = _INJECTORS | UNPLANTED
    for variant in sorted(VARIANTS, key=turn):
        if getattr(scene.world.anomalies, variant.name) > 0:
            injectors.get(variant.name, _fake_codes)(
                scene, stream(scene.world, f"anomaly {variant.name}"), variant.name
            )


# --- epcFake -----------------------------------------------------------------------------------------


def _fake_codes(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Give EPCs a code that is malformed or impossible; all their rows carry truth."""
    possible = (scene.journeys.first == 0) & scene.ends
    mean_length = float(scene.journeys.length[possible].mean()) if possible.any() else 1.0
    chosen = scene.take(random, possible, scene.epcs_for(variant, mean_length))
    if not len(chosen):
        return
    made = (np.datetime64(scene.world.start, "s") + scene.journeys.time[chosen, AGGREGATION]).astype("datetime64[D]")
    forge(random, scene.world, scene.codes, variant, chosen, made)
    scene.truth[chosen] = CODE_OF_VARIANT[variant]


def _missing_epc(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Leave one event of an EPC without its code."""
    chosen, step = scene.take_cells(random, ~scene.journeys.missing, scene.epcs_for(variant, 1))
    scene.unread_code[chosen, step] = True
    scene.mark(variant, chosen, step)
    scene.mark_aftermath(variant, chosen, step + 1)


def _never_issued(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let counterfeit goods enter at a wholesaler or a retailer, under well-formed codes nobody issued.

    Their steps and sites are those of a genuine item, hours earlier.
    """
    journeys = scene.journeys
    possible = np.flatnonzero((journeys.length > W_IN) & (journeys.first == 0) & scene.free)
    entry = np.where((journeys.length[possible] > R_IN) & (random.random(len(possible)) < 0.5), R_IN, W_IN)
    order = random.permutation(len(possible))
    rows = np.cumsum((journeys.length[possible] - entry)[order])
    wanted = order[: np.searchsorted(rows, getattr(scene.world.anomalies, variant) * scene.events)]
    donor, entry = possible[wanted], entry[wanted]
    code = never_issued(random, journeys, scene.codes, donor)
    earlier = random.integers(1 * HOUR, 10 * HOUR, len(donor))
    copied = (np.arange(STEPS) >= entry[:, None]) & ~journeys.missing[donor]
    which, step = np.nonzero(copied)
    scene.insert(
        variant,
        code[which],
        step,
        journeys.site[donor[which], step],
        journeys.time[donor[which], step] - earlier[which],
    )


# --- epcDup ------------------------------------------------------------------------------------------


def _simultaneous(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Read an EPC at two sites of one kind in the same second."""
    possible = scene.at(*range(STEPS))
    chosen, step = scene.take_cells(random, possible, scene.epcs_for(variant, 2))
    site = scene.other_site(random, scene.journeys.site[chosen, step], step)
    scene.insert(variant, scene.journeys.epc[chosen], step, site, scene.journeys.time[chosen, step])
    scene.mark(variant, chosen, step)
    scene.mark_aftermath(variant, chosen, step + 1)


def _slow_clone(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let a cloned tag come to and leave another site of the same kind while the genuine item waits."""
    waits = scene.at(HUB_IN, W_IN, R_IN) & (scene.gap >= 4 * DAY)
    waits[:, :-1] &= ~scene.journeys.missing[:, 1:]
    chosen, step = scene.take_cells(random, waits, scene.epcs_for(variant, 2))
    site = scene.other_site(random, scene.journeys.site[chosen, step], step)
    arrived, wait = scene.journeys.time[chosen, step], scene.gap[chosen, step]
    comes = arrived + (wait * random.uniform(0.15, 0.45, len(chosen))).astype(np.int64)
    goes = arrived + (wait * random.uniform(0.55, 0.85, len(chosen))).astype(np.int64)
    scene.insert(variant, scene.journeys.epc[chosen], step, site, comes)
    scene.insert(variant, scene.journeys.epc[chosen], step + 1, site, goes)
    scene.mark_aftermath(variant, chosen, step + 1)


# --- locErr ------------------------------------------------------------------------------------------


def _backward(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Read an item at a lower level than it had reached, days later and before its next event."""
    possible = scene.at(W_IN, W_OUT, R_IN, R_OUT) & (scene.gap >= 2.5 * DAY)
    chosen, step = scene.take_cells(random, possible, scene.epcs_for(variant, 1))
    to_wholesaler = (step >= R_IN) & (random.random(len(chosen)) < 0.5)
    lower = np.where(to_wholesaler, W_IN, HUB_IN)
    share = random.uniform(0.35, 0.65, len(chosen))
    later = np.minimum(scene.gap[chosen, step], 30 * DAY) * share
    scene.insert(
        variant,
        scene.journeys.epc[chosen],
        lower,
        scene.journeys.site[chosen, lower],
        scene.journeys.time[chosen, step] + later.astype(np.int64),
    )
    scene.mark_aftermath(variant, chosen, step + 1)


def _skipped(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Take an item straight from the factory to the hub, or from the hub to the retailer, within a day."""
    skipped, arrival = (WMS_IN, HUB_IN) if variant == "skipped_warehouse" else (W_IN, R_IN)
    journeys = scene.journeys
    whole = np.all(~journeys.missing[:, skipped - 1 : arrival + 1], axis=1)
    chosen = scene.take(random, whole, scene.epcs_for(variant, 1))
    journeys.missing[chosen, skipped : skipped + 2] = True
    distance = scene.sites.distance_km[journeys.site[chosen, skipped - 1], journeys.site[chosen, arrival]]
    hours = np.maximum(random.uniform(3, 10, len(chosen)), distance / 80 + 0.5)
    journeys.time[chosen, arrival] = journeys.time[chosen, skipped - 1] + (hours * HOUR).astype(np.int64)
    scene.mark(variant, chosen, arrival)


def _unknown_location(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let one event name a place that no table knows."""
    chosen, step = scene.take_cells(random, ~scene.journeys.missing, scene.epcs_for(variant, 1))
    place = len(scene.sites.name) + random.integers(0, UNKNOWN_PLACES, len(chosen))
    scene.journeys.site[chosen, step] = place
    scene.mark(variant, chosen, step)
    scene.mark_aftermath(variant, chosen, step + 1)


def _unknown_step(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let one event name a step that nobody knows, its direction kept."""
    possible = scene.at(*range(WMS_IN, R_OUT + 1))
    chosen, step = scene.take_cells(random, possible, scene.epcs_for(variant, 1))
    outward = 1 - step % 2
    scene.wording[chosen, step] = UNKNOWN_STEP + 2 * random.integers(0, len(UNKNOWN_STEPS), len(chosen)) + outward
    scene.mark(variant, chosen, step)


def _diverted(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Divert single items, or a group of one pallet, to a wholesaler off the lot's plan and on from there."""
    possible = can_divert(scene.world, scene.sites, scene.journeys) & scene.on_plan & scene.ends
    possible &= ~scene.journeys.missing[:, HUB_OUT]
    count = scene.epcs_for(variant, 1)
    if variant == "diverted_group":
        chosen, group = scene.take_groups(random, possible, count)
    else:
        chosen = scene.take(random, possible, count)
        group = np.arange(len(chosen))
    divert(random, scene.sites, scene.journeys, chosen, group)
    slow_down(scene.world, scene.journeys, chosen, MOVES[1:])
    scene.mark(variant, chosen, W_IN)
    scene.aftermath[chosen, W_OUT:] = CODE_OF_VARIANT[variant]


# --- evtOrderErr -------------------------------------------------------------------------------------


def _inbound_again(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Read an arrival again hours later, once or twice."""
    times = 1 if variant == "inbound_twice" else 2
    possible = scene.at(*INBOUND) & (scene.gap >= 2 * DAY)
    chosen, step = scene.take_cells(random, possible, scene.epcs_for(variant, times))
    time = scene.journeys.time[chosen, step]
    for _ in range(times):
        time = time + random.integers(2 * HOUR, 18 * HOUR, len(chosen))
        scene.insert(variant, scene.journeys.epc[chosen], step, scene.journeys.site[chosen, step], time)


def _outbound_first(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Record an arrival minutes after the departure from the same place."""
    possible = scene.at(*INBOUND) & (scene.gap >= DAY)
    # The onward journey must be long enough to be no wonder when it is counted from the late arrival.
    possible[:, :-1] &= scene.gap[:, 1:] >= 4.5 * HOUR
    chosen, step = scene.take_cells(random, possible, scene.epcs_for(variant, 1))
    late = random.integers(5 * 60, 46 * 60, len(chosen))
    scene.journeys.time[chosen, step] = scene.journeys.time[chosen, step + 1] + late
    scene.mark(variant, chosen, step)
    scene.mark_aftermath(variant, chosen, step + 1)
    sold = step + 2 == POS
    scene.mark_aftermath(variant, chosen[sold], POS)


def _missing_event_type(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Leave one event without its type."""
    chosen, step = scene.take_cells(random, ~scene.journeys.missing, scene.epcs_for(variant, 1))
    scene.wording[chosen, step] = NO_EVENT_TYPE + step
    scene.mark(variant, chosen, step)


def _sent_too_late(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Date an arrival before the departure it follows, although it was sent after it."""
    if scene.sent is None:
        return
    chosen, step = scene.take_cells(random, scene.at(*ARRIVALS), scene.epcs_for(variant, 1))
    scene.sent[chosen, step] = scene.journeys.time[chosen, step]
    before = random.integers(2 * HOUR, 16 * HOUR, len(chosen))
    scene.journeys.time[chosen, step] = scene.journeys.time[chosen, step - 1] - before
    scene.mark(variant, chosen, step)


def _short_dwell(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let items leave minutes after they came, where days are normal: half of them alone, half in groups."""
    stays = scene.at(*INBOUND) & (scene.gap >= 2 * DAY)
    stays[:, :-1] &= ~scene.journeys.missing[:, 1:]
    count = scene.epcs_for(variant, 1)
    # A group shares the step, so that each step takes its own share of the groups.
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for arrival, share in zip(INBOUND, _shares(stays[:, list(INBOUND)].sum(axis=0), count // 2), strict=True):
        epcs, group = scene.take_groups(random, stays[:, arrival], int(share))
        seconds = random.integers(3 * 60, 26 * 60, int(group.max()) + 1 if len(group) else 0)
        parts.append((epcs, np.full(len(epcs), arrival), seconds[group]))
    grouped = sum(len(part[0]) for part in parts)
    epcs, steps = scene.take_cells(random, stays, count - grouped)
    parts.append((epcs, steps, random.integers(3 * 60, 26 * 60, len(epcs))))
    chosen, step, stay = (np.concatenate(column) for column in zip(*parts, strict=True))
    time = scene.journeys.time
    transport = scene.gap[chosen, step + 1]
    time[chosen, step + 1] = time[chosen, step] + stay
    onward = step + 2 < POS
    moved, place = scene.cells(chosen[onward], step[onward] + 2)
    time[moved, place] = (time[chosen, step + 1] + transport)[onward]
    scene.mark(variant, chosen, step + 1)
    scene.mark_aftermath(variant, chosen, step + 2)


def _shares(weights: np.ndarray, total: int) -> np.ndarray:
    """Return whole numbers in proportion to weights, with the sum `total` but for rounding."""
    return np.rint(total * weights / max(int(weights.sum()), 1)).astype(np.int64)


# --- jump --------------------------------------------------------------------------------------------


def _too_fast(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let an item arrive in a tenth to seven tenths of the time its route needs."""
    need, _ = _needed_hours(scene)
    chosen, step = scene.take_cells(random, need >= 0.25, scene.epcs_for(variant, 1))
    hours = need[chosen, step] * random.uniform(0.1, 0.7, len(chosen))
    scene.journeys.time[chosen, step] = scene.journeys.time[chosen, step - 1] + (hours * HOUR).astype(np.int64)
    scene.mark(variant, chosen, step)


def _route_outlier(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let an item arrive 3.2 to 9 standard deviations later than its route's mean."""
    _, route = _needed_hours(scene)
    hours = scene.sites.hours[route]
    latest = hours[..., 0] + 9.5 * hours[..., 1]
    room = np.full(route.shape, -1.0)
    room[:, 1:] = (scene.gap[:, :-1] + np.maximum(scene.gap[:, 1:], -1)) / HOUR
    possible = (route >= 0) & (hours[..., 1] > 0) & (scene.gap > 0) & (room > latest)
    chosen, step = scene.take_cells(random, possible, scene.epcs_for(variant, 1))
    own = scene.sites.hours[route[chosen, step]]
    late = own[:, 0] + own[:, 1] * random.uniform(3.2, 9, len(chosen))
    scene.journeys.time[chosen, step] = scene.journeys.time[chosen, step - 1] + (late * HOUR).astype(np.int64)
    scene.mark(variant, chosen, step)


def _ahead_of_truck(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let an item arrive hours before the truck that it left with, in a time that a truck can make."""
    _, route = _needed_hours(scene)
    hours = scene.sites.hours[route]
    soonest = np.maximum(hours[..., 2] + 0.15, hours[..., 0] - 1.85 * hours[..., 1])
    taken = np.full(route.shape, -1.0)
    taken[:, 1:] = scene.gap[:, :-1] / HOUR
    possible = (route >= 0) & (taken >= soonest + 3)
    chosen, step = scene.take_cells(random, possible, scene.epcs_for(variant, 1))
    low = soonest[chosen, step]
    now = low + random.uniform(0, 0.5, len(chosen)) * (taken[chosen, step] - low)
    scene.journeys.time[chosen, step] = scene.journeys.time[chosen, step - 1] + (now * HOUR).astype(np.int64)
    scene.mark(variant, chosen, step)


def _needed_hours(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows, 10), for arrivals: the hours that the fastest truck needs, and the known route (else -1).

    Other events need -1.
    """
    need = np.full(scene.wording.shape, -1.0)
    route = np.full(scene.wording.shape, -1, dtype=np.int64)
    for step in ARRIVALS:
        here = np.flatnonzero(scene.free & ~scene.journeys.missing[:, step])
        origin, destination = scene.journeys.site[here, step - 1], scene.journeys.site[here, step]
        known = scene.sites.route[origin, destination]
        fastest = np.where(known >= 0, scene.sites.hours[known, 2], np.inf)
        need[here, step] = np.minimum(scene.sites.distance_km[origin, destination] / 100, fastest)
        route[here, step] = known
    return need, route


_INJECTORS: dict[str, Callable[[Scene, np.random.Generator, str], None]] = {
    "missing_epc": _missing_epc,
    "never_issued": _never_issued,
    "simultaneous": _simultaneous,
    "slow_clone": _slow_clone,
    "backward": _backward,
    "skipped_warehouse": _skipped,
    "skipped_wholesaler": _skipped,
    "unknown_location": _unknown_location,
    "unknown_step": _unknown_step,
    "diverted_item": _diverted,
    "diverted_group": _diverted,
    "inbound_twice": _inbound_again,
    "outbound_before_inbound": _outbound_first,
    "repeated_thrice": _inbound_again,
    "missing_event_type": _missing_event_type,
    "sent_too_late": _sent_too_late,
    "short_dwell": _short_dwell,
    "too_fast": _too_fast,
    "route_outlier": _route_outlier,
    "ahead_of_truck": _ahead_of_truck,
}
"""Variants without an entry change the code alone (`_fake_codes`)."""
