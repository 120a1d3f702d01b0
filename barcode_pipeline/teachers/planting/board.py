"""The board: journeys laid out to be changed, and what was done to each event. No anomaly is defined here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.codes import lot_names, parse_codes
from barcode_pipeline.events.journeys import EVENT_COLUMNS, Events, find_journeys
from barcode_pipeline.events.places import NO_LOCATION_ID, Places, Reference
from barcode_pipeline.events.steps import IN, LEVEL_UNKNOWN, OUT

SECONDS_PER_HOUR = 3600
SHIPMENT_SECONDS = 300
"""Scans of one step that lie in the same five minutes are one shipment's."""
NO_LABEL = -1
NO_FAMILY = -1


@dataclass(frozen=True)
class Network:
    """Sites as the planter needs them, by place code. distance: (P, P) km, NaN where not known. mean, std, minimum:
    (P, P) hours of the transition table, NaN where it has no route. at_level: (6, P) bool, the places at which most
    events are of that level. visited: (L, P) bool, where a lot was seen."""

    distance: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    at_level: np.ndarray
    visited: np.ndarray


@dataclass(frozen=True)
class Anchors:
    """The events at which a family is planted. row: (n,) on the board. incident: (n,) 0 to count - 1: members of a
    group share one."""

    row: np.ndarray
    incident: np.ndarray
    count: int

    def __len__(self) -> int:
        return len(self.row)

    def where(self, keep: np.ndarray) -> Anchors:
        """Some of them. keep: (n,) bool."""
        return Anchors(self.row[keep], self.incident[keep], self.count)

    def leaders(self) -> np.ndarray:
        """(n,) the place among the anchors of the first of each one's incident."""
        first = np.full(self.count, len(self), dtype=np.int64)
        np.minimum.at(first, self.incident, np.arange(len(self)))
        return first[self.incident]


