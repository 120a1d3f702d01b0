"""The detector of corruptions: a second network that knows no family of anomalies, only that something was changed.

It finds more than a network that was taught families of what is like its corruptions and nobody has planted, and it
alarms on more that is ordinary. So it orders what lies far below the thresholds (`models.lifting`), and gives no alert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, train_lstm
from barcode_pipeline.models.network import Architecture
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.teachers.planted import PlantedAnomalies
from barcode_pipeline.teachers.planting.families import CORRUPTIONS
from barcode_pipeline.teachers.teacher import Material, teach

LAYERS = 1


def train_corruption_detector(
    material: Material,
    architecture: Architecture,
    settings: TrainingSettings,
    epochs: int,
    compute: Compute,
    say: Callable[[str], None] = print,
) -> LstmModel:
    """Learn corruptions of the same journeys, for few epochs: real anomalies among what is taken for ordinary are not
    yet learnt by heart. architecture: of the model that it stands beside; of its layers it has one."""
    lesson = teach((PlantedAnomalies("corruptions", CORRUPTIONS),), material)
    say("learning corruptions")
    return train_lstm(
        lesson.journeys,
        lesson.targets,
        lesson.train,
        lesson.validation,
        replace(architecture, layers=LAYERS),
        replace(settings, epochs=epochs),
        compute,
        {"teacher": "corruptions"},
        say=say,
        real=material.real_validation(),
    )
