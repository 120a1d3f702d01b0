"""What a process keeps of the lots it has met: their moves, from which shipment features are computed.

The moves of a lot follow from the journeys of its EPCs, so nothing is lost where they are forgotten: they are made
again from the history. They are kept in step by the changes that each request brings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from barcode_pipeline.sequences.moves import Moves, sum_moves
from barcode_pipeline.serving.history import LotNews, Transaction

_COLUMNS = ("time", "place", "step", "from_time", "from_place", "from_step", "count", "serial")

MakeMoves = Callable[[Sequence[tuple[str, bytes]]], Moves]
"""Moves of some journeys, (key, rows) each."""


@dataclass(frozen=True)
class _Lot:
    version: int
    moves: Moves


class Lots:
    """The lots that were met last. Used by one thread at a time.

    Parameters
    ----------
    most: how many lots are kept.
    make: moves of journeys as they lie in the history.
    """

    def __init__(self, most: int, make: MakeMoves) -> None:
        self._most = most
        self._make = make
        self._kept: OrderedDict[str, _Lot] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, transaction: Transaction, lots: Sequence[str]) -> dict[str, _Lot]:
        """The moves of some lots as they are now in the history."""
        versions = {lot: self._kept[lot].version if lot in self._kept else None for lot in lots}
        found = {lot: self._brought_up(lot, news) for lot, news in transaction.lots(versions).items()}
        self._kept.update(found)
        for lot in found:
            self._kept.move_to_end(lot)
        while len(self._kept) > max(self._most, len(found)):
            self._kept.popitem(last=False)
        return found

    def _brought_up(self, lot: str, news: LotNews) -> _Lot:
        if news.journeys is not None:
            moves = self._make(news.journeys)
            return _Lot(news.version, moves if len(moves.lots) else moves_of_bytes(lot, b""))
        known = self._kept[lot].moves
        if news.changes:
            known = sum_moves([(known, 1), *((moves_of_bytes(lot, change), 1) for change in news.changes)])
        return _Lot(news.version, known)

    def keep(self, changed: Mapping[str, Moves]) -> None:
        """Take over what a transaction has written, where no version tells of it."""
        for lot, moves in changed.items():
            if lot in self._kept:
                self._kept[lot] = _Lot(self._kept[lot].version, moves)

    def forget(self) -> None:
        self._kept.clear()


def split_moves(moves: Moves) -> dict[str, Moves]:
    """Moves lot by lot."""
    bounds = np.searchsorted(moves.lot, np.arange(len(moves.lots) + 1))
    out = {}
    for number, lot in enumerate(moves.lots.to_pylist()):
        rows = slice(bounds[number], bounds[number + 1])
        columns = {name: getattr(moves, name)[rows] for name in _COLUMNS}
        out[lot] = _of_one_lot(lot, columns)
    return out


def bytes_of_moves(moves: Moves, times: int = 1) -> bytes:
    """Moves of one lot, to be kept or sent; -1 times where they are taken away."""
    columns = [getattr(moves, name) * (times if name == "count" else 1) for name in _COLUMNS]
    return np.stack(columns, axis=1).astype("<i8").tobytes()


def moves_of_bytes(lot: str, content: bytes) -> Moves:
    columns = np.frombuffer(content, dtype="<i8").reshape(-1, len(_COLUMNS)).T.copy()
    return _of_one_lot(lot, dict(zip(_COLUMNS, columns, strict=True)))


def _of_one_lot(lot: str, columns: Mapping[str, np.ndarray]) -> Moves:
    return Moves(lot=np.zeros(len(columns["time"]), np.int32), lots=pa.array([lot]), **columns)
