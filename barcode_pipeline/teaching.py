"""How a model is taught: lesson by lesson, and the searches that come before the last one. No Dagster here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from barcode_pipeline.corruption import learn_corruptions, with_second_opinion
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.feedback import judged_in
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, train_lstm
from barcode_pipeline.models.network import Architecture
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.split import TRAIN, VALIDATION
from barcode_pipeline.teachers.registry import teachers_named
from barcode_pipeline.teachers.teacher import NO_ROW, NOT_PLANTED, Lesson, Material, Teacher, teach
from barcode_pipeline.workspace import Workspace

Say = Callable[[str], None]

PLANTED = "planted"


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
    hides among the ordinary then weighs little against them, and is not yet learnt by heart. Models of all shapes are
    given the same lesson: those that search have as many layers as the configuration says. Beside each stands a
    second opinion, which knows no family of anomalies.
    """
    configuration = workspace.configuration
    names = teacher_names or configuration.training.teachers
    judged = judged_in(workspace, material.training_set)
    teachers = teachers_named(names, lambda: judged)
    # Who is not taught by verdicts still takes what they confirm for no example of the ordinary.
    material = material.with_suspects(judged.confirmed() & _taught(material))
    if PLANTED in names and configuration.planting.passes > 1:
        material = material.with_suspects(_suspects(workspace, material, names, teachers, compute, say))
    settings, learnt = configuration.training.settings(), None
    if PLANTED in names and configuration.planting.corruption_epochs:
        # Before the lesson of the others is in memory.
        epochs = configuration.planting.corruption_epochs
        shape = _architecture(workspace, layers)
        learnt = learn_corruptions(material, shape, settings, epochs, compute, say)
    lesson = teach(teachers, material)
    model = train_on_lesson(workspace, material, names, lesson, layers, settings, compute, say)
    return model if learnt is None else with_second_opinion(model, *learnt, *material.real_validation()), lesson


def _suspects(
    workspace: Workspace,
    material: Material,
    names: Sequence[str],
    teachers: Sequence[Teacher],
    compute: Compute,
    say: Say,
) -> np.ndarray:
    """(N,) bool, what the searches leave under suspicion. They are kept: `lstm_model` and `baseline_models` learn from
    the same lesson, and the second of them does not search again."""
    configuration, confirmed = workspace.configuration, material.suspects
    assert confirmed is not None
    planting, layers = configuration.planting, configuration.model.layers
    settings = configuration.training.settings()
    settings = replace(settings, epochs=min(settings.epochs, planting.search_epochs))
    taught = _taught(material)
    journeys, rows = material.journeys.select(material.journeys.with_any(taught))
    material = replace(material, planting=planting.search_settings())
    lesson = teach(teachers, material)
    # All that follows comes of the first lesson.
    kept = _kept_searches(workspace, lesson, settings, names)
    if kept.exists():
        say(f"the searches of this lesson have been made: {kept}")
        return np.unpackbits(np.load(kept), count=len(confirmed)).astype(bool)
    suspects = confirmed
    for number in range(1, planting.passes):
        if number > 1:
            lesson = teach(teachers, material.with_suspects(suspects))
        model = train_on_lesson(workspace, material, names, lesson, layers, settings, compute, say)
        suspects = confirmed.copy()
        # As the network itself has it: what is calibrated is calibrated on validation lots that still hold, as
        # ordinary, the very anomalies that are looked for here.
        suspects[rows] |= (expit(model.scores(journeys)) >= planting.suspect_probability).any(axis=1)
        suspects &= taught
        say(f"search {number} of {planting.passes - 1}: {int(suspects.sum()):,} events are under suspicion")
    with written_beside(kept) as beside, beside.open("wb") as stream:
        np.save(stream, np.packbits(suspects))
    for other in kept.parent.glob("*.npy"):
        if other != kept:
            other.unlink(missing_ok=True)
    return suspects


def _kept_searches(workspace: Workspace, lesson: Lesson, settings: TrainingSettings, names: Sequence[str]) -> Path:
    """Where the searches that begin with a lesson are kept."""
    configuration = workspace.configuration
    decides = configuration.planting.model_dump(mode="json"), configuration.model.model_dump(mode="json")
    name = _short_hash(*decides, configuration.sequences.length, asdict(settings), list(names), lesson.fingerprint())
    return ModelRegistry(workspace.models).folder / "searches" / f"{name}.npy"


def _taught(material: Material) -> np.ndarray:
    """(N,) bool, the events that may be learnt from."""
    part = np.asarray(material.training_set.part)
    return (part == TRAIN) | (part == VALIDATION)


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
    if PLANTED in names:
        about["planting"] = configuration.planting.model_dump(mode="json")
        about["suspects"] = 0 if material.suspects is None else int(material.suspects.sum())
        planted = lesson.family[(lesson.train > 0) & (lesson.family != NOT_PLANTED)]
        about["planted"] = dict(
            zip(lesson.families, np.bincount(planted, minlength=len(lesson.families)).tolist(), strict=True)
        )
    architecture = _architecture(workspace, layers)
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
        material.real_validation() if PLANTED in names else None,
    )


def _architecture(workspace: Workspace, layers: int) -> Architecture:
    model, longest = workspace.configuration.model, workspace.configuration.sequences.length
    return Architecture(len(FEATURE_NAMES), layers, model.width, model.dropout, longest)


def _short_hash(*values: object) -> str:
    return f"{pd.util.hash_array(np.array([json.dumps(values, sort_keys=True)], dtype=object))[0]:016x}"
