"""Thirty nights that go on from one another, against a model trained from nothing on the same data.

The nights are those of a project, but for Dagster: a day's files, the dates that are out of date, a training from the
model in service, the exam. Truth is looked at only at the end, on lots that no training saw.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from barcode_pipeline import chain
from barcode_pipeline.evaluation.metrics import EvaluationEvents, views
from barcode_pipeline.evaluation.resampling import MINIMUM_POSITIVES, Ranking, interval, lot_weights
from barcode_pipeline.evaluation.truth import match_truth, read_truth
from barcode_pipeline.events.formats import KEY_COLUMNS, LABELS
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.learning import material_of
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.nightly import dates_to_make
from barcode_pipeline.retraining import make_training_set, train
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER
from barcode_pipeline.sequences.training_set import read_training_set
from barcode_pipeline.taking_in import dates_with_rows, take_in
from barcode_pipeline.teaching import learn
from barcode_pipeline.training_events import events_of
from barcode_pipeline.workspace import Workspace
from benchmarks.nightly import LONG, Ground, daily_files, link_files
from benchmarks.results import Figure, rounded
from benchmarks.worlds import Worlds

NIGHTS = 30
_REPLICATES = 1_000
_MAKERS = {
    "merged_events": chain.make_merged,
    "enriched_events": chain.make_enriched,
    "rule_labels": chain.make_labels,
    "epc_sequences": chain.make_sequences,
}


@dataclass
class _Chain:
    """entered: nights whose model went into service. from_nothing: those that did not go on from the one in service.
    seconds: of training set, training and exam, by night."""

    entered: int = 0
    from_nothing: int = 0
    seconds: list[float] = field(default_factory=list)


def warm_chain(worlds: Worlds) -> dict[str, Figure]:
    """Macro PR-AUC against truth of the chain's model less that of a model from nothing, and what both cost."""
    ground = Ground.simulated(worlds, LONG)
    newest = day_number(ground.date)
    workspace = _ready(ground, newest - LONG, newest - NIGHTS)
    nights = _Chain()
    for day in range(newest - NIGHTS + 1, newest + 1):
        _night(ground, workspace, day, nights)
    warm, path = ModelRegistry(workspace.models).load_in_service(workspace.configuration.scoring.false_alerts_per_10k)
    make_training_set(workspace, "challenger")
    started = time.perf_counter()
    material = material_of(workspace, read_training_set(workspace.training))
    fresh, _ = learn(workspace, material, workspace.configuration.model.layers, Compute(), lambda _: None)
    seconds = time.perf_counter() - started
    values, facts = _compared(workspace, warm, fresh)
    low, high = interval(values[0] - values[1]) or (np.nan, np.nan)
    more = {
        "pr_auc_warm": rounded(values[0][0]),
        "pr_auc_from_nothing": rounded(values[1][0]),
        "difference_low": rounded(low),
        "difference_high": rounded(high),
        "in_service": path.name,
        "nights_that_entered": nights.entered,
        "nights_from_nothing": nights.from_nothing,
        "seconds_of_a_night": rounded(float(np.median(nights.seconds))),
        "seconds_from_nothing": rounded(seconds),
        **facts,
    }
    how = (
        f"Macro PR-AUC against truth, held-out lots of all dates, of the model that {NIGHTS} nights have left in "
        f"service, less that of one trained from nothing on the same data: a first model after {LONG - NIGHTS} days of "
        f"a simulated world, then a night per day. 95 % interval by paired bootstrap over lots, {_REPLICATES} samples."
    )
    difference = float(values[0][0] - values[1][0])
    return {"warm_chain_pr_auc_difference": Figure(difference, "PR-AUC", how, at_least=-0.01, more=more)}


def _ready(ground: Ground, first: int, last: int) -> Workspace:
    """A project with the days from first to last and a model trained from nothing in service."""
    root, world = ground.folder / "chain", ground.folder / "world"
    for name in ("processed", "truth"):
        shutil.copytree(world / "data" / name, root / "data" / name)
    for day in range(first, last + 1):
        link_files(daily_files(ground.folder, date_text(day)), root / "data" / "raw" / date_text(day))
    (root / "configuration.toml").write_text(f'[time]\nfirst_date = "{date_text(first)}"\n', encoding="utf-8")
    workspace = Workspace.open(root)
    take_in(workspace)
    for make in _MAKERS.values():
        make(workspace, dates_with_rows(workspace))
    make_training_set(workspace, "challenger")
    train(workspace, "challenger", Compute(), lambda _: None)
    return workspace


def _night(ground: Ground, workspace: Workspace, day: int, nights: _Chain) -> None:
    """What a night does with a day's files, up to the exam."""
    link_files(daily_files(ground.folder, date_text(day)), workspace.raw / date_text(day))
    take_in(workspace)
    for asset, make in _MAKERS.items():
        make(workspace, dates_to_make(workspace, asset, [day]))
    started = time.perf_counter()
    make_training_set(workspace, "night")
    trained = train(workspace, "night", Compute(), lambda _: None)
    nights.seconds.append(time.perf_counter() - started)
    nights.entered += trained.entry.status == "promoted"
    nights.from_nothing += trained.entry.start == "nothing"


def _compared(workspace: Workspace, *models: LstmModel) -> tuple[list[np.ndarray], dict[str, int]]:
    """Macro PR-AUC of each model, as the lots are and by bootstrap samples of them, the same for both."""
    training_set = read_training_set(workspace.training)
    rows = np.flatnonzero(np.isin(np.asarray(training_set.part), (HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER)))
    truth = read_truth(workspace.truth)
    assert truth is not None
    matched = match_truth(truth, events_of(workspace, training_set).select(list(KEY_COLUMNS)).take(pa.array(rows)))
    lots, lot = np.unique(np.asarray(training_set.lot)[rows], return_inverse=True)
    rules = np.asarray(training_set.rule_labels)[rows]
    events = EvaluationEvents(lot, {}, rules, matched.truth, matched.visible, matched.aftermath)
    [view] = [one for one in views(events, np.arange(len(rows))) if (one.reference, one.variants) == ("truth", "all")]
    weights = lot_weights(len(lots), _REPLICATES, 0)
    journeys = JourneyFeatures(training_set.features, np.asarray(training_set.offsets))
    labels = [label for label in range(len(LABELS)) if view.positive[:, label].sum() >= MINIMUM_POSITIVES]
    values = []
    for model in models:
        probability = model.probabilities(journeys)[rows]
        rankings = [Ranking(probability[:, label], lot, len(lots)) for label in labels]
        judged = [(view.positive[:, label], view.counted[:, label]) for label in labels]
        of_labels = [one.average_precision(*which, weights) for one, which in zip(rankings, judged, strict=True)]
        values.append(np.mean(of_labels, axis=0))
    return values, {"events": len(rows), "lots": len(lots), "positives": int(view.positive[:, labels].sum())}