@dataclass
class Board:
    """Events in the order of travel, journey by journey, changed in place.

    `EVENT_COLUMNS`, (N,) each. journey: (N,) int64; start, stop: (N,) the rows of the event's journey.
    lot: (N,) int32, -1 without an EPC. free: (N,) bool, of a journey that is held for ordinary and bears nothing yet.
    label: (N,) int8, the planted label or `NO_LABEL`. family: (N,) int16. weight: (N,) float32, 0 for mere
    consequences and for what is under suspicion. kept: (N,) bool. source: (N,) int64, row of the events given.
    codes: EPC codes; places: with unknown ones added. added: what was inserted, a set of columns each time.
    """

    columns: dict[str, np.ndarray]
    source: np.ndarray
    journey: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    lot: np.ndarray
    free: np.ndarray
    label: np.ndarray
    family: np.ndarray
    weight: np.ndarray
    kept: np.ndarray
    codes: pa.Array
    places: Places
    network: Network
    highest_serial: np.ndarray
    unknown_places: np.ndarray
    random: np.random.Generator
    v_max: float
    planting: tuple[int, int] = (NO_FAMILY, NO_LABEL)
    added: list[dict[str, np.ndarray]] = field(default_factory=list)
    new_codes: list[pa.Array] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.source)

    @property
    def time(self) -> np.ndarray:
        return self.columns["time"]

    @property
    def level(self) -> np.ndarray:
        return self.columns["level"]

    @property
    def direction(self) -> np.ndarray:
        return self.columns["direction"]

    @property
    def place(self) -> np.ndarray:
        return self.columns["place"]

    @property
    def epc(self) -> np.ndarray:
        return self.columns["epc"]

    # --- what surrounds an event -------------------------------------------------------------------------------

    @property
    def before(self) -> np.ndarray:
        """(N,) the event before in the journey, the event itself where it is the first."""
        return np.maximum(np.arange(len(self)) - 1, self.start)

    @property
    def after(self) -> np.ndarray:
        """(N,) the event after in the journey, the event itself where it is the last."""
        return np.minimum(np.arange(len(self)) + 1, self.stop - 1)

    @property
    def is_first(self) -> np.ndarray:
        return np.arange(len(self)) == self.start

    @property
    def is_last(self) -> np.ndarray:
        return np.arange(len(self)) == self.stop - 1

    @property
    def known(self) -> np.ndarray:
        """(N,) bool, of a known level at a known place."""
        return (self.level < LEVEL_UNKNOWN) & (self.places.site[self.place] >= 0)

    @property
    def hours_before(self) -> np.ndarray:
        """(N,) hours since the event before, 0 for the first."""
        return (self.time - self.time[self.before]) / SECONDS_PER_HOUR

    @property
    def hours_after(self) -> np.ndarray:
        """(N,) hours to the event after, endless for the last."""
        return np.where(self.is_last, np.inf, (self.time[self.after] - self.time) / SECONDS_PER_HOUR)

    @property
    def arrives(self) -> np.ndarray:
        """(N,) bool, an arrival from another known place."""
        before = self.before
        return (
            self.known & self.known[before] & ~self.is_first
            & (self.direction == IN) & (self.place != self.place[before])
        )  # fmt: skip

    @property
    def departs(self) -> np.ndarray:
        """(N,) bool, a departure whose arrival at the same place and step is the event before."""
        before = self.before
        return (
            self.known & ~self.is_first & (self.direction == OUT) & (self.direction[before] == IN)
            & (self.place == self.place[before]) & (self.level == self.level[before])
        )  # fmt: skip

    @cached_property
    def shipment(self) -> np.ndarray:
        """(N,) int64, a number shared by the events of a lot that are one step of one shipment. Asked for once the
        ordinary noise is there."""
        # One number of all five, in their order, which 64 bits hold by far: sorting rows takes ten times as long.
        key = np.zeros(len(self), dtype=np.int64)
        for column in (self.lot, self.place, self.level, self.direction, self.time // SHIPMENT_SECONDS):
            from_zero = column.astype(np.int64) - int(column.min(initial=0))
            key = key * (int(from_zero.max(initial=0)) + 1) + from_zero
        return np.unique(key, return_inverse=True)[1]

    @cached_property
    def shipment_size(self) -> np.ndarray:
        """(N,) int64, how many events that step of the shipment has."""
        return np.bincount(self.shipment)[self.shipment]

    # --- what is drawn -----------------------------------------------------------------------------------------

    def uniform(self, anchors: Anchors, low: float = 0.0, high: float = 1.0, spread: float = 0.0) -> np.ndarray:
        """(n,) numbers, one per incident. spread: by how much, as a share of it, members differ."""
        shared = self.random.uniform(low, high, anchors.count)[anchors.incident]
        return shared * (1 + spread * self.random.uniform(-1, 1, len(anchors)))

    def log_uniform(self, anchors: Anchors, low: float, high: float) -> np.ndarray:
        """(n,) positive numbers whose logarithms are uniform, one per incident."""
        return np.exp(self.uniform(anchors, np.log(low), np.log(high)))

    def chance(self, anchors: Anchors, share: float) -> np.ndarray:
        """(n,) bool, true for a share of the incidents."""
        return (self.random.random(anchors.count) < share)[anchors.incident]

    def other_place(
        self,
        anchors: Anchors,
        level: np.ndarray,
        origin: np.ndarray,
        reach_km: np.ndarray | float = np.inf,
        new_to_lot: bool = False,
    ) -> np.ndarray:
        """(n,) a known place of a level other than where the anchor is, one per incident, -1 where there is none.

        level, origin: (n,); reach_km: no farther than this from the origin, in the eyes of the incident's first.
        new_to_lot: the anchor's lot was never seen there.
        """
        first = anchors.leaders()
        allowed = self.network.at_level[np.minimum(level, 5)].copy()
        allowed[np.arange(len(allowed)), self.place[anchors.row]] = False
        allowed[np.arange(len(allowed)), origin] = False
        if new_to_lot:
            allowed &= ~self.network.visited[self.lot[anchors.row]]
        far = self.network.distance[origin] > np.broadcast_to(reach_km, len(anchors))[:, None]
        allowed &= ~far  # not known how far: allowed
        drawn = np.where(allowed, self.random.random(allowed.shape), -1.0)
        chosen = np.where(drawn.max(axis=1, initial=-1.0) >= 0, drawn.argmax(axis=1), -1)
        return chosen[first] if len(first) else chosen

    def travel_hours(self, anchors: Anchors, origin: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(n,) hours an ordinary transport may take, one per incident: near the route's mean, else by distance."""
        first = anchors.leaders()
        network = self.network
        distance = np.nan_to_num(network.distance[origin, target], nan=150.0)
        by_road = distance / self.uniform(anchors, 35, 75) + self.uniform(anchors, 0.5, 5)
        deviations = np.clip(self.random.normal(0, 0.8, anchors.count), -1.2, 1.4)[anchors.incident]
        by_table = network.mean[origin, target] + deviations * network.std[origin, target]
        hours = np.where(np.isnan(by_table), by_road, np.maximum(by_table, network.minimum[origin, target]))
        return np.maximum(hours, 1.02 * distance / self.v_max)[first] if len(first) else hours

    def fastest_hours(self, origin: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(n,) hours that no truck is faster than, NaN where the distance is not known."""
        distance = self.network.distance[origin, target]
        return np.fmin(
            distance / self.v_max, np.where(np.isnan(distance), np.nan, self.network.minimum[origin, target])
        )

    # --- what is done ------------------------------------------------------------------------------------------

    def bear(self, rows: np.ndarray) -> None:
        """These events bear the label of the family that is being planted."""
        self.family[rows], self.label[rows] = self.planting

    def follow_from(self, rows: np.ndarray) -> None:
        """These events are mere consequences: nothing is learnt from them."""
        self.weight[rows] = 0

    def follow_after(self, rows: np.ndarray) -> None:
        """So is the event after each of these."""
        self.follow_from(self.after[rows][~self.is_last[rows]])

    def tail_of(self, rows: np.ndarray, skip: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """All events of each one's journey from it on: (rows (m,), the place in `rows` that each belongs to (m,)).
        skip: leave out so many at the beginning."""
        begin = np.minimum(rows + skip, self.stop[rows])
        lengths = self.stop[rows] - begin
        owner = np.repeat(np.arange(len(rows)), lengths)
        return np.repeat(begin - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(len(owner)), owner

    def shift_tail(self, rows: np.ndarray, seconds: np.ndarray) -> None:
        """Move each event and all that follows it in its journey by some seconds. At most one row per journey."""
        tail, owner = self.tail_of(rows)
        self.time[tail] += seconds.astype(np.int64)[owner]

    def move_to(self, rows: np.ndarray, place: np.ndarray) -> None:
        """Move each event, and those after it that follow at the same place, to another place."""
        old = self.place[rows]
        tail, owner = self.tail_of(rows)
        stays = self.place[tail] == old[owner]
        # A journey may come back: only the first stay is moved.
        left = np.concatenate([[0], np.cumsum(~stays)])
        first_of_owner = np.searchsorted(owner, np.arange(len(rows)))
        stays &= left[:-1] == left[first_of_owner][owner]
        self.place[tail[stays]] = place[owner[stays]]

    def insert(self, template: np.ndarray, bears: bool = True, **values: np.ndarray) -> None:
        """Add copies of events with other values in some columns, (n,) each. bears: whether they bear the label."""
        rows = {name: column[template].copy() for name, column in self.columns.items()}
        for name, value in values.items():
            rows[name] = np.asarray(value).astype(rows[name].dtype)
        family, label = self.planting if bears else (NO_FAMILY, NO_LABEL)
        rows["family"] = np.full(len(template), family, dtype=np.int16)
        rows["label"] = np.full(len(template), label, dtype=np.int8)
        rows["lot"] = self.lot[template]
        self.added.append(rows)

    def new_epcs(self, codes: pa.Array) -> np.ndarray:
        """Add codes, (n,) string; returns their numbers, (n,)."""
        known = len(self.codes) + sum(map(len, self.new_codes))
        self.new_codes.append(codes)
        return known + np.arange(len(codes))


def lay_out(events: Events, ordinary: np.ndarray, reference: Reference, v_max: float, seed: tuple[int, ...]) -> Board:
    """A board of some events. ordinary: (N,) bool, of EPCs that may be planted upon and be learnt from."""
    journeys = find_journeys(events)
    order = journeys.order.astype(np.int64)
    lengths = np.diff(journeys.offsets)
    with_epc = int(journeys.offsets[-1])
    alone = np.arange(with_epc, len(events))
    journey = np.concatenate([np.repeat(np.arange(len(lengths)), lengths), len(lengths) + alone - with_epc])
    start = np.concatenate([np.repeat(journeys.offsets[:-1], lengths), alone])
    stop = np.concatenate([np.repeat(journeys.offsets[1:], lengths), alone + 1])
    lots = lot_names(events.codes).dictionary_encode()
    lot_of_code = np.append(lots.indices.to_numpy(zero_copy_only=False).astype(np.int32), np.int32(-1))
    columns = {name: getattr(events, name)[order].copy() for name in EVENT_COLUMNS}
    free = ordinary[order] & (columns["epc"] >= 0)
    places, unknown = _with_unknown_places(events.places)
    lot = lot_of_code[columns["epc"]]
    serial = parse_codes(events.codes, ()).serial
    highest = np.full(len(lots.dictionary) + 1, 0, dtype=np.int64)
    np.maximum.at(highest, lot_of_code[:-1], serial)
    return Board(
        columns=columns,
        source=order,
        journey=journey,
        start=start,
        stop=stop,
        lot=lot,
        free=free,
        label=np.full(len(events), NO_LABEL, dtype=np.int8),
        family=np.full(len(events), NO_FAMILY, dtype=np.int16),
        weight=free.astype(np.float32),
        kept=np.ones(len(events), dtype=bool),
        codes=events.codes,
        places=places,
        network=_network(columns, lot, len(highest), places, reference),
        highest_serial=highest,
        unknown_places=unknown,
        random=np.random.default_rng(seed),
        v_max=v_max,
    )


_UNKNOWN_PLACES = 12


def _with_unknown_places(places: Places) -> tuple[Places, np.ndarray]:
    """Places with some added that are in no table; they sort last."""
    names = pa.array([f"place in no table {number}" for number in range(_UNKNOWN_PLACES)], pa.string())
    more = Places(
        np.append(places.site, np.full(_UNKNOWN_PLACES, -1, dtype=places.site.dtype)),
        np.append(places.location_id, np.full(_UNKNOWN_PLACES, NO_LOCATION_ID)),
        pa.concat_arrays([places.name.cast(pa.string()), names]),
    )
    return more, np.arange(len(places), len(more))


def _network(
    columns: dict[str, np.ndarray], lot: np.ndarray, lots: int, places: Places, reference: Reference
) -> Network:
    site, count = places.site, len(places)
    known = site >= 0
    pairs = np.ix_(known, known)
    inside = np.ix_(site[known], site[known])
    tables = {}
    routes = reference.routes
    origin = np.repeat(np.arange(len(reference.sites)), np.diff(routes.start))
    for name, values in (("mean", routes.mean), ("std", routes.std), ("minimum", routes.minimum)):
        between = np.full((len(reference.sites), len(reference.sites)), np.nan)
        between[origin, routes.destination] = values
        tables[name] = np.full((count, count), np.nan)
        tables[name][pairs] = between[inside]
    distance = np.full((count, count), np.nan)
    distance[pairs] = reference.sites.distances[inside]
    seen = np.zeros((LEVEL_UNKNOWN + 1, count), dtype=np.int64)
    np.add.at(seen, (columns["level"], columns["place"]), 1)
    at_level = (2 * seen[:LEVEL_UNKNOWN] >= seen.sum(axis=0)) & (seen[:LEVEL_UNKNOWN] > 0) & known
    at_level[5] = at_level[4]
    visited = np.zeros((lots, count), dtype=bool)
    visited[lot, columns["place"]] = True
    return Network(distance, tables["mean"], tables["std"], tables["minimum"], at_level, visited)


def some_events(events: Events, rows: np.ndarray) -> Events:
    """Some of the events, with the codes that they use."""
    some = events.take(rows)
    used, epc = np.unique(some.epc, return_inverse=True)
    missing = int(len(used) > 0 and used[0] < 0)
    return replace(
        some, epc=(epc.reshape(-1) - missing).astype(np.int32), codes=events.codes.take(pa.array(used[missing:]))
    )


def gathered(board: Board) -> Iterator[dict[str, np.ndarray]]:
    """The events that are kept, then what was added."""
    kept = board.kept
    yield {
        **{name: column[kept] for name, column in board.columns.items()},
        "family": board.family[kept],
        "label": board.label[kept],
        "weight": board.weight[kept],
        "source": board.source[kept],
        "lot": board.lot[kept],
    }
    for rows in board.added:
        count = len(rows["epc"])
        yield {
            **rows,
            "weight": np.ones(count, dtype=np.float32),
            "source": np.full(count, -1, dtype=np.int64),
        }
