"""The network behind the second opinion: it knows no family of anomalies, only that something was changed at random.

It finds more than a network that was taught families of what is like its corruptions and nobody has planted, and it
alarms on more that is ordinary. So it orders what lies far below the thresholds (`models.second_opinion`), and gives no
alert. Beside it stands a table of which event comes after which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.foresight import learn_foresight
from barcode_pipeline.models.lstm import fit_network, read_out
from barcode_pipeline.models.network import Architecture
from barcode_pipeline.models.second_opinion import SecondOpinion, rarities_of
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.teachers.planted import PlantedAnomalies
from barcode_pipeline.teachers.planting.families import CORRUPTIONS
from barcode_pipeline.teachers.teacher import Material, teach

LAYERS = 1


def learn_second_opinion(
    material: Material,
    architecture: Architecture,
    settings: TrainingSettings,
    epochs: int,
    compute: Compute,
    say: Callable[[str], None] = print,
) -> SecondOpinion:
    """Learn corruptions of the same journeys, for few epochs: real anomalies among what is taken for ordinary are not
    yet learnt by heart. architecture: of the model that it stands beside; of its layers it has one."""
    lesson = teach((PlantedAnomalies("corruptions", CORRUPTIONS),), material)
    foresight = learn_foresight(lesson.journeys, np.where(lesson.targets.any(axis=1), 0, lesson.train))
    say("learning corruptions")
    network, _ = fit_network(
        lesson.journeys,
        lesson.targets,
        lesson.train,
        lesson.validation,
        replace(architecture, layers=LAYERS),
        replace(settings, epochs=epochs),
        compute,
        say=say,
    )
    journeys, of_use = material.real_validation()
    log_odds, surprise = read_out([network], journeys, compute)[0], foresight.of_journeys(journeys)
    return SecondOpinion(network, foresight, *rarities_of(log_odds[of_use], surprise[of_use]))
