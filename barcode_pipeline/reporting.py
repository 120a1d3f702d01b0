"""The evaluation report: every detector judged on the same events, and the journeys most worth a look.

No Dagster here; the asset `evaluation_report` and `barcode-pipeline evaluate` call `make_report`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from barcode_pipeline.admission import about_in_service, cut_of, kept_challenger
from barcode_pipeline.drifting import drift_over_time
from barcode_pipeline.evaluation.headline import Figure, headline
from barcode_pipeline.evaluation.metrics import (
    HELD_OUT_LOTS,
    HELD_OUT_LOTS_ALL_DATES,
    KNOWN_LOTS,
    Detections,
    EvaluationEvents,
    Row,
    evaluate,
)
from barcode_pipeline.evaluation.performance_log import append_log
from barcode_pipeline.evaluation.report import ReportContext, write_report
from barcode_pipeline.evaluation.report_plots import LabelRates, ReportPlot, report_plots
from barcode_pipeline.evaluation.single_features import single_feature_power
from barcode_pipeline.evaluation.suspicious import most_suspicious
from barcode_pipeline.evaluation.truth import match_truth, read_truth
from barcode_pipeline.events.formats import KEY_COLUMNS, LABELS
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.times import day_number
from barcode_pipeline.feedback import judged_in
from barcode_pipeline.learning import baseline_probabilities
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.reviewing import KEPT, REVIEW_FILE, kept_review, review_of
from barcode_pipeline.sequences.features import FEATURES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import HELD_OUT_LOTS as PART_HELD_OUT
from barcode_pipeline.sequences.split import HELD_OUT_LOTS_EARLIER as PART_EARLIER
from barcode_pipeline.sequences.split import KNOWN_LOTS as PART_KNOWN
from barcode_pipeline.sequences.training_set import TrainingSet, newest_training_set
from barcode_pipeline.training_events import events_of, rule_scores_of
from barcode_pipeline.workspace import Workspace

Say = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """folder: of the report's files. rows, headline, plots: what it shows."""

    folder: Path
    rows: list[Row]
    headline: dict[str, Figure]
    plots: list[ReportPlot]


def make_report(workspace: Workspace, run_id: str, created_at: str, say: Say = print) -> Report:
    """Evaluate the model in service and its peers, write the report and append its rows to the log."""
    budget = workspace.configuration.scoring.false_alerts_per_10k
    model, model_path = ModelRegistry(workspace.models).load_in_service(budget)
    training_set = newest_training_set([workspace.training, workspace.night_training])
    replicates = workspace.configuration.evaluation.bootstrap_replicates
    evaluated = _evaluated(training_set, model)
    say(f"evaluating on {len(evaluated):,} events")
    events, rule_scores = _evaluation_events(workspace, training_set, evaluated)
    probabilities = model.probabilities(JourneyFeatures(training_set.features, np.asarray(training_set.offsets)))
    detections = [
        Detections("rules", rule_scores / 100.0, events.rules),
        Detections("lstm", probabilities[evaluated], model.calibration.alerts(probabilities[evaluated])),
        *_peers(workspace, training_set, evaluated),
    ]
    rows = evaluate(events, detections, replicates, workspace.configuration.training.seed)
    figures = headline(rows)
    plots = report_plots(
        events,
        detections,
        rows,
        model.about.get("history", ()),
        _label_rates(training_set),
        drift=drift_over_time(workspace),
    )
    held_out = events.strata[HELD_OUT_LOTS_ALL_DATES]
    power = single_feature_power(
        np.asarray(training_set.features[evaluated[held_out]], dtype=np.float32),
        training_set.about["feature_names"],
        events.rules[held_out],
    )
    shown = workspace.configuration.evaluation.review_questions
    questions = review_of(workspace, training_set, probabilities, model.calibration.threshold, max(shown, KEPT))
    context = ReportContext(
        run_id,
        created_at,
        rows,
        figures,
        _data_facts(workspace, training_set),
        about_in_service(ModelRegistry(workspace.models)) | _model_facts(model, model_path),
        plots,
        power,
        most_suspicious(workspace.scores, workspace.enriched, _days_after_cut(workspace, training_set),
                        workspace.configuration.evaluation.suspicious_epcs,
                        lambda codes: workspace.lots.read().days_of(lot_hashes(codes)).tolist()),
        questions[:shown],
        ("make run", "barcode-pipeline train", "barcode-pipeline evaluate"),
    )  # fmt: skip
    folder = write_report(
        workspace.reports, context, {REVIEW_FILE: kept_review(questions, created_at, model_path.name)}
    )
    append_log(workspace.performance_log, rows, run_id, created_at, model_path.name)
    say(f"report: {folder / 'report.html'}")
    return Report(folder, rows, figures, plots)


def _evaluated(training_set: TrainingSet, model: LstmModel) -> np.ndarray:
    """Rows that no training saw: a model that went on learning has seen known lots later than this set's cut."""
    part = np.asarray(training_set.part)
    unseen = np.isin(part, (PART_HELD_OUT, PART_EARLIER))
    return np.flatnonzero(unseen | ((part == PART_KNOWN) & (np.asarray(training_set.time) >= cut_of(model))))


