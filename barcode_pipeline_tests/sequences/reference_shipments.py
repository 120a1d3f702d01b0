"""Shipment features again, slowly and in plain Python: for each event, everything is counted anew.

Written from the meanings in `docs/features.md` and the words of `shipments`, not from its code: no running counts,
no numbering, lists of events per lot. Reading a row, the order of events and the chain are those of
`rules.reference_rules`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from math import log, log1p, sqrt

from barcode_pipeline_tests.rules.reference_reading import Event, Row, Settings, Site, order_key, read_row
from barcode_pipeline_tests.rules.reference_rules import is_sent_too_late

BATCH_SECONDS = 300
DIRECTIONS = ("in", "out", "sale", "other", "missing")
NO_ID = 2**63 - 1


@dataclass(eq=False)
class Move:
    """An event of a lot, and the one before it in its EPC's chain."""

    row: int
    event: Event
    seconds: int
    step: tuple[object, ...]
    place: tuple[str, object]
    place_key: int
    previous: Move | None = None

    @property
    def changes_place(self) -> bool:
        return self.previous is not None and self.place != self.previous.place

    @property
    def level(self) -> int:
        return 6 if self.event.level is None else self.event.level


def lot_of(code: str) -> str:
    parts = code.split(".")
    return ".".join(parts[1:4]) if len(parts) == 6 else code


def serial_of(code: str) -> int:
    parts = code.split(".")
    return int(parts[5]) if len(parts) == 6 and re.fullmatch("[0-9]{9}", parts[5]) else -1


def place_identity(event: Event) -> tuple[str, object]:
    """Ids that are no integers are one place to shipments (`Places.keys`)."""
    kind, what = event.place.identity
    return ("id", "text") if kind == "id" and not isinstance(what, int) else (kind, what)


def key_of_place(place: tuple[str, object], sites: Sequence[Site]) -> int:
    """A known place's line of the sites table by id, below 0 for an unknown place (`Places.keys`)."""
    kind, what = place
    if kind == "site":
        return sorted(site.location_id for site in sites).index(what)
    number = what if isinstance(what, int) else NO_ID
    words = f"{number} {what if kind == 'name' else None}"
    return -1 - (int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "big") >> 2)


def moves_of_lots(rows: Sequence[Row], sites: Sequence[Site], settings: Settings) -> dict[str, list[Move]]:
    """The moves of each lot by time."""
    journeys: dict[str, list[Move]] = {}
    for number, row in enumerate(rows):
        event = read_row(row, sites, settings)
        if event.epc is not None:
            seconds = int((event.time - event.time.min).total_seconds())
            place = place_identity(event)
            journeys.setdefault(event.epc, []).append(
                Move(number, event, seconds, (place, event.level, event.direction), place, key_of_place(place, sites))
            )
    lots: dict[str, list[Move]] = {}
    for code, journey in journeys.items():
        journey.sort(key=lambda move: order_key(move.event))
        last = None
        for move in journey:
            if not any(is_sent_too_late(move.event, other.event) for other in journey):
                move.previous = last
                last = move
        lots.setdefault(lot_of(code), []).extend(journey)
    for moves in lots.values():
        moves.sort(key=lambda move: move.seconds)
    return lots


def shipment_features(rows: Sequence[Row], sites: Sequence[Site], settings: Settings) -> list[dict[str, float]]:
    """The features of each row by name, before they are rounded; none for rows without an EPC."""
    found: list[dict[str, float]] = [{} for _ in rows]
    for moves in moves_of_lots(rows, sites, settings).values():
        for move in moves:
            known = Known([other for other in moves if other.seconds < move.seconds])
            found[move.row] = of_lot(move, known) | of_companions(move, known) | of_making(move, known)
    return found


def log_share(part: int, whole: int) -> float:
    return max(log((part + 0.5) / (whole + 1)) / 2, -3)


def log_hours(seconds: int) -> float:
    return log1p(seconds / 3600)


def log_minutes(move: Move) -> int:
    assert move.previous is not None
    return round(64 * log1p((move.seconds - move.previous.seconds) / 60))


def step_before(move: Move) -> object:
    return None if move.previous is None else move.previous.step


def of_lot(move: Move, known: Known) -> dict[str, float]:
    like_this = [other for other in known.moves if other.step == move.step]
    of_step = [other for other in known.moves if other.step[1:] == move.step[1:]]
    onward = [other for other in known.moves if step_before(other) == step_before(move)]
    alike = [other for other in like_this if step_before(other) == step_before(move)]
    values = {
        "lot_log_events": log1p(len(known.moves)) / 3,
        "lot_log_share_of_site": log_share(len(like_this), len(of_step)),
        "lot_places_of_level": log1p(len({other.place for other in known.moves if other.level == move.level})) / 2,
        "lot_hours_since_last": 3.0,
        "lot_hours_since_first": 0.0,
        "lot_log_arriving": 0.0,
        "lot_log_share_onward": 0.0,
        "lot_log_share_of_step": log_share(len(alike), len(onward)),
        "lot_log_share_of_origin": log_share(len(alike), len(like_this)),
        "lot_log_moves_alike": log1p(len(alike)) / 3,
        "lot_time_deviation": 0.0,
    }
    if like_this:
        first, last = like_this[0], like_this[-1]
        values["lot_hours_since_last"] = min(log_hours(move.seconds - last.seconds) / 3, 3)
        values["lot_hours_since_first"] = min(log_hours(move.seconds - first.seconds) / 3, 3)
        if move.seconds - last.seconds <= BATCH_SECONDS:
            values["lot_log_arriving"] = log1p(len(known.arrivals(known.batch(last)))) / 2
    if move.previous is None:
        return values
    if move.place != move.previous.place:
        ways = [other for other in known.moves if other.changes_place and other.previous.place == move.previous.place]
        values["lot_log_share_onward"] = log_share(sum(other.place == move.place for other in ways), len(ways))
    if alike:
        units = [log_minutes(other) for other in alike]
        mean = sum(units) / len(units)
        spread = sqrt(max(sum(unit * unit for unit in units) / len(units) - mean * mean, 0)) + 6.4
        values["lot_time_deviation"] = min(max((log_minutes(move) - mean) / spread, -6), 6) / 2
    return values


