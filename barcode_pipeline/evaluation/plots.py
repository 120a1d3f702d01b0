"""Plots as PNG bytes. They draw what they are given; numbers come from `curves`, names and colours from `naming`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from barcode_pipeline.evaluation.curves import (
    confusion,
    precision_recall_curve,
    recall_against_false_alerts,
    reliability_bins,
    score_histogram,
)
from barcode_pipeline.evaluation.metrics import Detections
from barcode_pipeline.evaluation.naming import LABEL_COLOURS, LABEL_MEANINGS, model_colour, model_name
from barcode_pipeline.evaluation.resampling import MINIMUM_POSITIVES
from barcode_pipeline.events.formats import LABELS

DPI = 110
_GREY, _POSITIVE, _NEGATIVE = "#666666", "#c8402f", "#9aa7b5"
_PANELS = (*LABELS, "any")
_LSTMS = ("lstm", "lstm_challenger", "lstm_rule_labels")

_Draw = Callable[[Axes, np.ndarray, np.ndarray, str], None]


def precision_recall_png(
    detections: Sequence[Detections], positive: np.ndarray, counted: np.ndarray, subtitle: str
) -> bytes:
    """Precision over recall, one panel per label and one for any. positive, counted: (N, 6) bool, as in `View`."""

    def draw(axes: Axes, probability: np.ndarray, positives: np.ndarray, model: str) -> None:
        curve = precision_recall_curve(probability, positives)
        recall, precision = np.append(0.0, curve.recall), np.append(curve.precision[:1], curve.precision)
        axes.plot(recall, precision, drawstyle="steps-pre", **_line(model))

    figure, panels = _panels(f"Precision over recall\n{subtitle}", "recall", "precision")
    _draw_detectors(figure, panels, detections, positive, counted, draw)
    for axes in panels:
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    return png_of(figure)


def false_alerts_png(
    detections: Sequence[Detections], positive: np.ndarray, counted: np.ndarray, subtitle: str
) -> bytes:
    """Recall over false alerts per 10,000 scans, one panel per label and one for any. Arrays as above."""

    def draw(axes: Axes, probability: np.ndarray, positives: np.ndarray, model: str) -> None:
        curve = recall_against_false_alerts(probability, positives)
        axes.plot(curve.false_alerts_per_10k, curve.recall, drawstyle="steps-post", **_line(model))

    title = f"Recall against false alerts\n{subtitle}"
    figure, panels = _panels(title, "false alerts per 10,000 scans", "recall")
    _draw_detectors(figure, panels, detections, positive, counted, draw)
    for axes in panels:
        axes.set_xscale("symlog", linthresh=1.0)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks([0, 1, 10, 100, 1000])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        # Beyond a tenth of all scans nobody would look at the alerts, and a detector without scores jumps to all.
        axes.set(xlim=(-0.08, 1000), ylim=(-0.02, 1.04))
    return png_of(figure)


def reliability_png(
    detections: Sequence[Detections], positive: np.ndarray, counted: np.ndarray, subtitle: str
) -> bytes:
    """Share of positives over probability in the bins of the calibration error. Arrays as above."""

    def draw(axes: Axes, probability: np.ndarray, positives: np.ndarray, model: str) -> None:
        bins = reliability_bins(probability, positives)
        axes.plot(bins.probability, bins.positive_share, marker="o", markersize=3.5, **_line(model))

    title = f"Reliability, ten bins of equal count over events of probability 0.05 or more\n{subtitle}"
    figure, panels = _panels(title, "mean probability", "share of positives")
    for axes in panels:
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    spoken = [item for item in detections if item.model != "rules"]
    _draw_detectors(figure, panels, spoken, positive, counted, draw)
    return png_of(figure)


def score_histograms_png(detector: Detections, positive: np.ndarray, counted: np.ndarray, subtitle: str) -> bytes:
    """Events per bin of probability, positives and negatives, one panel per label and one for any. Arrays as above."""
    title = f"Probabilities of the {model_name(detector.model)}\n{subtitle}"
    figure, panels = _panels(title, "probability", "events", shared_height=False)
    for place, axes in enumerate(panels):
        judged = _judged(detector, place, positive, counted)
        axes.set(xlim=(0, 1), yscale="log")
        if judged is None:
            _say(axes, "does not speak for this label")
            continue
        bins = score_histogram(judged[0], judged[1])
        axes.stairs(bins.negatives, bins.edges, baseline=0.7, fill=True, color=_NEGATIVE, alpha=0.75)
        axes.stairs(bins.positives, bins.edges, baseline=0.7, fill=True, color=_POSITIVE, alpha=0.45)
        axes.stairs(bins.positives, bins.edges, baseline=0.7, color=_POSITIVE, linewidth=1.2)
        axes.set_ylim(0.7, max(10.0, 2.0 * max(bins.negatives.max(), bins.positives.max())))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    lines = [Line2D([], [], color=colour, linewidth=7, alpha=0.7) for colour in (_POSITIVE, _NEGATIVE)]
    figure.legend(lines, ["positives", "negatives"], loc="lower center", ncols=2, frameon=False)
    return png_of(figure)


def confusion_png(detector: Detections, positive: np.ndarray, counted: np.ndarray, subtitle: str) -> bytes:
    """Counts of label by alert, one square per label and one for any; the shade is the share within a row."""
    figure = laid_out((11.0, 2.9), left=0.07, right=0.99, bottom=0.1, top=0.75, across=0.12)
    figure.suptitle(f"Alerts of the {model_name(detector.model)}\n{subtitle}", fontsize=11)
    row = figure.subplots(1, len(_PANELS))
    for place, axes in enumerate(row):
        axes.set_title(_PANELS[place], fontsize=10, fontweight="bold")
        judged = _judged(detector, place, positive, counted)
        if judged is None:
            axes.set(xticks=[], yticks=[])
            _say(axes, "does not speak")
            continue
        counts = confusion(judged[2], judged[1])
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1.25)
        for (across, along), count in np.ndenumerate(counts):
            shade = "white" if share[across, along] > 0.6 else "#222222"
            text = f"{count:,}\n{100 * share[across, along]:.2f} %"
            axes.text(along, across, text, ha="center", va="center", color=shade, fontsize=8.5)
        axes.set_xticks([0, 1], ["quiet", "alert"], fontsize=8.5)
        axes.set_yticks([0, 1], ["negative", "positive"] if place == 0 else ["", ""], fontsize=8.5)
        axes.tick_params(length=0)
    return png_of(figure)


def training_curves_png(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Losses and validation F1 over epochs: dicts of epoch, train_loss, validation_loss, validation_macro_f1."""
    figure = laid_out((9.5, 3.4), left=0.09, right=0.985, bottom=0.24, top=0.91, across=0.22)
    losses, scores = figure.subplots(1, 2)
    epochs = [item["epoch"] for item in history]

    def series(name: str) -> np.ndarray:
        return np.array([item.get(name, np.nan) for item in history], dtype=float)

    marker = "o" if len(epochs) < 15 else None
    style: dict[str, Any] = {"linewidth": 1.8, "marker": marker, "markersize": 3.5}
    losses.plot(epochs, series("train_loss"), color=_GREY, label="training", **style)
    losses.plot(epochs, series("validation_loss"), color=model_colour("lstm"), label="validation", **style)
    losses.set(title="Loss", ylabel="binary cross-entropy", yscale="log")
    losses.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    losses.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    losses.yaxis.set_minor_locator(NullLocator())
    scores.plot(epochs, series("validation_macro_f1"), color=model_colour("lstm"), **style)
    scores.set(title="Macro F1 on validation lots", ylabel="macro F1", ylim=(0, 1.03))
    best = series("validation_loss")
    for axes in (losses, scores):
        plain_axes(axes)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(best) and not np.isnan(best).all():
            chosen = epochs[int(np.nanargmin(best))]
            axes.axvline(chosen, color=_GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1, label="lowest loss")
    figure.legend(*losses.get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False, fontsize=9)
    return png_of(figure)


