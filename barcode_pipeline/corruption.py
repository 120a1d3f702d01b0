"""The network behind the second opinion: it knows no family of anomalies, only that something was changed at random.

It finds more than a network that was taught families of what is like its corruptions and nobody has planted, and it
alarms on more that is ordinary. So it helps to order what lies below the thresholds (`models.second_opinion`), and
gives no alert. Beside it stands a table of which event comes after which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.foresight import Foresight, learn_foresight
from barcode_pipeline.models.lstm import LstmModel, fit_network, read_out
from barcode_pipeline.models.network import Architecture, SequenceNetwork
from barcode_pipeline.models.second_opinion import stand_beside
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.teachers.planted import PlantedAnomalies
from barcode_pipeline.teachers.planting.families import CORRUPTIONS
from barcode_pipeline.teachers.teacher import Material, teach

LAYERS = 1


def learn_corruptions(
    material: Material,
    architecture: Architecture,
    settings: TrainingSettings,
    epochs: int,
    compute: Compute,
    say: Callable[[str], None] = print,
) -> tuple[SequenceNetwork, Foresight]:
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
    return network, foresight


def with_second_opinion(
    model: LstmModel, network: SequenceNetwork, foresight: Foresight, journeys: JourneyFeatures, of_use: np.ndarray
) -> LstmModel:
    """The model with what has learnt corruptions beside it. journeys: real ones of validation lots, whose events
    `of_use` say how rare what it says is."""
    scores, log_odds = (said[of_use] for said in read_out([model.network, network], journeys, model.compute))
    second = stand_beside(network, foresight, scores, log_odds, foresight.of_journeys(journeys)[of_use])
    return replace(model, second=second)
