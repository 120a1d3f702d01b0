"""The model side of the chain, a function per asset: train, score, report. No Dagster here.

The assets and the command line call these.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from barcode_pipeline.admission import admit
from barcode_pipeline.alerts.reasons import explain
from barcode_pipeline.chain import READ_COLUMNS, Rows, write_wanted
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import current_folder, published_folder
from barcode_pipeline.events.formats import KEY_FIELDS, LABELS
from barcode_pipeline.events.history import read_with_history
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.models.attribution import attribute, continued_by
from barcode_pipeline.models.baselines.registry import BASELINES, load_baselines
from barcode_pipeline.models.calibration import Calibration, calibrate
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, load_lstm, save_lstm
from barcode_pipeline.models.registry import ModelEntry, ModelRegistry
from barcode_pipeline.models.tables import SCORES_SCHEMA
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import order_by_journey
from barcode_pipeline.sequences.tables import feature_matrix
from barcode_pipeline.sequences.training_set import TrainingSet, read_training_set
from barcode_pipeline.stale_dates import noted
from barcode_pipeline.teachers.teacher import Material
from barcode_pipeline.teaching import PLANTED, learn
from barcode_pipeline.training_events import events_of
from barcode_pipeline.workspace import Workspace

Say = Callable[[str], None]

ONE_LAYER = "lstm_one_layer"
TAUGHT_BY_RULES = "lstm_rule_labels"
BY_RULES = ("rule_labels",)
CALIBRATIONS = "calibrations.json"


@dataclass(frozen=True)
class TrainedModel:
    """A model, the file it was saved as, and what the journal says of it: whether it is in service."""

    path: Path
    model: LstmModel
    entry: ModelEntry


def train_model(workspace: Workspace, compute: Compute, say: Say = print) -> TrainedModel:
    """Train the LSTM from nothing, save it, and put it in service unless it is worse than the one that is."""
    material = material_of(workspace, read_training_set(workspace.training))
    model, _ = learn(workspace, material, workspace.configuration.model.layers, compute, say)
    return admitted(workspace, model, say)


def admitted(workspace: Workspace, model: LstmModel, say: Say, objection: str = "") -> TrainedModel:
    """A new model at the gate. objection: why it is not to enter."""
    entry = admit(workspace, model, say, objection)
    return TrainedModel(ModelRegistry(workspace.models).folder / entry.model_file, model, entry)


def material_of(workspace: Workspace, training_set: TrainingSet) -> Material:
    """What teachers look at: nothing is read until one of them asks."""
    configuration = workspace.configuration
    return Material(
        training_set,
        lambda: _events_of(workspace, training_set),
        workspace.reference,
        configuration.rules.settings(),
        configuration.planting.settings(len(training_set)),
        configuration.training.seed,
    )


def _events_of(workspace: Workspace, training_set: TrainingSet) -> Events:
    """The events of a training set, row by row."""
    return read_events(events_of(workspace, training_set), workspace.reference.sites)


def train_baselines(workspace: Workspace, compute: Compute, say: Say = print) -> dict[str, Any]:
    """Train the one-layer LSTM and, by the lesson it was given last, the simple detectors; calibrate each on
    validation, and save them. Where the rules do not teach the model in service, an LSTM taught by them stands beside.

    Returns seconds of training by name. The folder is replaced as a whole.
    """
    training_set = read_training_set(workspace.training)
    material = material_of(workspace, training_set)
    seconds, calibrations = {}, {}
    with published_folder(workspace.models / "baselines", training_set.about["fingerprint"]) as folder:
        started = time.perf_counter()
        one_layer, lesson = learn(workspace, material, 1, compute, lambda _: None)
        save_lstm(one_layer, folder / f"{ONE_LAYER}.pt")
        seconds[ONE_LAYER] = time.perf_counter() - started
        say(f"{ONE_LAYER}: trained in {seconds[ONE_LAYER]:.1f} s")
        if workspace.configuration.training.teachers != BY_RULES:
            started = time.perf_counter()
            layers = workspace.configuration.model.layers
            by_rules, _ = learn(workspace, material, layers, compute, lambda _: None, BY_RULES)
            save_lstm(by_rules, folder / f"{TAUGHT_BY_RULES}.pt")
            seconds[TAUGHT_BY_RULES] = time.perf_counter() - started
            say(f"{TAUGHT_BY_RULES}: trained in {seconds[TAUGHT_BY_RULES]:.1f} s")
        journeys = lesson.journeys
        learnt, rows = journeys.select(journeys.with_any((lesson.train > 0) | (lesson.validation > 0)))
        weight, targets = lesson.validation[rows], lesson.targets[rows]
        validation = weight > 0
        real = material.real_validation() if PLANTED in workspace.configuration.training.teachers else None
        for make in BASELINES:
            started = time.perf_counter()
            detector = make(seed=workspace.configuration.training.seed).fit(learnt, targets, lesson.train[rows])
            scores_of_real = None if real is None else detector.score(real[0])[real[1]]
            scores = detector.score(learnt)[validation]
            calibration = calibrate(scores, targets[validation], weight[validation], scores_of_real)
            detector.save(folder)
            calibrations[detector.name] = {name: value.tolist() for name, value in asdict(calibration).items()}
            seconds[detector.name] = time.perf_counter() - started
            say(f"{detector.name}: trained in {seconds[detector.name]:.1f} s")
        (folder / CALIBRATIONS).write_text(json.dumps(calibrations, indent=1))
    return seconds


def baseline_probabilities(workspace: Workspace, journeys: JourneyFeatures) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(probabilities (N, 5), alerts (N, 5)) of each baseline by name."""
    folder = current_folder(workspace.models / "baselines")
    if folder is None:
        raise UserError(
            f"There are no baselines in {workspace.models}: materialise baseline_models, or run `make run`."
        )
    budget = workspace.configuration.scoring.false_alerts_per_10k
    found = {}
    # What rules teach is judged by how well it repeats them, and for that the thresholds of highest F1 are right.
    for name, its_budget in ((ONE_LAYER, budget), (TAUGHT_BY_RULES, 0.0)):
        if (folder / f"{name}.pt").exists():
            model = load_lstm(folder / f"{name}.pt").at_budget(its_budget)
            probabilities = model.probabilities(journeys)
            found[name] = (probabilities, model.calibration.alerts(probabilities))
    calibrations = json.loads((folder / CALIBRATIONS).read_text())
    for detector in load_baselines(folder):
        calibration = Calibration(**{key: np.array(value) for key, value in calibrations[detector.name].items()})
        calibration = calibration.at_budget(budget)
        probabilities = calibration.probabilities(detector.score(journeys))
        found[detector.name] = (probabilities, calibration.alerts(probabilities))
    return found


