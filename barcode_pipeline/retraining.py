"""The training of a night: it goes on from the model in service, at a cost that does not grow with history, or starts
from nothing where it has to. No Dagster here.

What a night learns from is a sample (`night_split`); what becomes of the new model is decided at the gate
(`admission`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.special import expit

from barcode_pipeline.admission import cut_of
from barcode_pipeline.chain import make_split
from barcode_pipeline.constant_features import unlikely_constants
from barcode_pipeline.drifting import lasting_drift
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.feedback import judged_in
from barcode_pipeline.learning import TrainedModel, admitted, material_of, train_model
from barcode_pipeline.learnt import learnt_from
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.night_split import judging_window, make_night_split
from barcode_pipeline.nightly import ALL_EVENTS, SOME_LOTS, fits, note_model, note_training_set
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.split import TRAIN, VALIDATION
from barcode_pipeline.sequences.training_set import TrainingSet, read_training_set
from barcode_pipeline.teachers.registry import teachers_named
from barcode_pipeline.teachers.teacher import NO_ROW, Lesson, Material, teach
from barcode_pipeline.teachers.thinning import thinned
from barcode_pipeline.teaching import train_on_lesson
from barcode_pipeline.workspace import Workspace

Say = Callable[[str], None]

Start = Literal["by hand", "night", "challenger"]
"""Who asks for a training. By hand: from nothing, with the configured cut. A night: from the model in service. A
challenger: from nothing, with a night's cut, so that what a chain of warm starts has lost over time shows."""


def needs_full_training(workspace: Workspace, reasons: Sequence[str] = ()) -> list[str]:
    """Why a night has to train from nothing, in words; nothing where it can go on from the model in service.

    reasons: what others know, that the data has drifted too far, say.
    """
    registry = ModelRegistry(workspace.models)
    if registry.in_service() is None:
        return ["no model is in service", *reasons]
    try:
        registry.load_in_service()
    except UserError as error:
        return [f"the model in service cannot be gone on from: {error}", *reasons]
    # A model of other settings that was not let in is not tried again every night.
    if not fits(workspace, "lstm_model"):
        return ["features or settings are others than those of the last training", *reasons]
    return [*_drift(workspace, registry), *reasons]


def _drift(workspace: Workspace, registry: ModelRegistry) -> list[str]:
    """What has drifted for many nights, in words, until a model has been trained from nothing that has learnt from such
    a night, let in or not; and no sooner than one can."""
    first = judging_window(workspace).first
    learnt_to = max((one.trained_to or "" for one in registry.entries() if one.start == "nothing"), default="")
    return [
        one.in_words()
        for one in lasting_drift(workspace)
        if one.since < first and learnt_to[:10] < date_text(one.since)
    ]


def make_training_set(workspace: Workspace, start: Start, reasons: Sequence[str] = ()) -> dict[str, object]:
    """Write what a training learns from; returns what it is."""
    nightly = workspace.configuration.nightly
    # Before another one takes its place: what the model in service has learnt from.
    learnt_from(workspace)
    if start == "night" and not needs_full_training(workspace, reasons):
        champion, _ = ModelRegistry(workspace.models).load_in_service()
        about = make_night_split(workspace, cut_of(champion))
        note_training_set(workspace, SOME_LOTS)
        return about
    about = make_split(workspace, None if start == "by hand" else nightly.judged_days)
    note_training_set(workspace)
    return about


def train(
    workspace: Workspace, start: Start, compute: Compute, say: Say = print, reasons: Sequence[str] = ()
) -> TrainedModel:
    """Train on what `make_training_set` wrote, and bring the model to the gate."""
    why = [] if start != "night" else needs_full_training(workspace, reasons)
    if start == "night" and not why:
        trained = go_on(workspace, compute, say)
        note_model(workspace, "lstm_model", SOME_LOTS)
        return trained
    if why:
        say(f"trained from nothing: {'; '.join(why)}")
    trained = train_model(workspace, compute, say)
    note_model(workspace, "lstm_model", ALL_EVENTS)
    return trained


