"""Journeys and inserted events as rows, and how they are read and sent: missed, read again, late, twice."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from barcode_pipeline.simulator.journeys import AFTER_MISSED, REREAD, stream
from barcode_pipeline.simulator.production import DAY
from barcode_pipeline.simulator.scene import Scene
from barcode_pipeline.simulator.world import World

_ROOM_SECONDS = 120
"""A re-read falls within 60 seconds and must not pass the next event."""


@dataclass
class Rows:
    """Rows in order of code and time, one array each."""

    code: np.ndarray
    """Index in `Codes`."""
    wording: np.ndarray
    site: np.ndarray
    time: np.ndarray
    """int64 seconds since the world's start."""
    truth: np.ndarray
    aftermath: np.ndarray
    benign: np.ndarray
    """The benign irregularity the row bears (`journeys.BENIGN_KINDS`), 0 for none."""
    unread_code: np.ndarray
    sent: np.ndarray
    """When the row was sent, in the same seconds."""
    copy: np.ndarray
    """Whether the row is an exact duplicate of another."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.code)

    def take(self, chosen: np.ndarray) -> Rows:
        """Return some of the rows, by index or mask."""
        return Rows(**{item.name: getattr(self, item.name)[chosen] for item in fields(Rows)})

    def add(self, more: Rows) -> Rows:
        """Return these rows and more, in order."""
        columns = {
            item.name: np.concatenate([getattr(self, item.name), getattr(more, item.name)]) for item in fields(Rows)
        }
        rows = Rows(**columns)
        # Codes stay together; times before the start (a clock that is slow) must not borrow from the code.
        return rows.take(np.argsort(rows.code.astype(np.int64) << 32 | (rows.time + (1 << 30)), kind="stable"))


def collect(scene: Scene) -> Rows:
    """Return all events of a scene as rows."""
    journeys = scene.journeys
    epc, step = np.nonzero(~journeys.missing)
    time = journeys.time[epc, step]
    sent = time if scene.sent is None else np.maximum(scene.sent[epc, step], time)
    rows = Rows(
        code=journeys.epc[epc].astype(np.int32),
        wording=scene.wording[epc, step],
        site=journeys.site[epc, step],
        time=time,
        truth=scene.truth[epc, step],
        aftermath=scene.aftermath[epc, step],
        benign=journeys.benign[epc, step],
        unread_code=scene.unread_code[epc, step],
        sent=sent,
        copy=np.zeros(len(epc), dtype=bool),
    )
    if not scene.inserted:
        return rows.add(rows.take(np.array([], dtype=np.int64)))
    code, wording, site, time, truth = (
        np.concatenate([getattr(part, name) for part in scene.inserted])
        for name in ("code", "step", "site", "time", "variant")
    )
    return rows.add(
        Rows(
            code=code.astype(np.int32),
            wording=wording.astype(np.int8),
            site=site.astype(np.int16),
            time=time,
            truth=truth,
            aftermath=np.zeros_like(truth),
            benign=np.zeros_like(truth),
            unread_code=np.zeros(len(code), dtype=bool),
            sent=time,
            copy=np.zeros(len(code), dtype=bool),
        )
    )


def read(world: World, rows: Rows) -> Rows:
    """Return the rows as readers deliver them: some missed, some read twice.

    Rows that carry truth are always read, so that an anomaly's truth is there to be found; what the rules
    need beside it may be missed.
    """
    random = stream(world, "reading")
    draw = random.random((2, len(rows)))
    kept = (draw[0] >= world.noise.missed_reads) | (rows.truth > 0)
    behind_missed = np.zeros(len(rows), dtype=bool)
    behind_missed[1:] = ~kept[:-1] & (rows.code[1:] == rows.code[:-1])
    rows.benign = np.where(behind_missed & (rows.benign == 0), AFTER_MISSED, rows.benign).astype(np.int8)
    rows, again = rows.take(kept), draw[1][kept] < world.noise.rereads
    room = np.full(len(rows), _ROOM_SECONDS)
    room[:-1] = np.where(rows.code[1:] == rows.code[:-1], np.diff(rows.time), _ROOM_SECONDS)
    again &= (room >= _ROOM_SECONDS) & (rows.truth == 0) & (rows.aftermath == 0)
    more = rows.take(again)
    more.time = more.time + random.integers(1, 61, len(more))
    more.sent = more.time
    more.benign = np.full(len(more), REREAD, dtype=np.int8)
    return rows.add(more)


def send(world: World, rows: Rows, touched: np.ndarray) -> Rows:
    """Return the rows as files hold them: some sent late, some twice. `touched`: codes with an anomaly.

    Rows of those are sent in time, for lateness would change what event ids say of them.
    """
    random = stream(world, "sending")
    late = (random.random(len(rows)) < world.noise.late_rows) & ~touched[rows.code]
    latest = max(world.late_days * DAY, DAY + 1)
    rows.sent = rows.sent + late * random.integers(DAY, latest, len(rows))
    twice = rows.take(random.random(len(rows)) < world.noise.duplicate_rows)
    twice.sent = twice.sent + random.integers(60, 7200, len(twice))
    twice.copy = np.ones(len(twice), dtype=bool)
    return rows.add(twice)
