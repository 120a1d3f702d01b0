"""What a step writes: journeys with their new scans and verdicts, what the nightly chain is to get, alerts, and what
of the answers belongs to the sample."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from barcode_pipeline.events.places import NO_LOCATION_ID
from barcode_pipeline.sequences.lot_moves import LotMoves
from barcode_pipeline.serving.found import Found
from barcode_pipeline.serving.history import LIVE, Alert, Changes
from barcode_pipeline.serving.rows import BY_MODEL, ROW, labels_of_bits
from barcode_pipeline.serving.sample import Sample, Sampled


def changes_of(
    found: Found, verdicts: np.ndarray, moves: Mapping[str, bytes], now: int, day: int, last_events: int
) -> Changes:
    """verdicts: (F,) `VERDICT` of the new scans. moves: changes of the lots' moves. now: ms since 1970 UTC."""
    new = _new_rows(found, verdicts, now)
    keys, table = found.keys, found.given.table
    key = found.given.key[found.fresh]
    order = np.argsort(key, kind="stable")
    bounds = np.searchsorted(key[order], np.arange(len(keys.names) + 1))
    ordered = new[order]
    journeys = {
        keys.names[number]: _bounded((found.journeys[number] or b"") + ordered[first:last].tobytes(), last_events)
        for number, (first, last) in enumerate(pairwise(bounds))
        if last > first
    }
    codes = keys.codes.to_pylist()
    live = np.zeros(len(new), dtype=LIVE)
    for name in LIVE.names or ():
        live[name] = new[name]
    content = live.tobytes()
    pieces = (content[start : start + LIVE.itemsize] for start in range(0, len(content), LIVE.itemsize))
    epcs = (codes[place] if place >= 0 else "" for place in keys.code_of_key[key].tolist())
    used = np.unique(found.given.reading[found.fresh]).tolist()
    return Changes(
        journeys=journeys,
        lots=dict(zip(codes, keys.lots, strict=True)),
        readings={int(table.id[number]): table.texts[number] for number in used},
        moves=moves,
        live=list(zip(epcs, pieces, strict=True)),
        day=day,
        alerts=_alerts(found, new, key),
        now=now,
    )


def _new_rows(found: Found, verdicts: np.ndarray, now: int) -> np.ndarray:
    """The new scans as they are kept, (F,) `ROW`."""
    scans, given = found.scans, found.given
    scan, key = found.fresh - len(found.rows), given.key[found.fresh]
    new = np.zeros(len(scan), dtype=ROW)
    new["time"], new["event_id"], new["file_id"] = scans.time[scan], scans.event_id[scan], scans.file_id[scan]
    new["reading"], new["received"], new["verdict"] = given.table.id[given.reading[found.fresh]], now, verdicts
    arrivals = np.zeros(len(found.keys.names), dtype=np.int64)
    np.maximum.at(arrivals, given.key[: len(found.rows)], found.rows["arrival"])
    new["arrival"] = arrivals[key] + 1
    return new


def _bounded(content: bytes, last_events: int) -> bytes:
    """The last scans of a journey, as many as are kept."""
    if len(content) <= last_events * ROW.itemsize:
        return content
    rows = np.frombuffer(content, dtype=ROW)
    return rows[np.sort(np.argsort(rows["time"], kind="stable")[-last_events:])].tobytes()


def _alerts(found: Found, new: np.ndarray, key: np.ndarray) -> list[Alert]:
    """The alerts among new scans: what `/lstm` answers, whichever endpoint was asked."""
    rows = np.flatnonzero(new["verdict"]["lstm_labels"])
    if not len(rows):
        return []
    table, alerted = found.given.table, new[rows]
    place = table.place[found.given.reading[found.fresh[rows]]]
    location = table.places.location_id[place].tolist()
    names = table.places.name.take(place).to_pylist()
    verdict = alerted["verdict"]
    bits = verdict["lstm_labels"]
    scores = np.where(labels_of_bits(bits), np.round(verdict["lstm"].astype(np.float64) * 100, 4), 0.0)
    keys = [found.keys.names[number] for number in key[rows].tolist()]
    method = ["lstm" if one == BY_MODEL else "rule" for one in verdict["lstm_method"].tolist()]
    return [
        Alert(epc, time, event_id, reading, None if where == NO_LOCATION_ID else where, name, labels, tuple(score), how,
              received)
        for epc, time, event_id, reading, where, name, labels, score, how, received in zip(
            keys, alerted["time"].tolist(), alerted["event_id"].tolist(), alerted["reading"].tolist(), location, names,
            bits.tolist(), scores.tolist(), method, alerted["received"].tolist(), strict=True,
        )
    ]  # fmt: skip


def sampled_of(
    found: Found,
    verdicts: np.ndarray,
    lots: Mapping[str, LotMoves],
    sample: Sample,
    now: int,
    model: str | None,
    cold_start: int,
) -> list[Sampled]:
    """What of this step belongs to the sample of answers. verdicts: (H + N,) of all rows. lots: as they are now."""
    keys, given, out = found.keys, found.given, []
    for key in np.unique(given.key[found.fresh]).tolist():
        code = int(keys.code_of_key[key])
        if code < 0 or not sample.wants(keys.names[key]):
            continue
        rows = found.known[given.key[found.known] == key]
        new = np.flatnonzero(np.isin(rows, found.fresh))
        scans = [
            (int(given.time[row]), int(given.event_id[row]), given.table.clean[given.reading[row]])
            for row in rows.tolist()
        ]
        lot = keys.lots[code]
        moves = lots[lot].columns().tobytes()
        out.append(
            Sampled(keys.names[key], lot, now, scans, new.tolist(), verdicts[rows[new]], moves, model, cold_start)
        )
    return out
