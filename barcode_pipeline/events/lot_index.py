"""Which dates hold which lots: so that history is read from the dates that have it, and no other file is opened.

A cache: one small file, brought up to date by the size and time of change of the date files it was made from, and made
anew from them where it is missing or cannot be read.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from barcode_pipeline.events.codes import lots_of
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import FORMAT_VERSION
from barcode_pipeline.events.hashes import lot_buckets, lot_hashes
from barcode_pipeline.events.text import dictionary_array, dictionary_codes

_COLUMNS = ("day", "lot", "highest", "rows", "bucket")
NO_IDS = -1
"""Highest event id of a lot on a date where no row of it has one."""


@dataclass(frozen=True)
class LotDates:
    """Lots by date. seen: (D,) int64 days whose file was looked at, ascending; size, changed: (D,) of its file.

    day, lot, highest, rows, bucket: (R,), a row per date and lot on it: the day, the lot's hash (uint64), the highest
    event id, how many rows, and by what lots are split (`hashes.lot_buckets`, uint32).
    """

    seen: np.ndarray
    size: np.ndarray
    changed: np.ndarray
    day: np.ndarray
    lot: np.ndarray
    highest: np.ndarray
    rows: np.ndarray
    bucket: np.ndarray

    def lots_of(self, days: Iterable[int]) -> np.ndarray:
        """Hashes of the lots on some days, distinct."""
        return np.unique(self.lot[np.isin(self.day, list(days))])

    def days_of(self, lots: np.ndarray) -> np.ndarray:
        """The days that hold one of some lots, ascending."""
        return np.unique(self.day[np.isin(self.lot, lots)])

    def days_from(self, lots: np.ndarray, first_day: np.ndarray) -> np.ndarray:
        """The days that hold one of some lots from a day of each lot's own on, ascending. lots: distinct, sorted."""
        position, known = _find(lots, self.lot)
        return np.unique(self.day[known & (self.day >= np.append(first_day, 0)[position])])

    def days_with_higher_ids(self, lots: np.ndarray, lowest: np.ndarray) -> np.ndarray:
        """The days on which one of some lots has an event id above a number of its own. lots: distinct, sorted."""
        position, known = _find(lots, self.lot)
        return np.unique(self.day[known & (self.highest > np.append(lowest, 0)[position])])


def _find(lots: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(place of each wanted lot in `lots`, whether it is there)."""
    position = np.minimum(np.searchsorted(lots, wanted), max(len(lots) - 1, 0))
    return position, lots[position] == wanted if len(lots) else np.zeros(len(wanted), np.bool_)


_KINDS = (np.int64, np.int64, np.int64, np.int64, np.uint64, np.int64, np.int64, np.uint32)
_NOTHING = LotDates(*(np.zeros(0, kind) for kind in _KINDS))


class LotIndex:
    """The lots of a store's dates.

    Parameters
    ----------
    path: of the cache.
    store: whose dates are looked at; it has columns `epc_code` and `event_id`.
    """

    def __init__(self, path: Path, store: DateStore) -> None:
        self.path = path
        self.store = store

    def read(self) -> LotDates:
        """The lots of every date as the store is now; only files that are new or have changed are opened."""
        kept = self._load()
        days, size, changed = _signatures(self.store)
        same = _same_file(kept, days, size, changed)
        if len(days) == len(kept.seen) and same.all():
            return kept
        fresh = days[~same]
        still = np.isin(kept.day, days[same])
        found = self._lots(fresh.tolist())
        made = LotDates(
            days,
            size,
            changed,
            *(np.concatenate([getattr(kept, name)[still], column]) for name, column in found.items()),
        )
        self._save(made)
        return made

    def days_with_history(self, days: Collection[int], candidates: Sequence[int]) -> list[int]:
        """Which of the candidates may hold events of the lots on some days. Dates that the store lacks are kept:
        nothing is known of them."""
        if not candidates:
            return []
        index = self.read()
        near = set(index.days_of(index.lots_of(days)).tolist())
        unknown = set(candidates) - set(index.seen.tolist())
        return [day for day in candidates if day in near or day in unknown]

    def _lots(self, days: list[int]) -> dict[str, np.ndarray]:
        table = self.store.read(days, ("epc_code", "event_time", "event_id"))
        codes = dictionary_array(table.column("epc_code"))
        epc = dictionary_codes(codes)
        day = table.column("event_time").to_numpy().astype("datetime64[D]").astype(np.int64)
        ids = table.column("event_id").fill_null(NO_IDS).to_numpy()
        names = lots_of(codes.dictionary)
        bucket = np.append(lot_buckets(names.dictionary)[names.indices.to_numpy()], np.uint32(0))
        lot = np.append(lot_hashes(codes.dictionary), np.uint64(0))
        rows = pd.DataFrame({"day": day, "lot": lot[epc], "highest": ids, "rows": ids, "bucket": bucket[epc]})
        of_lots = rows[epc >= 0].groupby(["day", "lot"], sort=False)
        found = of_lots.agg({"highest": "max", "rows": "size", "bucket": "first"}).reset_index()
        return {name: found[name].to_numpy(kind) for name, kind in zip(_COLUMNS, _KINDS[3:], strict=True)}

    def _load(self) -> LotDates:
        try:
            with np.load(self.path) as arrays:
                if int(arrays["version"]) != FORMAT_VERSION:
                    return _NOTHING
                return LotDates(*(arrays[name] for name in LotDates.__dataclass_fields__))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return _NOTHING

    def _save(self, made: LotDates) -> None:
        with written_beside(self.path) as beside, beside.open("wb") as stream:
            np.savez(stream, version=FORMAT_VERSION, **made.__dict__)


def _signatures(store: DateStore) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(days, size, time of change in ns) of a store's files, by day."""
    files = sorted(store.files().items())
    days, stats = [day for day, _ in files], [file.stat() for _, file in files]
    size = np.fromiter((stat.st_size for stat in stats), np.int64, len(days))
    return np.array(days, dtype=np.int64), size, np.fromiter((stat.st_mtime_ns for stat in stats), np.int64, len(days))


def _same_file(kept: LotDates, days: np.ndarray, size: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """(D,) bool, the days whose file is the one that was looked at."""
    position, known = _find(kept.seen, days)
    if not len(kept.seen):
        return known
    return known & (kept.size[position] == size) & (kept.changed[position] == changed)
