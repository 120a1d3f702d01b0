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
    for column, label in enumerate(LABELS):
        group = of_all if label == "epcFake" else of_lot
        for name in ABOUT[label]:
            out[:, column] += surprise_in_group(features[:, FEATURE_NAMES.index(name)], group)
    same_site = np.asarray(features[:, FEATURE_NAMES.index("same_site")]) > 0
    out[~same_site, LABELS.index("evtOrderErr")] = 0.0
    out[same_site, LABELS.index("jump")] = 0.0
    return out


def oddity(features: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """How odd an event is for its lot and step in whatever way, (N,) float32: the sum of its three greatest surprises
    over all features. It finds what no label's features were chosen for."""
    group = step_of_lot(features, lot)
    greatest = np.zeros((3, len(features)), dtype=np.float32)
    for column in range(features.shape[1]):
        found = surprise_in_group(features[:, column], group)
        for place in range(len(greatest)):
            greatest[place], found = np.maximum(greatest[place], found), np.minimum(greatest[place], found)
    return greatest.sum(axis=0)


def step_of_lot(features: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """A number per lot and step, (N,) int64."""
    bits = np.asarray(features[:, _STEPS]) > 0
    step = bits @ (1 << np.arange(len(_STEPS), dtype=np.int64))
    return np.unique(step, return_inverse=True)[1] * (int(lot.max(initial=0)) + 1) + lot


def surprise_in_group(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """-log of the share of its group that lies in the same bin as each event, (N,) float32.

    values: (N,), in bins cut at `CUTS` of all events. group: (N,) int. An event alone in its group, or like
    all others there, has 0.
    """
    if not len(values):
        return np.zeros(0, dtype=np.float32)
    values = np.asarray(values, dtype=np.float32)
    edges = np.unique(np.quantile(values, CUTS, method="higher"))
    # Values that are common themselves have a bin of their own: most features are 0 or 1 for most events.
    place = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
    codes = np.unique(group, return_inverse=True)[1]
    width = 2 * len(edges) + 1
    cell = codes * width + place
    alike = np.bincount(cell, minlength=width * (codes.max() + 1))[cell]
    return np.log(np.bincount(codes)[codes] / alike).astype(np.float32)
