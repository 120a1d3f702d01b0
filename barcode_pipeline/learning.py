"""The model side of the chain, a function per asset: train, score, report. No Dagster here.

The assets and the command line call these.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.alerts.reasons import explain
from barcode_pipeline.chain import READ_COLUMNS, Rows, write_wanted
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import current_folder, published_folder
from barcode_pipeline.events.formats import KEY_FIELDS, LABELS
from barcode_pipeline.events.history import read_with_history
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.models.baselines.registry import BASELINES, load_baselines
from barcode_pipeline.models.calibration import Calibration, calibrate
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.detector import JourneyFeatures
from barcode_pipeline.models.lstm import LstmModel, load_lstm, save_lstm, train_lstm
from barcode_pipeline.models.network import Architecture
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.models.tables import SCORES_SCHEMA
from barcode_pipeline.models.training import TrainingSettings
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.split import order_by_journey
from barcode_pipeline.sequences.tables import feature_matrix
from barcode_pipeline.sequences.training_set import TrainingSet, read_training_set
from barcode_pipeline.teachers.teacher import teacher_named
from barcode_pipeline.workspace import Workspace

Say = Callable[[str], None]

ONE_LAYER = "lstm_one_layer"
CALIBRATIONS = "calibrations.json"


@dataclass(frozen=True)
class TrainedModel:
    """A model and the file it was saved as."""

    path: Path
    model: LstmModel


def train_model(workspace: Workspace, compute: Compute, say: Say = print) -> TrainedModel:
    """Train the LSTM from nothing, save it and put it in service."""
    registry = ModelRegistry(workspace.models)
    training_set = read_training_set(workspace.training)
    model = _train_lstm(workspace, training_set, workspace.configuration.model.layers, compute, say)
    today = datetime.datetime.now(ZoneInfo(workspace.configuration.time.zone)).date()
    path = registry.add(model, today)
    registry.put_in_service(path)
    say(f"in service: {path.name}")
    return TrainedModel(path, model)


def _train_lstm(workspace: Workspace, training_set: TrainingSet, layers: int, compute: Compute, say: Say) -> LstmModel:
    configuration = workspace.configuration
    teacher = teacher_named(configuration.training.teacher)
    lesson = teacher.lesson(training_set)
    trained_on = np.asarray(training_set.time)[lesson.train]
    about = {
        "teacher": teacher.name,
        "data_fingerprint": training_set.about["fingerprint"],
        "trained_from": str(np.datetime64(int(trained_on.min()), "s")) if len(trained_on) else None,
        "trained_to": str(np.datetime64(int(trained_on.max()), "s")) if len(trained_on) else None,
        "cut": training_set.about["cut"],
    }
    architecture = Architecture(
        len(FEATURE_NAMES),
        layers,
        configuration.model.width,
        configuration.model.dropout,
        configuration.sequences.length,
    )
    settings = _training_settings(configuration)
    name = f"{training_set.about['fingerprint']}-{_short_hash(asdict(architecture), asdict(settings), teacher.name)}"
    return train_lstm(
        _journeys(training_set),
        lesson.targets,
        lesson.train,
        lesson.validation,
        architecture,
        settings,
        compute,
        about,
        ModelRegistry(workspace.models).checkpoint / f"{name}.pt",
        say,
    )


def train_baselines(workspace: Workspace, compute: Compute, say: Say = print) -> dict[str, Any]:
    """Train the one-layer LSTM and the simple detectors, calibrate each on validation, and save them.

    Returns seconds of training by name. The folder is replaced as a whole.
    """
    training_set = read_training_set(workspace.training)
    lesson = teacher_named(workspace.configuration.training.teacher).lesson(training_set)
    journeys = _journeys(training_set)
    seconds, calibrations = {}, {}
    learn, rows = journeys.select(_journeys_with(journeys, lesson.train | lesson.validation))
    validation, targets = lesson.validation[rows], lesson.targets[rows]
    with published_folder(workspace.models / "baselines", training_set.about["fingerprint"]) as folder:
        started = time.perf_counter()
        save_lstm(_train_lstm(workspace, training_set, 1, compute, lambda _: None), folder / f"{ONE_LAYER}.pt")
        seconds[ONE_LAYER] = time.perf_counter() - started
        say(f"{ONE_LAYER}: trained in {seconds[ONE_LAYER]:.1f} s")
        for make in BASELINES:
            started = time.perf_counter()
            detector = make(seed=workspace.configuration.training.seed).fit(learn, targets, lesson.train[rows])
            calibration = calibrate(detector.score(learn)[validation], targets[validation])
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
    one_layer = load_lstm(folder / f"{ONE_LAYER}.pt")
    probabilities = one_layer.probabilities(journeys)
    found = {ONE_LAYER: (probabilities, one_layer.calibration.alerts(probabilities))}
    calibrations = json.loads((folder / CALIBRATIONS).read_text())
    for detector in load_baselines(folder):
        calibration = Calibration(**{key: np.array(value) for key, value in calibrations[detector.name].items()})
        probabilities = calibration.probabilities(detector.score(journeys))
        found[detector.name] = (probabilities, calibration.alerts(probabilities))
    return found


def make_scores(workspace: Workspace, days: Sequence[int]) -> Rows:
    """Score the events of some dates by the model in service, with the reason of each alert in words."""
    model, path = ModelRegistry(workspace.models).load_in_service()
    known = read_with_history(workspace.sequences, days)
    order = order_by_journey(known.table.column("epc_code"))
    probabilities = np.empty((len(known.table), len(LABELS)), dtype=np.float32)
    features = JourneyFeatures(feature_matrix(known.table)[order.source], order.offsets)
    probabilities[order.source] = model.probabilities(features)
    alerts = model.calibration.alerts(probabilities)

    facts = read_with_history(workspace.enriched, days, READ_COLUMNS)
    if len(facts.table) != len(known.table):
        raise UserError("epc_sequences and enriched_events do not hold the same events: materialise both again.")
    settings = workspace.configuration.rules.settings()
    events = read_events(facts.table, workspace.reference.sites)
    judged = score_events(events, workspace.reference, settings)
    reason = explain(events, judged, alerts, probabilities, workspace.reference, settings.v_max)
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
    return write_wanted(workspace.scores, table, known, days)


def _constant(word: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([word]))


def _training_settings(configuration: Configuration) -> TrainingSettings:
    training = configuration.training
    return TrainingSettings(
        training.epochs, training.patience, training.batch_events, training.learning_rate, training.seed
    )


def _journeys(training_set: TrainingSet) -> JourneyFeatures:
    return JourneyFeatures(training_set.features, np.asarray(training_set.offsets))


def _journeys_with(journeys: JourneyFeatures, chosen: np.ndarray) -> np.ndarray:
    """(J,) bool, the journeys with at least one chosen event."""
    return np.maximum.reduceat(chosen.astype(np.int8), journeys.offsets[:-1]) > 0


def _short_hash(*values: object) -> str:
    return f"{pd.util.hash_array(np.array([json.dumps(values, sort_keys=True)], dtype=object))[0]:016x}"
