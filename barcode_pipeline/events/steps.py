"""Levels and directions: what the words of `business_step` and `event_type` mean.

Source: the rules' contract, "Reading a row".
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

LEVEL_NAMES = ("Factory", "WMS", "Logistics_HUB", "Wholesaler", "Retailer", "POS_Sell")
LEVEL_UNKNOWN = 6
"""Sorts last, as unknown levels do."""

IN, OUT, SALE, OTHER, MISSING = range(5)
DIRECTION_NAMES = ("in", "out", "sale", "other", "missing")

_NAMES_OF_LEVEL = (
    ("factory", "aggregation"),
    ("wms", "warehouse"),
    ("logistics_hub", "hub"),
    ("w_stock", "wholesaler", "distribution"),
    ("r_stock", "retailer", "retail"),
    ("pos_sell",),
)
_LEVEL_OF_WORD = {
    name + tail: level
    for level, names in enumerate(_NAMES_OF_LEVEL)
    for name in names
    for tail in ("", "_inbound", "_outbound")
}
_DIRECTION_OF_WORD = (
    {"inbound": IN, "outbound": OUT, "aggregation": IN, "pos_sell": SALE}
    | {name + "_inbound": IN for names in _NAMES_OF_LEVEL for name in names}
    | {name + "_outbound": OUT for names in _NAMES_OF_LEVEL for name in names}
)


def level_of_word(word: str | None) -> int:
    """Level 0 to 5 of one word, `LEVEL_UNKNOWN` where the word is missing or not known."""
    return LEVEL_UNKNOWN if word is None else _LEVEL_OF_WORD.get(word.lower(), LEVEL_UNKNOWN)


def direction_of_word(word: str | None) -> int:
    """`IN`, `OUT`, `SALE`, `OTHER` or `MISSING` of one event type."""
    return MISSING if word is None else _DIRECTION_OF_WORD.get(word.lower(), OTHER)


def levels_of_dictionary(words: pa.Array) -> np.ndarray:
    """Level of each word of a dictionary, with one more at the end for a missing word (code -1)."""
    return np.array([level_of_word(word) for word in words.to_pylist()] + [LEVEL_UNKNOWN], dtype=np.int8)


def directions_of_dictionary(words: pa.Array) -> np.ndarray:
    """Direction of each event type of a dictionary, with one more at the end for a missing one."""
    return np.array([direction_of_word(word) for word in words.to_pylist()] + [MISSING], dtype=np.int8)
