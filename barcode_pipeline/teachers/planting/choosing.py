"""Where a family is planted: single items, and groups out of one shipment, never two families on one EPC."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.teachers.planting.board import Anchors, Board


def choose(board: Board, candidate: np.ndarray, wanted: int, grouped: float, largest: int) -> Anchors:
    """Anchors on about `wanted` free journeys; fewer where there are no more.

    candidate: (N,) bool, events at which the family could be planted. grouped: share of the journeys that are chosen
    in groups of 2 to `largest` of one shipment, and never more than half of it.
    """
    rows = np.flatnonzero(candidate & board.free)
    groups, group_of = _groups(board, rows, round(wanted * grouped), largest)
    taken = np.isin(board.journey[rows], board.journey[groups])
    singles = _one_per_journey(board, board.random.permutation(rows[~taken]))
    singles = board.random.permutation(singles)[: max(0, wanted - len(groups))]
    count = int(group_of.max() + 1) if len(groups) else 0
    anchors = Anchors(
        np.concatenate([groups, singles]).astype(np.int64),
        np.concatenate([group_of, count + np.arange(len(singles))]).astype(np.int64),
        count + len(singles),
    )
    by_row = np.argsort(anchors.row)
    return Anchors(anchors.row[by_row], anchors.incident[by_row], anchors.count)


def _one_per_journey(board: Board, rows: np.ndarray) -> np.ndarray:
    """The first of the rows of each journey."""
    return rows[np.unique(board.journey[rows], return_index=True)[1]]


def _groups(board: Board, rows: np.ndarray, wanted: int, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows (n,), number of the group of each (n,))."""
    none = np.zeros(0, dtype=np.int64)
    if wanted < 2 or largest < 2 or not len(rows):
        return none, none
    mixed = board.random.permutation(rows)
    shipment, member, available = np.unique(board.shipment[mixed], return_inverse=True, return_counts=True)
    member = member.reshape(-1)
    whole = np.bincount(board.shipment)[shipment]
    # Most groups are small; squaring draws them so.
    size = 2 + np.floor((largest - 1) * board.random.random(len(shipment)) ** 2).astype(np.int64)
    size = np.minimum(np.minimum(size, available), whole // 2)
    order = board.random.permutation(np.flatnonzero(size >= 2))
    within = order[: np.searchsorted(np.cumsum(size[order]), wanted) + 1]
    number = np.full(len(shipment), -1, dtype=np.int64)
    number[within] = np.arange(len(within))
    by_shipment = np.argsort(member, kind="stable")
    rank = np.empty(len(mixed), dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(available)[:-1]])
    rank[by_shipment] = np.arange(len(mixed)) - np.repeat(starts, available)
    chosen = (number[member] >= 0) & (rank < size[member])
    found, group = mixed[chosen], number[member[chosen]]
    # A journey may have been drawn with two of its shipments.
    first = np.unique(board.journey[found], return_index=True)[1]
    found, group = found[first], group[first]
    return found, np.unique(group, return_inverse=True)[1].reshape(-1)