def _evaluation_events(
    workspace: Workspace, training_set: TrainingSet, evaluated: np.ndarray
) -> tuple[EvaluationEvents, np.ndarray]:
    """(what is judged against what, scores of the rules (n, 5)) of the evaluated events."""
    part = np.asarray(training_set.part)[evaluated]
    strata = {
        HELD_OUT_LOTS: part == PART_HELD_OUT,
        KNOWN_LOTS: part == PART_KNOWN,
        HELD_OUT_LOTS_ALL_DATES: (part == PART_HELD_OUT) | (part == PART_EARLIER),
    }
    rules = np.asarray(training_set.rule_labels)[evaluated]
    lot = np.unique(np.asarray(training_set.lot)[evaluated], return_inverse=True)[1]
    scores = rule_scores_of(workspace, training_set)[evaluated]
    verdicts = judged_in(workspace, training_set)
    judged, holds = verdicts.judged[evaluated], verdicts.holds[evaluated]
    truth = read_truth(workspace.truth)
    if truth is None:
        return EvaluationEvents(lot, strata, rules, judged=judged, holds=holds), scores
    keys = events_of(workspace, training_set).select(list(KEY_COLUMNS)).take(pa.array(evaluated))
    matched = match_truth(truth, keys)
    return (
        EvaluationEvents(
            lot, strata, rules, matched.truth, matched.visible, matched.aftermath,
            judged, holds,
        ),
        scores,
    )  # fmt: skip


def _peers(workspace: Workspace, training_set: TrainingSet, evaluated: np.ndarray) -> list[Detections]:
    """What the peers of the model in service say of the evaluated events."""
    journeys = JourneyFeatures(training_set.features, np.asarray(training_set.offsets))
    chosen = np.zeros(len(training_set), dtype=np.int8)
    chosen[evaluated] = 1
    with_evaluated = np.maximum.reduceat(chosen, journeys.offsets[:-1]) > 0
    some, rows = journeys.select(with_evaluated)
    keep = chosen[rows] > 0
    out = []
    if (challenger := kept_challenger(workspace)) is not None:
        probabilities = challenger.probabilities(some)[keep]
        out.append(Detections("lstm_challenger", probabilities, challenger.calibration.alerts(probabilities)))
    for name, (probability, alert) in baseline_probabilities(workspace, some).items():
        out.append(Detections(name, probability[keep], alert[keep]))
    return out


def _days_after_cut(workspace: Workspace, training_set: TrainingSet) -> list[int]:
    first = day_number(training_set.about["cut"][:10])
    return [day for day in workspace.scores.days() if day >= first]


def _label_rates(training_set: TrainingSet) -> LabelRates | None:
    """Share of events with each rule label, by date."""
    day = np.asarray(training_set.time) // 86_400
    days, position, counts = np.unique(day, return_inverse=True, return_counts=True)
    if not len(days):
        return None
    labels = np.asarray(training_set.rule_labels)
    sums = np.column_stack([np.bincount(position, weights=labels[:, label]) for label in range(len(LABELS))])
    dates = days.astype("datetime64[D]")
    return LabelRates(dates, sums / counts[:, None], np.datetime64(training_set.about["cut"], "D"))


def _data_facts(workspace: Workspace, training_set: TrainingSet) -> dict[str, Any]:
    about = training_set.about
    first = day_number(workspace.configuration.time.first_date.isoformat())
    days = workspace.merged.days()
    ledger = workspace.intake.files(first, days[-1] if days else first)
    total = ledger.sum(numeric_only=True)
    return {
        "first date": about["first_date"],
        "last date": about["last_date"],
        "events": about["events"],
        "journeys": about["journeys"],
        "lots": about["lots"],
        "raw files": len(ledger),
        "rows read": int(total.get("rows_read", 0)),
        "exact duplicates": int(total.get("rows_duplicate", 0)),
        "rows quarantined": int(total.get("rows_quarantined", 0)),
        "rows held": int(
            total.get("rows_held_before_first_date", 0) + total.get("rows_held_beyond_newest_partition", 0)
        ),
        "files not readable": ledger.loc[ledger["problem"].notna(), "path"].tolist(),
        "cut": about["cut"],
        "events by part": about["events_by_part"],
    }


def _model_facts(model: LstmModel, path: Path) -> dict[str, Any]:
    about = {name: value for name, value in model.about.items() if name != "history"}
    history: Sequence[dict[str, float]] = model.about.get("history", ())
    best = min(history, key=lambda row: row["validation_loss"]) if history else {}
    architecture = model.network.architecture
    return {
        "file": path.name,
        "layers": architecture.layers,
        "width": architecture.width,
        "sequence length": architecture.longest,
        "features": [feature.name for feature in FEATURES],
        "thresholds": dict(zip(LABELS, model.calibration.threshold.tolist(), strict=True)),
        "epochs": len(history),
        "validation macro F1": best.get("validation_macro_f1"),
        **about,
    }
