"""What the simple detectors share: checks, saving and loading. Nothing of how any of them learns."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import FORMAT_VERSION, LABELS
from barcode_pipeline.sequences.features import FEATURE_NAMES, FEATURE_VERSION
from barcode_pipeline.sequences.journey_features import JourneyFeatures

_ABOUT = "about"
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError, EOFError, RuntimeError, zlib.error,
               zipfile.BadZipFile)  # fmt: skip
"""What reading a damaged archive, or one of other content, may raise."""


@dataclass(kw_only=True, eq=False)
class Baseline:
    """A detector (`models.detector`) whose learnt state is plain arrays.

    Fields of the constructor are parameters; the other fields, with a trailing underscore, are learnt. These arrays,
    not the estimators they came from, are what scores, so that a file holds numbers alone: reading one runs no
    code, and a score does not change with a library's version.
    """

    name: ClassVar[str]
    grid: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """Parameters that `search` tries, the defaults first."""

    seed: int = 0
    """Of whatever is drawn at random; same seed, same machine, same result."""

    def fit(self, journeys: JourneyFeatures, targets: np.ndarray, use: np.ndarray) -> Self:
        """Learn from some events. targets: (N, 5) bool. use: (N,) bool, or weights of at least 0."""
        _check_features(journeys)
        if targets.shape != (len(journeys), len(LABELS)) or use.shape != (len(journeys),):
            raise ValueError(f"{len(journeys)} events have targets of shape {targets.shape} and use of {use.shape}.")
        weight = use.astype(np.float32)
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError("A weight is a finite number of at least 0.")
        if not weight.any():
            raise UserError(f"{self.name} has no event to learn from: the training part of the data is empty.")
        self._learn(journeys, targets.astype(bool), weight)
        return self

    def score(self, journeys: JourneyFeatures) -> np.ndarray:
        """(N, 5) float32, higher is more suspicious."""
        self._check_fitted()
        _check_features(journeys)
        if not len(journeys):
            return np.zeros((0, len(LABELS)), dtype=np.float32)
        return self._score(journeys)

    def save(self, folder: Path) -> Path:
        """Write parameters and learnt arrays to `folder / {name}.npz`."""
        self._check_fitted()
        about = {
            "name": self.name,
            "format_version": FORMAT_VERSION,
            "feature_version": FEATURE_VERSION,
            "parameters": {name: getattr(self, name) for name in self._parameters()},
        }
        arrays = {name: getattr(self, name) for name in self._learnt()}
        path = folder / f"{self.name}.npz"
        with written_beside(path) as beside, beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **{_ABOUT: np.array(json.dumps(about)), **arrays})
        return path

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. A file that is missing, damaged or of another version is a `UserError`."""
        path = folder / f"{cls.name}.npz"
        again = f"train again to replace {path}."
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            about = json.loads(str(arrays.pop(_ABOUT)))
            versions = about["format_version"], about["feature_version"]
            if versions != (FORMAT_VERSION, FEATURE_VERSION):
                raise UserError(f"{cls.name} was saved for other features than these: {again}")
            if about["name"] != cls.name or about["parameters"].keys() != set(cls._parameters()):
                raise ValueError("other parameters")
            detector = cls(**about["parameters"])
            for name in cls._learnt():
                setattr(detector, name, arrays[name])
            detector._verify()
        except FileNotFoundError:
            raise UserError(f"There is no saved {cls.name} at {path}: train the baselines first.") from None
        except _UNREADABLE as error:
            raise UserError(f"{path} is not a {cls.name} that this version can read: {again}") from error
        return detector

    def _check_fitted(self) -> None:
        if not all(hasattr(self, name) for name in self._learnt()):
            raise UserError(f"{self.name} has learnt nothing yet: fit it, or load a saved one, first.")

    @classmethod
    def _parameters(cls) -> list[str]:
        return [field.name for field in fields(cls) if field.init]

    @classmethod
    def _learnt(cls) -> list[str]:
        return [field.name for field in fields(cls) if not field.init]

    def _learn(self, journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray) -> None:
        raise NotImplementedError

    def _score(self, journeys: JourneyFeatures) -> np.ndarray:
        raise NotImplementedError

    def _verify(self) -> None:
        """Raise ValueError where loaded arrays do not fit each other: compiled loops check no bounds."""


def _check_features(journeys: JourneyFeatures) -> None:
    if journeys.values.shape[1] != len(FEATURE_NAMES):
        raise ValueError(f"Events have {journeys.values.shape[1]} features, not {len(FEATURE_NAMES)}.")


def for_every_label(score: np.ndarray) -> np.ndarray:
    """One score per event, (N,), as the same five: (N, 5) float32."""
    return np.repeat(score.astype(np.float32)[:, None], len(LABELS), axis=1)


def ordinary(journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N,) weights, 0 for all events of a journey in which an event that is learnt from bears a label."""
    suspicious = journeys.with_any((weight > 0) & targets.any(axis=1))
    return np.where(np.repeat(suspicious, np.diff(journeys.offsets)), 0, weight)
