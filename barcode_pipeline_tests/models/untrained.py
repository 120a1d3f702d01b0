"""Models with random weights: what a file or a pass does with them is the same as with trained ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.calibration import Calibration
from barcode_pipeline.models.foresight import Foresight
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.models.network import Architecture, SequenceNetwork
from barcode_pipeline.models.second_opinion import POINTS, SecondOpinion
from barcode_pipeline.models.steps import SYMBOLS
from barcode_pipeline.sequences.features import FEATURE_NAMES

WIDTH = len(FEATURE_NAMES)


def random_model(seed: int = 0, longest: int = 10, layers: int = 2) -> LstmModel:
    torch.manual_seed(seed)
    network = SequenceNetwork(Architecture(WIDTH, layers, 8, 0.3, longest))
    random = np.random.default_rng(seed)
    network.set_scaling(random.normal(size=(20, WIDTH)), np.ones(20))
    with torch.no_grad():  # larger than at the start of training, so that scores differ
        for parameter in network.parameters():
            parameter *= 2
    calibration = Calibration(random.random(5) + 0.5, random.normal(size=5), random.random(5))
    return LstmModel(network, calibration, {"teacher": "rule_labels", "history": [{"epoch": 1}]})


def random_second(seed: int = 0, longest: int = 10) -> SecondOpinion:
    """Its network has one layer, and half of all symbols are known to its table."""
    random = np.random.default_rng(seed)
    known = random.permutation(SYMBOLS)[: SYMBOLS // 2]
    place = np.full(SYMBOLS, len(known), dtype=np.int16)
    place[known] = np.arange(len(known))
    surprise = random.exponential(3.0, (len(known) + 2, len(known) + 1)).astype(np.float32)
    rarities, together, alone = (
        np.sort(random.normal(size=(rows, POINTS)), axis=1) for rows in (len(LABELS) + 1, len(LABELS), len(LABELS))
    )
    network = random_model(seed, longest, layers=1).network
    return SecondOpinion(network, Foresight(place, surprise), rarities, together, alone, 9.0)


def random_pair(seed: int = 0, longest: int = 10) -> LstmModel:
    """With a second opinion beside it, and so unsure of anything that most of its probabilities are moved."""
    model = random_model(seed, longest)
    quiet = replace(model.calibration, offset=model.calibration.offset - 6)
    return replace(model, calibration=quiet, second=random_second(seed + 1000, longest))