def of_companions(move: Move, known: Known) -> dict[str, float]:
    names = ("log_count", "share_moved", "log_waiting", "log_here", "log_elsewhere", "hours_since_moved")
    values = dict.fromkeys([f"companions_{name}" for name in names], 0.0)
    values |= dict.fromkeys([f"stream_{name}" for name in ("here", "elsewhere", "behind", "hours")], 0.0)
    if move.previous is None:
        return values
    batch = known.batch(move.previous)
    others = max(len(known.arrivals(batch)) - (move.previous.seconds < move.seconds), 0)
    left = known.departures(batch)
    moved = min(len(left), others)
    values["companions_log_count"] = log1p(others) / 2
    values["companions_log_waiting"] = log1p(others - moved) / 2
    if others:
        values["companions_share_moved"] = moved / others
    if left:
        values["companions_hours_since_moved"] = min(log_hours(move.seconds - left[0].seconds) / 2, 3)
    if move.place != move.previous.place:
        gone = [other for other in left if other.changes_place]
        after = known.next_batch(batch)
        if after is not None and after.place == move.previous.place:
            gone += [other for other in known.departures(after) if other.changes_place]
        here = sum(other.place == move.place for other in gone)
        values["companions_log_here"] = log1p(here) / 2
        values["companions_log_elsewhere"] = log1p(len(gone) - here) / 2
    return values | of_stream(move, batch, known)


def of_stream(move: Move, batch: Batch, known: Known) -> dict[str, float]:
    stream = batch
    for _ in range(6):
        after = known.next_batch(stream)
        if after is None:
            break
        stream = after
        if stream.place == move.place:
            return {"stream_here": 1.0, "stream_hours": known.log_hours_since(stream, move)}
    behind = max(move.level - stream.level, 0)
    if known.next_batch(batch) is None:
        return {"stream_behind": behind / 2}
    return {
        "stream_elsewhere": float(behind == 0),
        "stream_behind": behind / 2,
        "stream_hours": known.log_hours_since(stream, move),
    }


def of_making(move: Move, known: Known) -> dict[str, float]:
    serials = [max(serial_of(other.event.epc or ""), 0) for other in known.moves if other.level <= 1]
    values = {"lot_never_made": 0.0, "serial_beyond": 0.0}
    if move.level < 2:
        return values
    if not serials:
        return {"lot_never_made": 1.0, "serial_beyond": 0.0}
    serial = serial_of(move.event.epc or "")
    if serial > max(serials):
        values["serial_beyond"] = min(log1p(serial - max(serials)) / 2, 4)
    return values


@dataclass(frozen=True)
class Batch:
    """Events of one place and step at some seconds, each at most five minutes after another of them."""

    step: tuple[object, ...]
    place: tuple[str, object]
    level: int
    seconds: frozenset[int]

    def has(self, move: Move | None) -> bool:
        return move is not None and move.step == self.step and move.seconds in self.seconds


class Known:
    """What a lot did before some second, by second; within one in the order that decides ties (`Moves`)."""

    def __init__(self, moves: list[Move]) -> None:
        self.moves = sorted(moves, key=tie_key)

    def batch(self, move: Move) -> Batch:
        seconds = sorted({other.seconds for other in self.moves if other.step == move.step} | {move.seconds})
        batches: list[set[int]] = []
        for second in seconds:
            if batches and second - max(batches[-1]) <= BATCH_SECONDS:
                batches[-1].add(second)
            else:
                batches.append({second})
        own = next(batch for batch in batches if move.seconds in batch)
        return Batch(move.step, move.place, move.level, frozenset(own))

    def arrivals(self, batch: Batch) -> list[Move]:
        """Without those read again."""
        return [move for move in self.moves if batch.has(move) and not batch.has(move.previous)]

    def departures(self, batch: Batch) -> list[Move]:
        return [move for move in self.moves if batch.has(move.previous) and not batch.has(move)]

    def next_batch(self, batch: Batch) -> Batch | None:
        """The one that most went to; of several, the one that first had so many."""
        counts: Counter[Batch] = Counter()
        best: Batch | None = None
        together = groupby(self.departures(batch), key=tie_key)
        for moves in [list(group) for _, group in together]:
            after = self.batch(moves[0])
            counts[after] += len(moves)
            if best is None or counts[after] > counts[best]:
                best = after
        return best

    def log_hours_since(self, batch: Batch, move: Move) -> float:
        return min(log_hours(move.seconds - self.arrivals(batch)[0].seconds) / 2, 3)


def tie_key(move: Move) -> tuple[object, ...]:
    before = move.previous
    return (
        move.seconds, move.place_key, move.level, DIRECTIONS.index(move.event.direction),
        *((0, 0, -1, 0) if before is None
          else (before.seconds, before.place_key, before.level, DIRECTIONS.index(before.event.direction))),
    )  # fmt: skip