def make_scores(workspace: Workspace, days: Sequence[int]) -> Rows:
    """Score the events of some dates by the model in service, with the reason of each alert in words."""
    model, path = ModelRegistry(workspace.models).load_in_service(workspace.configuration.scoring.false_alerts_per_10k)
    known = read_with_history(workspace.sequences, days, near=workspace.lots.days_with_history)
    order = order_by_journey(known.table.column("epc_code"))
    probabilities = np.empty((len(known.table), len(LABELS)), dtype=np.float32)
    features = JourneyFeatures(feature_matrix(known.table)[order.source], order.offsets)
    probabilities[order.source] = model.probabilities(features)
    alerts = model.calibration.alerts(probabilities)

    facts = read_with_history(workspace.enriched, days, READ_COLUMNS, near=workspace.lots.days_with_history)
    if len(facts.table) != len(known.table):
        raise UserError("epc_sequences and enriched_events do not hold the same events: materialise both again.")
    settings = workspace.configuration.rules.settings()
    events = read_events(facts.table, workspace.reference.sites)
    judged = score_events(events, workspace.reference, settings)
    alone = (alerts & (judged.evidence == 0))[order.source]
    moved = attribute(continued_by(model), features, alone, model.ordinary, model.network.architecture.longest)
    reason = explain(
        events, judged, alerts, probabilities, workspace.reference, settings.v_max, moved.by_source(order.source)
    )
    count = len(known.table)
    table = pa.table(
        [
            *(known.table.column(field.name) for field in KEY_FIELDS),
            *(pa.array(probabilities[:, label]) for label in range(len(LABELS))),
            *(pa.array(alerts[:, label]) for label in range(len(LABELS))),
            _constant("lstm", count),
            _constant(path.name, count),
            reason,
        ],
        schema=SCORES_SCHEMA,
    )
    return noted(workspace, "event_scores", write_wanted(workspace.scores, table, known, days))


def _constant(word: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([word]))
