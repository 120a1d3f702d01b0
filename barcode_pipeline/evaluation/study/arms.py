"""An arm of the study: how to get a detector, and how it decides. Plain values, so that an arm can be told by a hash.

What an arm does with its values stands in `fitting` and `judging`; which arms there are stands in `plan`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np

from barcode_pipeline.models.budgets import BUDGET
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.teachers.planting.settings import PlantingSettings

LIST, RANDOM = "list", "random"
"""Where verdicts come from: the review list, or events drawn at random."""


@dataclass(frozen=True)
class Lstm:
    """The LSTM. longest: L."""

    layers: int = 2
    width: int = 64
    dropout: float = 0.1
    longest: int = 10
    training: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True)
class Peer:
    """A detector of `models.baselines` by its name. searched: its settings are the best of its own grid on validation;
    else its defaults, but for `settings`."""

    name: str
    searched: bool = False
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Asked:
    """Verdicts of an investigator who knows the truth. A verdict is an event looked at: all five labels are told.

    by: `LIST` or `RANDOM`. count: of events. weight: of each in learning.
    """

    by: str
    count: int
    weight: float | None = None


@dataclass(frozen=True)
class Teaching:
    """By whom: what a detector learns from, the same for all that share it.

    teachers: by their names, one after the other (`teachers.registry`), verdicts aside. planting: how anomalies are
    planted. passes: where they are, all but the last only search: what `searcher`, taught with anomalies on
    `search_share` of the EPCs, finds from `suspect_probability` on is no example of the ordinary for the next.
    corruption_epochs: of the detector of corruptions beside an LSTM that is taught planted anomalies, 0 for none.
    """

    teachers: tuple[str, ...]
    planting: PlantingSettings = field(default_factory=PlantingSettings)
    passes: int = 1
    searcher: Lstm = field(default_factory=Lstm)
    search_share: float = 0.4
    suspect_probability: float = 0.3
    corruption_epochs: int = 0

    def searching(self) -> Teaching:
        """That of the search before the last pass."""
        planting = replace(self.planting, share=self.search_share, copies=1)
        return replace(self, planting=planting, passes=self.passes - 1, corruption_epochs=0)


@dataclass(frozen=True)
class Fit:
    """What is learnt. without_shipment: shipment features are blanked. asked: verdicts on top of the other teachers,
    asked for with the model that was learnt without them."""

    detector: Lstm | Peer
    teaching: Teaching
    without_shipment: bool = False
    asked: Asked | None = None


@dataclass(frozen=True)
class Decide:
    """How scores become alerts. budget: false alerts per 10,000 scans that thresholds may give on planted validation,
    all labels together, as `scoring.false_alerts_per_10k` has it; 0: thresholds of highest F1. calibrated: Platt's
    sigmoid, else the plain one. rules_first: how
    many events of an EPC are left to the rules. rules_beside: whether a label that rules set is an alert as well."""

    budget: float = BUDGET
    calibrated: bool = True
    rules_first: int = 0
    rules_beside: bool = False


@dataclass(frozen=True)
class Arm:
    """A detector under a name. fits: one, or several whose log-odds are averaged; none: the rules. model: the `model`
    of its rows, the name by default."""

    name: str
    fits: tuple[Fit, ...] = ()
    decide: Decide = field(default_factory=Decide)
    model: str = ""

    @property
    def row_model(self) -> str:
        return self.model or self.name


def plain_values(value: Any) -> Any:
    """Plain values of nested dataclasses, with their classes' names: what a hash is made of, and JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        inner = {item.name: plain_values(getattr(value, item.name)) for item in fields(value)}
        return {"is": type(value).__name__, **inner}
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain_values(item) for item in value]
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:16]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} is no plain value, so an arm with it cannot be told from another.")


def fingerprint(*values: Any) -> str:
    """A short hash: equal where all values are equal."""
    text = json.dumps(plain_values(values), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
