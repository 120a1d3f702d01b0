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

from barcode_pipeline.events.followed import follow_codes
from barcode_pipeline.sequences.lot_moves import NotMade, ReadyLots, lot_changes
from barcode_pipeline.sequences.moves import Moves, moves_of
from barcode_pipeline.serving.clock import Clock
from barcode_pipeline.serving.found import Found, find, find_keys, joined
from barcode_pipeline.serving.history import Conflict, History, HistoryDown, Transaction
from barcode_pipeline.serving.judge import Given, Models, Settings, find_scans, judge, known_events
from barcode_pipeline.serving.lots import Lots
from barcode_pipeline.serving.readings import MOST, Readings
from barcode_pipeline.serving.requests import Scans
from barcode_pipeline.serving.rows import VERDICT, unpack
from barcode_pipeline.serving.sample import Sample, Sampled
from barcode_pipeline.serving.written import changes_of, sampled_of

_ATTEMPTS = 20


class _Stages:
    """Seconds of each stage of a step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def done(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage], self._since = now - self._since, now


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
        self._changing: dict[str, np.ndarray] = {}
        self._sample = sample

    def judge(self, requests: Sequence[Scans]) -> Judged:
        """`HistoryDown` where the history does not answer; then nothing of the requests is stored."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._step(requests)
            except Conflict:
                self._lots.undo(self._changing)
                time.sleep(0.002 * attempt)
            except NotMade:
                # The lots were read after another process had changed these very journeys: it would end in a conflict.
                self._lots.forget()
                if not self.history.keeps_changes:
                    raise
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
        stages = _Stages()
        self._changing = {}
        scans = joined(requests)
        keys = find_keys(scans)
        stages.done("keys")
        sampled: list[Sampled] = []
        with self.history.transaction(keys.names) as transaction:
            stages.done("read")
            found = find(scans, keys, transaction.journeys, self._readings)
            verdicts = np.zeros(len(found.given), dtype=VERDICT)
            verdicts[: len(found.rows)] = found.rows["verdict"]
            stages.done("assemble")
            if len(found.fresh):
                sampled = self._judge_new(found, transaction, verdicts, stages)
        self._lots.settle(self._changing, transaction.versions)
        # What was cut off a long journey is no longer part of its lot either.
        self._lots.forget(found.cut_lots(self._last_events))
        if self._sample is not None and sampled:
            self._sample.add(self._clock.day(sampled[0].received), sampled)
        stages.done("write")
        answers = verdicts[found.stays[len(found.rows) :]]
        bounds = np.cumsum([0, *map(len, requests)])
        return Judged([answers[start:stop] for start, stop in pairwise(bounds)], len(found.fresh), stages.seconds)

    def _judge_new(
        self, found: Found, transaction: Transaction, verdicts: np.ndarray, stages: _Stages
    ) -> list[Sampled]:
        """Judge the new scans, write what they change, and fill their places in `verdicts`."""
        models, followed = self._models(), follow_codes(found.events(), self.settings.rules.companies)
        lots = self._lots.read(transaction, list(dict.fromkeys(found.keys.lots)))
        changes = lot_changes(followed, found.known_before)
        self._lots.change(changes)
        self._changing = changes
        stages.done("lots")
        new = judge(followed, np.searchsorted(found.known, found.fresh), ReadyLots(lots), models, self.settings)
        verdicts[found.fresh] = new
        stages.done("judge")
        now = self._clock.now()
        moves = {lot: change.tobytes() for lot, change in changes.items()} if self.history.keeps_changes else {}
        transaction.write(changes_of(found, new, moves, now, self._clock.day(now), self._last_events))
        if self._sample is None:
            return []
        cold_start = self.settings.cold_start
        return sampled_of(found, verdicts, lots, self._sample, now, models.lstm_file, cold_start)

    def _moves(self, journeys: Sequence[tuple[str, bytes]]) -> Moves:
        """The moves of journeys as they lie in the history."""
        rows, key = unpack([content for _, content in journeys])
        table, _, reading = self._readings.resolve([], rows["reading"])
        given = Given(key, rows["time"], rows["event_id"], reading, len(rows), table)
        known = np.flatnonzero(find_scans(given) == np.arange(len(rows)))
        codes = pa.array([name for name, _ in journeys], pa.string())
        return moves_of(known_events(given, known, np.arange(len(journeys), dtype=np.int32), codes))
