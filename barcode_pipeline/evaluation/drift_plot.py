"""The figures of drift over time, drawn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from barcode_pipeline.evaluation.naming import LABEL_COLOURS
from barcode_pipeline.evaluation.plots import laid_out, plain_axes, png_of
from barcode_pipeline.events.formats import ALERTS, LABELS

_PANELS = (
    ("Farthest feature from training (population stability index)", {"highest_index": "highest of all features"}),
    ("Alerts, share of scans", {f"{alert}_rate": label for alert, label in zip(ALERTS, LABELS, strict=True)}),
    (
        "Not seen before, share of scans",
        {"unseen_sites": "sites", "unseen_products": "products", "unseen_lots": "lots"},
    ),
    ("Journeys without an end, share of EPCs", {"silent_epcs": "not seen since, not sold"}),
)


def drift_png(dates: np.ndarray, figures: Mapping[str, np.ndarray]) -> bytes:
    """dates: (D,) datetime64[D], ascending. figures: by name, (D,) float64 each, NaN where a date has none."""
    figure = laid_out((10.5, 5.6), left=0.05, right=0.985, bottom=0.085, top=0.94, across=0.12, along=0.32)
    for axes, (title, lines) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold")
        plain_axes(axes)
        for name, word in lines.items():
            if name in figures:
                colour = LABEL_COLOURS.get(word)
                axes.plot(dates, figures[name], marker="o", markersize=2.2, linewidth=1, label=word, color=colour)
        if axes.lines:
            axes.legend(frameon=False, fontsize=7.5, loc="upper left")
        axes.set_ylim(bottom=0)
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return png_of(figure)
