"""The model side of the chain, a function per asset: train, score, report. No Dagster here.

The assets and the command line call these.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit

from barcode_pipeline.admission import admit
from barcode_pipeline.alerts.reasons import explain
from barcode_pipeline.chain import READ_COLUMNS, Rows, rows_of_training_set, write_wanted
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import current_folder, published_folder
from barcode_pipeline.events.formats import KEY_FIELDS, LABELS
from barcode_pipeline.events.history import read_with_history
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.feedback import judged_in
from barcode_pipeline.models.attribution import attribute, continued_by
from barcode_pipeline.models.baselines.registry import BASELINES, load_baselines
from barcode_pipeline.models.calibration import Calibration, calibrate
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, load_lstm, save_lstm, train_lstm
from barcode_pipeline.models.network import Architecture
from barcode_pipeline.models.registry import ModelEntry, ModelRegistry
from barcode_pipeline.models.tables import SCORES_SCHEMA
from barcode_pipeline.models.training import TrainingSettings
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import TRAIN, VALIDATION, order_by_journey
from barcode_pipeline.sequences.tables import feature_matrix
from barcode_pipeline.sequences.training_set import TrainingSet, read_training_set
from barcode_pipeline.stale_dates import noted
from barcode_pipeline.teachers.registry import teachers_named
from barcode_pipeline.teachers.teacher import NO_ROW, NOT_PLANTED, Lesson, Material, teach
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
        configuration.planting.settings(),
        configuration.training.seed,
    )


def _events_of(workspace: Workspace, training_set: TrainingSet) -> Events:
    """The events of a training set, row by row."""
    table = rows_of_training_set(workspace, workspace.enriched, training_set, READ_COLUMNS)
    return read_events(table, workspace.reference.sites)


def learn(
    workspace: Workspace,
    material: Material,
    layers: int,
    compute: Compute,
    say: Say,
    teacher_names: Sequence[str] | None = None,
) -> tuple[LstmModel, Lesson]:
    """Train an LSTM by some teachers, the configured ones unless given; returns it and the last lesson it was given.

    With planted anomalies, models that are only to search come first: what one suspects is no example of the
    ordinary for the next. They are taught with many more planted anomalies and for a short time: each real one that
    hides among the ordinary then weighs little against them, and is not yet learnt by heart.
    """
    configuration = workspace.configuration
    names, planting = teacher_names or configuration.training.teachers, configuration.planting
    judged = judged_in(workspace, material.training_set)
    teachers = teachers_named(names, lambda: judged)
    part = np.asarray(material.training_set.part)
    taught = (part == TRAIN) | (part == VALIDATION)
    # Who is not taught by verdicts still takes what they confirm for no example of the ordinary.
    confirmed = judged.confirmed() & taught
    material = material.with_suspects(confirmed)
    journeys, rows = material.journeys.select(material.journeys.with_any(taught))
    passes = planting.passes if "planted" in names else 1
    settings = _training_settings(configuration)
    searching = replace(settings, epochs=min(settings.epochs, planting.search_epochs))
    for number in range(1, passes + 1):
        search = number < passes
        shown = replace(material, planting=planting.search_settings()) if search else material
        lesson = teach(teachers, shown)
        chosen = searching if search else settings
        model = train_on_lesson(workspace, material, names, lesson, layers, chosen, compute, say)
        if search:
            suspects = confirmed.copy()
            # As the network itself has it: what is calibrated is calibrated on validation lots that still hold, as
            # ordinary, the very anomalies that are looked for here.
            suspects[rows] |= (expit(model.scores(journeys)) >= planting.suspect_probability).any(axis=1)
            say(f"search {number} of {passes - 1}: {int((suspects & taught).sum()):,} events are under suspicion")
            material = material.with_suspects(suspects & taught)
    return model, lesson


def train_on_lesson(
    workspace: Workspace,
    material: Material,
    names: Sequence[str],
    lesson: Lesson,
    layers: int,
    settings: TrainingSettings,
    compute: Compute,
    say: Say,
    start: tuple[LstmModel, str] | None = None,
) -> LstmModel:
    """Train an LSTM of some layers on a lesson by some teachers. start: a model to go on from, and its file's name."""
    configuration, training_set = workspace.configuration, material.training_set
    real = lesson.row[(lesson.train > 0) & (lesson.row != NO_ROW)]
    trained_on = np.asarray(training_set.time)[real]
    about: dict[str, Any] = {
        "teacher": " + ".join(names),
        "data_fingerprint": training_set.about["fingerprint"],
        "trained_from": str(np.datetime64(int(trained_on.min()), "s")) if len(trained_on) else None,
        "trained_to": str(np.datetime64(int(trained_on.max()), "s")) if len(trained_on) else None,
        "cut": training_set.about["cut"],
    }
    if start is not None:
        # What a chain of warm starts has learnt from reaches back to its first model.
        about["warm_from"] = start[1]
        begins = [moment for moment in (about["trained_from"], start[0].about.get("trained_from")) if moment]
        about["trained_from"] = min(begins, default=None)
    if "planted" in names:
        about["planting"] = configuration.planting.model_dump(mode="json")
        about["suspects"] = 0 if material.suspects is None else int(material.suspects.sum())
        planted = lesson.family[(lesson.train > 0) & (lesson.family != NOT_PLANTED)]
        about["planted"] = dict(
            zip(lesson.families, np.bincount(planted, minlength=len(lesson.families)).tolist(), strict=True)
        )
    architecture = Architecture(
        len(FEATURE_NAMES),
        layers,
        configuration.model.width,
        configuration.model.dropout,
        configuration.sequences.length,
    )
    name = (
        f"{training_set.about['fingerprint']}-"
        f"{_short_hash(asdict(architecture), asdict(settings), names, lesson.fingerprint(), about.get('warm_from'))}"
    )
    return train_lstm(
        lesson.journeys,
        lesson.targets,
        lesson.train,
        lesson.validation,
        architecture,
        settings,
        compute,
        about,
        ModelRegistry(workspace.models).checkpoint / f"{name}.pt",
        say,
        None if start is None else start[0],
    )


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
        for make in BASELINES:
            started = time.perf_counter()
            detector = make(seed=workspace.configuration.training.seed).fit(learnt, targets, lesson.train[rows])
            calibration = calibrate(detector.score(learnt)[validation], targets[validation], weight[validation])
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


def _training_settings(configuration: Configuration) -> TrainingSettings:
    training = configuration.training
    return TrainingSettings(
        training.epochs, training.patience, training.batch_events, training.learning_rate, training.seed
    )


def _short_hash(*values: object) -> str:
    return f"{pd.util.hash_array(np.array([json.dumps(values, sort_keys=True)], dtype=object))[0]:016x}"