def label_rates_png(dates: Sequence[Any] | np.ndarray, rates: np.ndarray, cut: Any = None) -> bytes:
    """Share of events with each rule label by date. dates: (D,). rates: (D, 5) in 0..1. cut: the split's moment."""
    figure = laid_out((9.5, 6.2), left=0.055, right=0.985, bottom=0.08, top=0.89, along=0.5)
    figure.suptitle("Rule labels per 10,000 scans by date", fontsize=11)
    days = np.asarray(dates, dtype="datetime64[D]")
    column = figure.subplots(len(LABELS), 1, sharex=True)
    for place, (axes, label) in enumerate(zip(column, LABELS, strict=True)):
        per_10k = 10_000 * np.asarray(rates, dtype=float)[:, place]
        axes.fill_between(days, per_10k, color=LABEL_COLOURS[label], alpha=0.15, linewidth=0)
        axes.plot(days, per_10k, color=LABEL_COLOURS[label], linewidth=1.4, marker="o", markersize=2)
        axes.set_title(f"{label}: {LABEL_MEANINGS[label]}", loc="left", fontsize=9)
        axes.set_ylim(0, max(1.0, 1.15 * np.nanmax(per_10k, initial=0.0)))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        plain_axes(axes)
        if cut is not None:
            axes.axvline(np.datetime64(cut), color=_GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    if cut is not None:
        column[0].annotate(
            "cut between training and evaluation",
            (float(date2num(np.datetime64(cut))), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=_GREY,
        )
    if len(days):
        column[-1].set_xlim(days[0] - np.timedelta64(1, "D"), days[-1] + np.timedelta64(1, "D"))
    locator = AutoDateLocator()
    column[-1].xaxis.set_major_locator(locator)
    column[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return png_of(figure)


def _panels(title: str, across: str, along: str, shared_height: bool = True) -> tuple[Figure, list[Axes]]:
    """Six panels, one per label and one for any, with the same axes: ticks are written once, at the margin."""
    left = 0.065 if shared_height else 0.08
    figure = laid_out((10.5, 6.9), left, right=0.985, bottom=0.15, top=0.87, across=0.06 if shared_height else 0.2)
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(2, 3, sharex=True, sharey=shared_height)
    for place, (axes, label) in enumerate(zip(grid.flat, _PANELS, strict=True)):
        axes.set_title(label, loc="left", fontsize=10, fontweight="bold")
        axes.set_title(LABEL_MEANINGS[label], loc="right", fontsize=8, color=_GREY)
        axes.set_xlabel(across if place >= 3 else "", fontsize=9)
        axes.set_ylabel(along if place % 3 == 0 else "", fontsize=9)
        plain_axes(axes)
    return figure, list(grid.flat)


def _draw_detectors(
    figure: Figure,
    panels: Sequence[Axes],
    detections: Sequence[Detections],
    positive: np.ndarray,
    counted: np.ndarray,
    draw: _Draw,
) -> None:
    for place, axes in enumerate(panels):
        positives = int(np.count_nonzero(positive[:, place] & counted[:, place]))
        if positives < MINIMUM_POSITIVES:
            _say(axes, f"{positives} positives,\ntoo few to judge")
            continue
        for detector in detections:
            judged = _judged(detector, place, positive, counted)
            if judged is not None:
                draw(axes, judged[0], judged[1], detector.model)
    lines = [Line2D([], [], **_line(item.model)) for item in detections]
    names = [model_name(item.model) for item in detections]
    if names:
        columns = min(5, len(names))
        figure.legend(lines, names, loc="lower center", ncols=columns, frameon=False, fontsize=9)


def _judged(
    detector: Detections, place: int, positive: np.ndarray, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Probability, label and alert of the events that count for one panel; None where the detector is silent."""
    chosen = np.flatnonzero(counted[:, place])
    column = detector.column(place, chosen)
    return None if column is None else (column[0], positive[chosen, place], column[1])


def _line(model: str) -> dict[str, Any]:
    main = model in _LSTMS
    return {
        "color": model_colour(model),
        "linewidth": 2.4 if model == "lstm" else 1.8 if main else 1.2,
        "linestyle": (0, (5, 2)) if model == "rules" else "-",
        "zorder": 4 if main else 3,
    }


def laid_out(
    size: tuple[float, float],
    left: float,
    right: float,
    bottom: float,
    top: float,
    across: float = 0.0,
    along: float = 0.2,
) -> Figure:
    """An empty figure with margins and gaps of its own: letting matplotlib find them takes as long as drawing, and
    drawing is most of what a report costs."""
    figure = Figure(figsize=size, dpi=DPI)
    figure.subplots_adjust(left, bottom, right, top, across, along)
    return figure


def plain_axes(axes: Axes) -> None:
    """Axes as all plots have them."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5)


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=_GREY, fontsize=9)


def png_of(figure: Figure) -> bytes:
    """The picture, the same bytes for the same figure."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
