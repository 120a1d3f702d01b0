"""The models that the service judges by: loaded once, and exchanged when the pointer to the one in service moves."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import current_folder
from barcode_pipeline.models.baselines.one_class_svm import OneClassSvm
from barcode_pipeline.models.calibration import Calibration
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, load_lstm
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.serving.judge import Models, Svm

_LOG = logging.getLogger("barcode_pipeline.serving")

CALIBRATIONS = "calibrations.json"


@dataclass(frozen=True)
class InService:
    """models: what judges now. lstm_file, svm_folder: where they came from. refused: why what the pointers name now
    was not taken, by what it is."""

    models: Models
    lstm_file: Path | None = None
    svm_folder: Path | None = None
    refused: tuple[tuple[str, str], ...] = ()

    def about(self) -> dict[str, Any]:
        """The LSTM's name and dates, as `/ready` tells them."""
        if self.models.lstm is None or self.lstm_file is None:
            return {"model": None}
        about = self.models.lstm.about
        date = self.lstm_file.stem.removeprefix("lstm_model_")[:8]
        return {
            "model": self.lstm_file.name,
            "date": f"{date[:4]}-{date[4:6]}-{date[6:8]}" if date.isdigit() else None,
            "trained_to": about.get("trained_to"),
            "teacher": about.get("teacher"),
        }


class ModelsInService:
    """Follows the pointers below a models folder.

    Parameters
    ----------
    folder: of the models; the LSTMs lie in `lstm`, the simple detectors in `baselines`.
    compute: what the LSTM runs on.
    budget: of false alerts per 10,000 scans, whose thresholds decide (`Calibration.at_budget`).
    """

    def __init__(self, folder: Path, compute: Compute | None = None, budget: float = 0.0) -> None:
        self._registry = ModelRegistry(folder)
        self._baselines = folder / "baselines"
        self._compute = compute or Compute()
        self._budget = budget
        self._looking = threading.Lock()
        self._refused: dict[tuple[Path, int], str] = {}
        self.now = InService(Models())

    def models(self) -> Models:
        return self.now.models

    def refresh(self) -> bool:
        """Look whether a pointer has moved and take what it names; whether anything was taken.

        What does not fit is refused, and the model that was in service stays.
        """
        with self._looking:
            before = self.now
            lstm = self._look("LSTM", before.lstm_file, self._registry.in_service, self._load_lstm)
            svm = self._look(
                "one-class SVM", before.svm_folder, lambda: current_folder(self._baselines), self._load_svm
            )
            after = replace(before, refused=tuple((what, why) for what, _, _, why in (lstm, svm) if why))
            if lstm[1] is not None:
                models = replace(after.models, lstm=lstm[2], lstm_file=lstm[1].name)
                after = replace(after, models=models, lstm_file=lstm[1])
            if svm[1] is not None:
                after = replace(after, models=replace(after.models, svm=svm[2]), svm_folder=svm[1])
            for what, why in set(after.refused) - set(before.refused):
                _LOG.error("refused a model", extra={"facts": {"what": what, "why": why}})
            # One assignment: whoever judges has either the old pair or the new one.
            self.now = after
            return (after.lstm_file, after.svm_folder) != (before.lstm_file, before.svm_folder)

    def _look(
        self, what: str, known: Path | None, named: Callable[[], Path | None], load: Callable[[Path], Any]
    ) -> tuple[str, Path | None, Any, str | None]:
        """(what, its file or None where nothing is to be taken, the model, why it was refused)."""
        try:
            path = named()
            if path is None or path == known:
                return what, None, None, None
            version = (path, path.stat().st_mtime_ns if path.exists() else 0)
            if version in self._refused:
                return what, None, None, self._refused[version]
            try:
                return what, path, load(path), None
            except (UserError, OSError, ValueError) as error:
                self._refused = {version: str(error)}
                return what, None, None, str(error)
        except (UserError, OSError, ValueError) as error:
            return what, None, None, str(error)

    def _load_lstm(self, path: Path) -> LstmModel:
        model = load_lstm(path, self._compute)
        for network in model.networks:
            network.to(self._compute.device).eval()
        found = model.probabilities(JourneyFeatures(np.zeros((2, len(FEATURE_NAMES)), np.float16), np.array([0, 2])))
        if not np.isfinite(found).all():
            raise UserError(f"{path} gives no numbers: train again, or restore the file.")
        return model.at_budget(self._budget)

    def _load_svm(self, folder: Path) -> Svm:
        svm = load_svm(folder)
        return replace(svm, calibration=svm.calibration.at_budget(self._budget))


def load_svm(folder: Path) -> Svm:
    """The one-class machines of a folder of baselines; `UserError` where they do not fit this program."""
    detector = OneClassSvm.load(folder)
    try:
        stored = json.loads((folder / CALIBRATIONS).read_text(encoding="utf-8"))[OneClassSvm.name]
        calibration = Calibration(**{name: np.array(value) for name, value in stored.items()})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / CALIBRATIONS} cannot be read: train the baselines again.") from error
    return Svm(detector, calibration)
