"""One step of the service: some requests are judged, and what they bring becomes history, all at once or not at all.

Requests that wait together are judged together, as if they had come as one: each sees the others' scans.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.codes import canonical_codes, lot_names
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.places import NO_LOCATION_ID
from barcode_pipeline.sequences.moves import Moves, moves_of, sum_moves
from barcode_pipeline.serving.history import LIVE, Alert, Changes, Conflict, History, HistoryDown, Transaction, keyless
from barcode_pipeline.serving.judge import Given, Models, Settings, find_scans, judge, known_events
from barcode_pipeline.serving.lots import Lots, bytes_of_moves, split_moves
from barcode_pipeline.serving.readings import MOST, Readings, text_of
from barcode_pipeline.serving.requests import Scans
from barcode_pipeline.serving.rows import BY_MODEL, ROW, unpack
from barcode_pipeline.serving.sample import Sample, Sampled

_ATTEMPTS = 20


@dataclass(frozen=True)
class Clock:
    """The time of day: ms since 1970 UTC, and the day in the pipeline's zone. A test gives its own."""

    now: Callable[[], int]
    day: Callable[[int], int]


@dataclass(frozen=True)
class _Keys:
    """The journeys of a step. names: keys. of_row: (N,) int32. codes: canonical EPC codes. code_of_key: int32, -1 for
    rows without an EPC. lots: name of each code's lot."""

    names: list[str]
    of_row: np.ndarray
    codes: pa.Array
    code_of_key: np.ndarray
    lots: list[str]


@dataclass(frozen=True)
class Judged:
    """What became of a step. verdicts: of each request, `VERDICT`. new: scans that were not known before."""

    verdicts: list[np.ndarray]
    new: int
    stages: dict[str, float]


