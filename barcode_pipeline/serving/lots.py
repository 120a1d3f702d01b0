"""What a process keeps of the lots it has met: their moves, from which shipment features are computed.

The moves of a lot follow from the journeys of its EPCs, so nothing is lost where they are forgotten: they are made
again from the history. They are kept in step by the changes that each request brings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from barcode_pipeline.sequences.lot_moves import LotMoves, columns_of, split_changes
from barcode_pipeline.sequences.lot_numbers import COLUMNS
from barcode_pipeline.sequences.moves import Moves
from barcode_pipeline.serving.history import LotNews, Transaction

MakeMoves = Callable[[Sequence[tuple[str, bytes]]], Moves]
"""Moves of the journeys of one lot, (key, rows) each."""


@dataclass
class _Lot:
    version: int
    moves: LotMoves


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

    def read(self, transaction: Transaction, lots: Sequence[str]) -> dict[str, LotMoves]:
        """The moves of some lots as they are now in the history."""
        versions = {lot: self._kept[lot].version if lot in self._kept else None for lot in lots}
        for lot, news in transaction.lots(versions).items():
            self._bring_up(lot, news)
            self._kept.move_to_end(lot)
        while len(self._kept) > max(self._most, len(versions)):
            self._kept.popitem(last=False)
        return {lot: self._kept[lot].moves for lot in lots}

    def _bring_up(self, lot: str, news: LotNews) -> None:
        if news.journeys is not None:
            self._kept[lot] = _Lot(news.version, LotMoves(columns_of(self._make(news.journeys))))
            return
        kept = self._kept[lot]
        if news.changes:
            change = np.concatenate([columns_of_bytes(content) for content in news.changes])
            added = split_changes(change, np.zeros(len(change), np.int64), [lot])
            kept.moves.change(added.get(lot, change[:0]))
        kept.version = news.version

    def change(self, changes: Mapping[str, np.ndarray]) -> None:
        """Change lots as a transaction is about to; it is settled, or undone, when that has ended."""
        for lot, change in changes.items():
            self._kept[lot].moves.change(change)

    def settle(self, changes: Mapping[str, np.ndarray], versions: Mapping[str, int] | None) -> None:
        """versions: of the lots after the transaction; None where they stay while this process alone writes."""
        if versions is None:
            return
        for lot, change in changes.items():
            kept = self._kept[lot]
            if versions.get(lot) == kept.version + 1:
                kept.version += 1
            else:
                # Others came between: theirs and ours are read together, next time.
                kept.moves.change(_undone(change))

    def undo(self, changes: Mapping[str, np.ndarray]) -> None:
        for lot, change in changes.items():
            self._kept[lot].moves.change(_undone(change))

    def forget(self, lots: Iterable[str] | None = None) -> None:
        """Some lots, or all: they are made again from the history when they are met next."""
        if lots is None:
            self._kept.clear()
            return
        for lot in lots:
            self._kept.pop(lot, None)


def _undone(change: np.ndarray) -> np.ndarray:
    out = change.copy()
    out[:, COLUMNS.index("count")] *= -1
    return out


def columns_of_bytes(content: bytes) -> np.ndarray:
    """`lot_numbers.COLUMNS` as they were kept."""
    return np.frombuffer(content, dtype="<i8").reshape(-1, len(COLUMNS)).astype(np.int64)


def moves_of_bytes(lot: str, content: bytes) -> Moves:
    columns = np.ascontiguousarray(columns_of_bytes(content).T)
    named = dict(zip(COLUMNS, columns, strict=True))
    return Moves(lot=np.zeros(columns.shape[1], np.int32), lots=pa.array([lot], pa.string()), **named)