def go_on(workspace: Workspace, compute: Compute, say: Say = print) -> TrainedModel:
    """Teach the model in service what a night has to teach, and bring the result to the gate."""
    champion, path = ModelRegistry(workspace.models).load_in_service(compute=compute)
    configuration = workspace.configuration
    nightly, training = configuration.nightly, configuration.training
    training_set = read_training_set(workspace.night_training)
    lesson, material = night_lesson(workspace, champion, training_set)
    settings = replace(
        training.settings(), epochs=nightly.epochs, patience=nightly.epochs, learning_rate=nightly.learning_rate
    )
    layers = champion.network.architecture.layers
    start = (champion, path.name)
    model = train_on_lesson(workspace, material, training.teachers, lesson, layers, settings, compute, say, start)
    objection = stuck_features(workspace, lesson, training_set)
    objection = objection or too_surprising(champion, model, nightly.most_surprise)
    return admitted(workspace, model, say, objection)


def too_surprising(champion: LstmModel, model: LstmModel, most: float) -> str:
    """Why a lesson is not to be trusted, in words, empty where it is: the model in service, before it is taught, does
    far worse on it than on its own. The world does not change that much from one night to the next; labels that were
    flipped, or whose columns were mixed up, look like this. A training from nothing is not asked."""
    first = model.about["history"][0]
    before = float(first["train_loss"]), float(first["validation_loss"])
    # Its own anomalies it may have learnt by heart: what it never saw is the measure there too.
    own_training, own_validation = champion.losses
    measures = max(own_training, own_validation), own_validation
    for part, loss, own in zip(("training", "validation"), before, measures, strict=True):
        if loss > most * own:
            return (
                f"the night's lesson contradicts the model in service: its loss on the {part} part is {loss:.4f} and "
                f"was {own:.4f} on its own, {loss / own:.1f} times as much, where {most:g} times is trusted"
            )
    return ""


def stuck_features(workspace: Workspace, lesson: Lesson, training_set: TrainingSet) -> str:
    """Why a lesson is not to be trusted, in words, empty where it is: features have one value on nearly all its events
    that vary in what the model in service has learnt from. A date that has them is stopped before by its check."""
    learnt, chance = learnt_from(workspace), workspace.configuration.gate.constant_chance
    rows = np.flatnonzero((lesson.train > 0) & (lesson.row != NO_ROW))
    if learnt is None or chance == 0 or not len(rows):
        return ""
    lot = np.asarray(training_set.lot)[lesson.row[rows]]
    found = unlikely_constants(learnt, np.asarray(lesson.journeys.values[rows]), lot, chance)
    names = [FEATURE_NAMES[one.feature] for one in found]
    told = [name for name in names if name not in workspace.configuration.gate.may_be_constant]
    if not told:
        return ""
    return f"the night's lesson has one value of {', '.join(told)} on nearly all its events: what was learnt varies"


def night_lesson(workspace: Workspace, champion: LstmModel, training_set: TrainingSet) -> tuple[Lesson, Material]:
    """What the configured teachers say of a night's events, on a bounded number of journeys.

    The model in service says who is under suspicion: a search of its own would cost as much as the training.
    """
    configuration = workspace.configuration
    names = configuration.training.teachers
    # Of other nights other draws: anomalies that a chain of nights is shown are never the same.
    seed = configuration.training.seed + day_number(training_set.about["night"])
    material = replace(material_of(workspace, training_set), seed=seed)
    verdicts = judged_in(workspace, training_set)
    part = np.asarray(training_set.part)
    # Nothing is learnt from the others: who is under suspicion there does not matter.
    journeys, rows = material.journeys.select(material.journeys.with_any((part == TRAIN) | (part == VALIDATION)))
    suspects = np.zeros(len(part), dtype=bool)
    suspects[rows] = (expit(champion.scores(journeys)) >= configuration.planting.suspect_probability).any(axis=1)
    # Of a judged EPC the rest of the lot may not be there: where verdicts teach, they alone speak of it.
    suspects |= verdicts.judged.any(axis=1) if "verdicts" in names else verdicts.confirmed()
    material = _planted_often_enough(material.with_suspects(suspects), configuration.nightly.journeys)
    lesson = teach(teachers_named(names, lambda: verdicts), material)
    return thinned(lesson, configuration.nightly.journeys, (seed,)), material


def _planted_often_enough(material: Material, journeys: int) -> Material:
    """Planted upon again only as often as a lesson of so many journeys has room for: the rest would be thinned out."""
    there = int(material.journeys.with_any(np.asarray(material.training_set.part) == TRAIN).sum())
    copies = min(material.planting.copies, max(1, math.ceil(journeys / max(there, 1))))
    return replace(material, planting=replace(material.planting, copies=copies))
