"""Which plots a report holds, from the evaluated events; each is drawn by `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from barcode_pipeline.evaluation import plots
from barcode_pipeline.evaluation.drift_plot import drift_png
from barcode_pipeline.evaluation.headline import main_stratum
from barcode_pipeline.evaluation.metrics import Detections, EvaluationEvents, Row, View, views
from barcode_pipeline.evaluation.naming import REFERENCE_NAMES, STRATUM_NAMES


@dataclass(frozen=True)
class ReportPlot:
    """A plot with the sentence beneath it."""

    title: str
    explanation: str
    png: bytes


@dataclass(frozen=True)
class LabelRates:
    """Share of events with each rule label by date. dates: (D,). rates: (D, 5). cut: where evaluation begins."""

    dates: Sequence[Any] | np.ndarray
    rates: np.ndarray
    cut: Any = None


@dataclass(frozen=True)
class DriftOverTime:
    """Figures of drift by date, as `drift_plot.drift_png` takes them."""

    dates: np.ndarray
    figures: Mapping[str, np.ndarray]


def report_plots(
    events: EvaluationEvents,
    detections: Sequence[Detections],
    rows: Sequence[Row],
    history: Sequence[Mapping[str, Any]] = (),
    label_rates: LabelRates | None = None,
    model: str = "lstm",
    drift: DriftOverTime | None = None,
) -> list[ReportPlot]:
    """The report's plots, judged by truth where it is known, else by the rules, in the stratum that the headline is
    read from.

    history: dicts of epoch, train_loss, validation_loss, validation_macro_f1. model: the detector whose own
    probabilities and alerts are shown.
    """
    made = []
    reference = "rules" if events.truth is None else "truth"
    stratum = main_stratum(rows, model, reference)
    if stratum in events.strata:
        chosen = np.flatnonzero(events.strata[stratum])
        view = next(item for item in views(events, chosen) if (item.reference, item.variants) == (reference, "all"))
        said = [_subset(item, chosen) for item in detections]
        made += _judged(view, said, STRATUM_NAMES.get(stratum, stratum), model)
    if history:
        made.append(
            ReportPlot(
                "Training", "The dashed line is the epoch with the lowest loss.", plots.training_curves_png(history)
            )
        )
    if label_rates is not None:
        png = plots.label_rates_png(label_rates.dates, label_rates.rates, label_rates.cut)
        made.append(
            ReportPlot("Rule labels over time", "A jump in a rate is a change of the data or an incident.", png)
        )
    if drift is not None and len(drift.dates):
        explanation = "Nights with enough scans to judge by. What is warned of stands with the checks in the page."
        made.append(ReportPlot("Drift over time", explanation, drift_png(drift.dates, drift.figures)))
    return made


def _judged(view: View, detections: list[Detections], stratum: str, model: str) -> list[ReportPlot]:
    where = f"judged by {REFERENCE_NAMES[view.reference]}, {stratum}"
    arguments = (view.positive, view.counted, where)
    peers = [item for item in detections if item.model != view.reference]
    against = REFERENCE_NAMES[view.reference]
    made = [
        ReportPlot(
            f"Precision over recall, {against}",
            "Further to the upper right is better. A detector without probabilities is one corner.",
            plots.precision_recall_png(peers, *arguments),
        ),
        ReportPlot(
            f"Recall against false alerts, {against}",
            "What share is found for so many false alerts among 10,000 scans. Further to the upper left is better.",
            plots.false_alerts_png(peers, *arguments),
        ),
        ReportPlot(
            f"Reliability, {against}",
            "On the dashed line a probability means what it says; below it the detector is too sure.",
            plots.reliability_png(peers, *arguments),
        ),
    ]
    for own in (item for item in detections if item.model == model):
        made += [
            ReportPlot(
                f"Alerts, {against}",
                "Events by label and alert at the model's thresholds; percentages are shares of a row.",
                plots.confusion_png(own, *arguments),
            ),
            ReportPlot(
                f"Probabilities, {against}",
                "Counts on a logarithmic scale. Positives at the left end are what the model cannot see.",
                plots.score_histograms_png(own, *arguments),
            ),
        ]
    return made


def _subset(item: Detections, chosen: np.ndarray) -> Detections:
    return Detections(
        item.model,
        item.probability[chosen],
        item.alert[chosen],
        None if item.any_probability is None else item.any_probability[chosen],
        None if item.any_alert is None else item.any_alert[chosen],
    )