class Judging:
    """Judges step by step, by one thread.

    Parameters
    ----------
    history: where journeys lie.
    settings: what verdicts depend on.
    models: asked before each step for the models in service.
    last_events: scans that are kept of an EPC.
    most_lots: lots whose moves are kept in memory.
    sample: where some answers are kept, to be judged again.
    """

    def __init__(
        self,
        history: History,
        settings: Settings,
        models: Callable[[], Models],
        clock: Clock,
        last_events: int = 1000,
        most_lots: int = 500,
        sample: Sample | None = None,
    ) -> None:
        self.history = history
        self.settings = settings
        self._models = models
        self._clock = clock
        self._last_events = last_events
        self._readings = Readings(settings.reference.sites, history.readings)
        self._lots = Lots(most_lots, self._moves)
        self._most_lots = most_lots
        self._sample = sample

    def judge(self, requests: Sequence[Scans]) -> Judged:
        """`HistoryDown` where the history does not answer; then nothing of the requests is stored."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._step(requests)
            except Conflict:
                time.sleep(0.002 * attempt)
            except BaseException:
                self._lots.forget()
                raise
        raise HistoryDown("others keep changing the same EPCs")

    def warm(self) -> None:
        """Bring into memory what the first requests would wait for."""
        readings = self.history.some_readings(MOST)
        self._readings.resolve([], np.fromiter(readings, np.uint64, len(readings)))
        if lots := self.history.recent_lots(self._most_lots):
            with self.history.transaction([]) as transaction:
                self._lots.read(transaction, lots)

    def _step(self, requests: Sequence[Scans]) -> Judged:
        stages, watch = {}, time.perf_counter()

        def done(stage: str) -> None:
            nonlocal watch
            stages[stage], watch = time.perf_counter() - watch, time.perf_counter()

        scans = joined(requests)
        keys = _find_keys(scans)
        done("keys")
        with self.history.transaction(keys.names) as transaction:
            rows, key_of_row = unpack(transaction.journeys)
            done("read")
            table, reading, reading_before = self._readings.resolve(scans.readings, rows["reading"])
            given = Given(
                key=np.concatenate([key_of_row, keys.of_row]),
                time=np.concatenate([rows["time"], scans.time]),
                event_id=np.concatenate([rows["event_id"], scans.event_id]),
                reading=np.concatenate([reading_before, reading]),
                history=len(rows),
                table=table,
            )
            stays = find_scans(given)
            known = np.flatnonzero(stays == np.arange(len(given)))
            fresh = known[known >= len(rows)]
            verdicts = np.concatenate([rows["verdict"], np.zeros(len(scans), dtype=rows["verdict"].dtype)])
            done("assemble")
            changed: dict[str, Moves] = {}
            models = self._models()
            if len(fresh):
                events = known_events(given, known, keys.code_of_key, keys.codes)
                before = known_events(given, known[known < len(rows)], keys.code_of_key, keys.codes)
                moves, changes_of_lots, changed = self._moves_now(transaction, keys, before, events)
                done("lots")
                at = np.searchsorted(known, fresh)
                verdicts[fresh] = judge(events, at, moves, models, self.settings)
                done("judge")
                transaction.write(
                    self._changes(
                        transaction.journeys, keys, scans, given, rows, fresh, verdicts[fresh], changes_of_lots
                    )
                )
        if not self.history.keeps_changes:
            self._lots.keep(changed)
        if len(fresh) and self._sample is not None:
            self._keep_sample(self._sample, keys, given, known, fresh, verdicts, changed, models)
        done("write")
        answers = verdicts[stays[len(rows) :]]
        bounds = np.cumsum([0, *(len(request) for request in requests)])
        return Judged([answers[start:stop] for start, stop in pairwise(bounds)], len(fresh), stages)

    # ------------------------------------------------------------------ lots

    def _moves_now(
        self, transaction: Transaction, keys: _Keys, before: Events, after: Events
    ) -> tuple[Moves, dict[str, bytes], dict[str, Moves]]:
        """(moves of the lots as they will be, how those of each lot change, those of each lot)."""
        lots = list(dict.fromkeys(keys.lots))
        kept = [lot.moves for lot in self._lots.read(transaction, lots).values()]
        change = [(moves_of(before), -1), (moves_of(after), 1)]
        now = sum_moves([*((moves, 1) for moves in kept), *change])
        if not self.history.keeps_changes:
            return now, {}, split_moves(now)
        # Not summed up: where one EPC leaves a move and another joins it, the count says nothing, but the serial does.
        left = {lot: bytes_of_moves(moves, -1) for lot, moves in split_moves(change[0][0]).items()}
        came = {lot: bytes_of_moves(moves) for lot, moves in split_moves(change[1][0]).items()}
        return now, {lot: left.get(lot, b"") + added for lot, added in came.items()}, split_moves(now)

    def _moves(self, journeys: Sequence[tuple[str, bytes]]) -> Moves:
        """The moves of journeys as they lie in the history."""
        rows, key = unpack([content for _, content in journeys])
        table, _, reading = self._readings.resolve([], rows["reading"])
        given = Given(key, rows["time"], rows["event_id"], reading, len(rows), table)
        known = np.flatnonzero(find_scans(given) == np.arange(len(rows)))
        codes = pa.array([name for name, _ in journeys], pa.string())
        return moves_of(known_events(given, known, np.arange(len(journeys), dtype=np.int32), codes))

    # ------------------------------------------------------------------ what is written

    def _changes(
        self,
        journeys: Sequence[bytes | None],
        keys: _Keys,
        scans: Scans,
        given: Given,
        rows: np.ndarray,
        fresh: np.ndarray,
        verdicts: np.ndarray,
        moves: dict[str, bytes],
    ) -> Changes:
        now = self._clock.now()
        scan = fresh - len(rows)
        key = given.key[fresh]
        table = given.table
        new = np.zeros(len(fresh), dtype=ROW)
        new["time"], new["event_id"], new["file_id"] = scans.time[scan], scans.event_id[scan], scans.file_id[scan]
        new["reading"], new["received"], new["verdict"] = table.id[given.reading[fresh]], now, verdicts
        arrivals = np.zeros(len(keys.names), dtype=np.int64)
        np.maximum.at(arrivals, given.key[: len(rows)], rows["arrival"])
        new["arrival"] = arrivals[key] + 1
        order = np.argsort(key, kind="stable")
        bounds = np.searchsorted(key[order], np.arange(len(keys.names) + 1))
        ordered = new[order]
        written = {
            keys.names[number]: self._bounded(
                (journeys[number] or b"") + ordered[bounds[number] : bounds[number + 1]].tobytes()
            )
            for number in np.unique(key).tolist()
        }
        used = np.unique(given.reading[fresh]).tolist()
        codes = keys.codes.to_pylist()
        code = keys.code_of_key[key].tolist()
        live = np.zeros(len(fresh), dtype=LIVE)
        for name in LIVE.names or ():
            live[name] = new[name]
        return Changes(
            journeys=written,
            lots={codes[number]: lot for number, lot in enumerate(keys.lots)},
            readings={int(table.id[number]): text_of(table.clean[number]) for number in used},
            moves=moves,
            live=[
                (codes[number] if number >= 0 else "", row.tobytes()) for number, row in zip(code, live, strict=True)
            ],
            day=self._clock.day(now),
            alerts=alerts_of(new, [keys.names[number] for number in key.tolist()], given, fresh),
            now=now,
        )

    def _keep_sample(
        self,
        sample: Sample,
        keys: _Keys,
        given: Given,
        known: np.ndarray,
        fresh: np.ndarray,
        verdicts: np.ndarray,
        moves: dict[str, Moves],
        models: Models,
    ) -> None:
        now = self._clock.now()
        table, sampled = given.table, []
        for key in np.unique(given.key[fresh]).tolist():
            code = int(keys.code_of_key[key])
            if code < 0 or not sample.wants(keys.names[key]):
                continue
            rows = known[given.key[known] == key]
            new = np.flatnonzero(np.isin(rows, fresh))
            scans = [
                (int(given.time[row]), int(given.event_id[row]), table.clean[given.reading[row]])
                for row in rows.tolist()
            ]
            lot = keys.lots[code]
            sampled.append(
                Sampled(keys.names[key], lot, now, scans, new.tolist(), verdicts[rows[new]], bytes_of_moves(moves[lot]),
                        models.lstm_file, self.settings.cold_start)
            )  # fmt: skip
        if sampled:
            sample.add(self._clock.day(now), sampled)

    def _bounded(self, content: bytes) -> bytes:
        """The last scans of a journey, as many as are kept."""
        if len(content) <= self._last_events * ROW.itemsize:
            return content
        rows = np.frombuffer(content, dtype=ROW)
        last = np.sort(np.argsort(rows["time"], kind="stable")[-self._last_events :])
        return rows[last].tobytes()


def joined(requests: Sequence[Scans]) -> Scans:
    """Requests one after the other."""
    if len(requests) == 1:
        return requests[0]
    return Scans(
        np.concatenate([request.event_id for request in requests]),
        np.concatenate([request.file_id for request in requests]),
        np.concatenate([request.time for request in requests]),
        [code for request in requests for code in request.sent],
        [reading for request in requests for reading in request.readings],
    )


def _find_keys(scans: Scans) -> _Keys:
    words = canonical_codes(pa.array(scans.sent, pa.string())).dictionary_encode()
    code = words.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    names = words.dictionary.to_pylist()
    of_row = code.copy()
    code_of_key = list(range(len(names)))
    numbers: dict[str, int] = {}
    for row in np.flatnonzero(code < 0).tolist():
        key = keyless(int(scans.time[row]))
        if key not in numbers:
            numbers[key] = len(names)
            names.append(key)
            code_of_key.append(-1)
        of_row[row] = numbers[key]
    codes = words.dictionary.cast(pa.string())
    return _Keys(names, of_row, codes, np.array(code_of_key, np.int32), lot_names(codes).to_pylist())


def alerts_of(new: np.ndarray, keys: list[str], given: Given, rows: np.ndarray) -> list[Alert]:
    """The alerts among new rows: what `/lstm` answers, whichever endpoint was asked."""
    out = []
    places = given.table.places
    for number in np.flatnonzero(new["verdict"]["lstm_labels"]).tolist():
        row = new[number]
        verdict = row["verdict"]
        bits = int(verdict["lstm_labels"])
        place = int(given.table.place[given.reading[rows[number]]])
        location = int(places.location_id[place])
        percent = np.round(verdict["lstm"].astype(np.float64) * 100, 4).tolist()
        out.append(
            Alert(
                keys[number],
                int(row["time"]),
                int(row["event_id"]),
                int(row["reading"]),
                None if location == NO_LOCATION_ID else location,
                places.name[place].as_py(),
                bits,
                tuple(
                    score if bits >> label & 1 else 0.0
                    for label, score in zip(range(len(LABELS)), percent, strict=True)
                ),
                "lstm" if verdict["lstm_method"] == BY_MODEL else "rule",
                int(row["received"]),
            )
        )
    return out
