"""How unusual an event is for its lot, for each label by the features that the label is about.

No model and no label enters: what nobody has learnt to see can still be rare. Histograms per lot and step, as in
Goldstein and Dengel, "Histogram-based outlier score (HBOS)", 2012; linear in the number of events.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.sequences.features import FEATURE_NAMES

CUTS = (0.002, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.998)
"""Shares of all events below the edges of the bins: narrow where a value is extreme."""

ABOUT: Mapping[str, tuple[str, ...]] = {
    "epcFake": (
        "days_since_manufacture", "years_since_manufacture", "code_company_registered", "lot_never_made",
        "serial_beyond",
    ),
    "epcDup": (
        "sites_in_second", "lot_log_share_of_step", "lot_log_share_of_origin", "companions_share_moved",
        "companions_log_elsewhere", "stream_elsewhere", "stream_behind",
    ),
    "locErr": (
        "lot_log_share_of_site", "lot_log_share_onward", "lot_log_arriving", "companions_log_here",
        "companions_log_elsewhere", "stream_here", "stream_elsewhere",
    ),
    "evtOrderErr": (
        "log_hours_since_previous", "lot_time_deviation", "lot_log_share_of_step", "lot_log_share_of_origin",
        "companions_share_moved",
    ),
    "jump": (
        "log_time_over_fastest", "transit_deviation", "lot_time_deviation", "lot_log_arriving",
        "lot_hours_since_first", "companions_share_moved", "stream_hours",
    ),
}  # fmt: skip
"""The features that each label is about, by the label's meaning: the code; one item in two places; the place; the
order and the stay at one place; the travel between places."""

_STEPS = [
    place
    for place, name in enumerate(FEATURE_NAMES)
    if name.startswith(("level_", "direction_")) and name != "level_change"
]


def lot_rarity(features: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """Rarity of every event, (N, 5) float32, higher is rarer. features: (N, F) of `FEATURE_NAMES`; lot: (N,) int.

    An event is compared with the events of its lot at the same step (level and direction); its code with those of
    all lots, since a lot may be made up altogether.
    """
    of_lot, of_all = step_of_lot(features, lot), step_of_lot(features, np.zeros_like(lot))
    out = np.zeros((len(features), len(LABELS)), dtype=np.float32)
    for group, labels in ((of_all, ("epcFake",)), (of_lot, [label for label in LABELS if label != "epcFake"])):
        # A feature is about several labels.
        found = {
            name: surprise_in_group(features[:, FEATURE_NAMES.index(name)], group)
            for name in sorted({name for label in labels for name in ABOUT[label]})
        }
        for label in labels:
            for name in ABOUT[label]:
                out[:, LABELS.index(label)] += found[name]
    same_site = np.asarray(features[:, FEATURE_NAMES.index("same_site")]) > 0
    out[~same_site, LABELS.index("evtOrderErr")] = 0.0
    out[same_site, LABELS.index("jump")] = 0.0
    return out


def step_of_lot(features: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """A number per lot and step, (N,) int64, from 0 on without gaps."""
    bits = np.asarray(features[:, _STEPS]) > 0
    step = bits @ (1 << np.arange(len(_STEPS), dtype=np.int64))
    number = np.unique(step, return_inverse=True)[1] * (int(lot.max(initial=0)) + 1) + lot
    return np.unique(number, return_inverse=True)[1]


def surprise_in_group(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """-log of the share of its group that lies in the same bin as each event, (N,) float32.

    values: (N,) float16, in bins cut at `CUTS` of all events. group: (N,) int, from 0 on without gaps. An event alone
    in its group, or like all others there, has 0.
    """
    if not len(values):
        return np.zeros(0, dtype=np.float32)
    place, bins = _bins(np.ascontiguousarray(values, dtype=np.float16))
    groups = int(group.max()) + 1
    cell = group * bins + place
    alike = np.bincount(cell, minlength=groups * bins)
    size = np.bincount(group, minlength=groups)
    # Of each cell once: there are fewer of them than events.
    surprise = np.log(np.repeat(np.maximum(size, 1), bins) / np.maximum(alike, 1)).astype(np.float32)
    return np.asarray(surprise[cell])


def _bins(values: np.ndarray) -> tuple[np.ndarray, int]:
    """(bin of each value, how many bins). There are 65,536 float16 numbers: each is placed once, however many events
    bear it."""
    bits = values.view(np.uint16)
    counts = np.bincount(bits, minlength=1 << 16)
    known = np.flatnonzero(counts)
    number = known.astype(np.uint16).view(np.float16).astype(np.float32)
    order = np.argsort(number, kind="stable")
    upto = np.cumsum(counts[known[order]])
    # What np.quantile(values, CUTS, method="higher") is.
    rank = np.ceil(np.array(CUTS) * (len(values) - 1)).astype(np.int64)
    edges = np.unique(number[order][np.searchsorted(upto, rank, side="right")])
    # Values that are common themselves have a bin of their own: most features are 0 or 1 for most events.
    of_number = np.zeros(1 << 16, dtype=np.int64)
    of_number[known] = np.searchsorted(edges, number, side="left") + np.searchsorted(edges, number, side="right")
    return of_number[bits], 2 * len(edges) + 1
