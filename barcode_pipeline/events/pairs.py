"""Numbering the distinct pairs of two columns of integers, and finding a pair again: one compiled hash table."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.compiled import compiled


@compiled
def _mixed(first: int, second: int) -> np.int64:
    """A hash of two integers."""
    word = np.uint64(first) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(second)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((word ^ (word >> np.uint64(31))) >> np.uint64(2))


@compiled
def index_pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number the distinct pairs of two columns, (N,) each, from 0 in the order of their first appearance.

    Returns the number of each pair (N,) int32, and what `find_pair` needs: a hash table and the distinct pairs.
    """
    size = 16
    while size < 2 * len(first):
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    pairs_first = np.empty(len(first), dtype=np.int64)
    pairs_second = np.empty(len(first), dtype=np.int64)
    number = np.empty(len(first), dtype=np.int32)
    found = 0
    for row in range(len(first)):
        slot = _mixed(first[row], second[row]) & (size - 1)
        while table[slot] >= 0:
            pair = table[slot]
            if pairs_first[pair] == first[row] and pairs_second[pair] == second[row]:
                break
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot] = found
            pairs_first[found] = first[row]
            pairs_second[found] = second[row]
            found += 1
        number[row] = table[slot]
    return number, table, pairs_first[:found], pairs_second[:found]


@compiled
def number_pair(
    table: np.ndarray, pairs_first: np.ndarray, pairs_second: np.ndarray, found: int, first: int, second: int
) -> int:
    """The number of one pair among `found`; `found` itself where it is new, and it is added then.

    For one pair after the other: `index_pairs` takes half as long with its own loop.
    """
    slot = _mixed(first, second) & (len(table) - 1)
    while table[slot] >= 0:
        pair = table[slot]
        if pairs_first[pair] == first and pairs_second[pair] == second:
            break
        slot = (slot + 1) & (len(table) - 1)
    if table[slot] < 0:
        table[slot], pairs_first[found], pairs_second[found] = found, first, second
    return table[slot]


@compiled
def number_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The number of each pair alone, (N,) int32."""
    return index_pairs(first, second)[0]


@compiled
def find_pair(table: np.ndarray, pairs_first: np.ndarray, pairs_second: np.ndarray, first: int, second: int) -> int:
    """The number of one pair, -1 where it was not among those of `index_pairs`."""
    slot = _mixed(first, second) & (len(table) - 1)
    while table[slot] >= 0:
        pair = table[slot]
        if pairs_first[pair] == first and pairs_second[pair] == second:
            return pair
        slot = (slot + 1) & (len(table) - 1)
    return -1


def first_rows(number: np.ndarray) -> np.ndarray:
    """The first row that bears each number from 0 on, (D,) int64. number: (N,), none of them left out."""
    first = np.empty(number.max(initial=-1) + 1, dtype=np.int64)
    first[number[::-1]] = np.arange(len(number))[::-1]
    return first
