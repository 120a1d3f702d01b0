"""Model files and the pointer to the one in service. A file is never overwritten; the pointer moves atomically."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, load_lstm, save_lstm

POINTER = "in_service.json"


class ModelRegistry:
    """The LSTM models of a project, in `<models>/lstm`."""

    def __init__(self, models: Path) -> None:
        self.folder = models / "lstm"

    @property
    def checkpoint(self) -> Path:
        """The folder of checkpoints of trainings that have not ended."""
        return self.folder / "checkpoints"

    def add(self, model: LstmModel, day: datetime.date) -> Path:
        """Save a model as `lstm_model_YYYYMMDD.pt`, a second one of that day as `…_2.pt`, and so on."""
        number = 1
        while True:
            tail = "" if number == 1 else f"_{number}"
            path = self.folder / f"lstm_model_{day:%Y%m%d}{tail}.pt"
            if not path.exists():
                save_lstm(model, path)
                return path
            number += 1

    def put_in_service(self, path: Path) -> None:
        """Move the pointer."""
        with written_beside(self.folder / POINTER) as beside:
            beside.write_text(json.dumps({"model_file": path.name}) + "\n")

    def in_service(self) -> Path | None:
        """The file of the model in service, None without one."""
        pointer = self.folder / POINTER
        if not pointer.exists():
            return None
        try:
            return self.folder / json.loads(pointer.read_text())["model_file"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{pointer} cannot be read: remove it and run `barcode-pipeline train`.") from error

    def load_in_service(self, compute: Compute | None = None) -> tuple[LstmModel, Path]:
        """The model in service and its file; `UserError` without one."""
        path = self.in_service()
        if path is None:
            raise UserError(f"No model is in service in {self.folder}: run `make run` or `barcode-pipeline train`.")
        return load_lstm(path, compute), path
