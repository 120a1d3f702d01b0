"""Model files, what became of each, and the pointer to the one in service.

A file is never overwritten. The pointer and the journal are written beside and renamed, the pointer last: whenever a
run is killed, it names a model that is there.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, load_lstm, save_lstm

POINTER = "in_service.json"
JOURNAL = "journal.json"


class ModelEntry(BaseModel):
    """What the journal says of a model.

    start: from nothing, or warm from another model. status: `new` until it was judged; `promoted` once it was in
    service; `kept` where it was not let in. reason: why. figures: of the judgement, by name. times: as text, in the
    pipeline's zone. in_service_since: when it last entered.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_file: str
    added_at: str = ""
    start: Literal["nothing", "warm"] = "nothing"
    warm_from: str | None = None
    trained_from: str | None = None
    trained_to: str | None = None
    status: Literal["new", "promoted", "kept"] = "new"
    reason: str = ""
    figures: dict[str, float | None] = {}
    in_service_since: str | None = None


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
        # After the last of that day: a name that was pruned would make the newest model pass for an old one.
        number = max((_age(path)[1] for path in self.folder.glob(f"lstm_model_{day:%Y%m%d}*.pt")), default=0) + 1
        path = self.folder / f"lstm_model_{day:%Y%m%d}{'' if number == 1 else f'_{number}'}.pt"
        save_lstm(model, path)
        return path

    def entries(self) -> list[ModelEntry]:
        """Every model file, oldest first; one that the journal does not know has an entry of its name alone."""
        known = {entry.model_file: entry for entry in self._journal()}
        files = sorted((path for path in self.folder.glob("lstm_model_*.pt")), key=_age)
        every = [known.get(path.name, ModelEntry(model_file=path.name)) for path in files]
        current = self.in_service()
        return [
            entry.model_copy(update={"status": "promoted"})
            if current is not None and entry.model_file == current.name
            else entry
            for entry in every
        ]

    def entry(self, name: str) -> ModelEntry:
        """The entry of one model file; `UserError` where there is none."""
        found = next((entry for entry in self.entries() if name in (entry.model_file, entry.model_file[:-3])), None)
        if found is None:
            names = ", ".join(entry.model_file for entry in self.entries()) or "none"
            raise UserError(f"There is no model {name} in {self.folder}; there are: {names}.")
        return found

    def record(self, entry: ModelEntry) -> None:
        """Put an entry into the journal, in place of the one of the same file."""
        others = [other for other in self._journal() if other.model_file != entry.model_file]
        self._write_journal([*others, entry])

    def put_in_service(self, path: Path, at: str = "", reason: str = "") -> None:
        """Move the pointer, then write it into the journal as promoted.

        The journal never names a model promoted that was not in service; where a run was killed in between, `entries`
        knows it by the pointer, and it is written down before the pointer moves on.
        """
        if (current := self.in_service()) is not None and current.exists():
            self.record(self.entry(current.name))
        with written_beside(self.folder / POINTER) as beside:
            beside.write_text(json.dumps({"model_file": path.name}) + "\n")
        entry = self.entry(path.name)
        self.record(entry.model_copy(update={"reason": reason or entry.reason, "in_service_since": at or None}))

    def in_service(self) -> Path | None:
        """The file of the model in service, None without one."""
        pointer = self.folder / POINTER
        if not pointer.exists():
            return None
        try:
            return self.folder / json.loads(pointer.read_text())["model_file"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{pointer} cannot be read: remove it and run `barcode-pipeline train`.") from error

    def before_in_service(self) -> ModelEntry | None:
        """The model that was in service before the one that is: where a roll-back leads."""
        current = self.in_service()
        others = [
            entry
            for entry in self.entries()
            if entry.status == "promoted" and (current is None or entry.model_file != current.name)
        ]
        return max(others, key=lambda entry: entry.in_service_since or "", default=None)

    def load_in_service(self, budget: float = 0.0, compute: Compute | None = None) -> tuple[LstmModel, Path]:
        """The model in service, with the thresholds of a budget of false alerts (`Calibration.at_budget`), and its
        file; `UserError` without one."""
        path = self.in_service()
        if path is None:
            raise UserError(f"No model is in service in {self.folder}: run `make run` or `barcode-pipeline train`.")
        return self.load(path, compute).at_budget(budget), path

    def load(self, path: Path, compute: Compute | None = None) -> LstmModel:
        """A model of a file; `UserError` where it does not fit this program."""
        return load_lstm(path, compute)

    def prune(self, keep: int) -> list[str]:
        """Remove models that were never in service, all but the newest `keep`; returns their names."""
        others = [entry.model_file for entry in self.entries() if entry.status != "promoted"]
        gone = others[: max(0, len(others) - keep)]
        self._write_journal([entry for entry in self._journal() if entry.model_file not in gone])
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
        return gone

    def _journal(self) -> list[ModelEntry]:
        path = self.folder / JOURNAL
        if not path.exists():
            return []
        try:
            return [ModelEntry.model_validate(entry) for entry in json.loads(path.read_text())]
        except (ValueError, TypeError, ValidationError) as error:
            raise UserError(
                f"{path} cannot be read: remove it; what it told of older models (figures, reasons) is lost then."
            ) from error

    def _write_journal(self, entries: Sequence[ModelEntry]) -> None:
        with written_beside(self.folder / JOURNAL) as beside:
            beside.write_text(json.dumps([entry.model_dump() for entry in entries], indent=1) + "\n")


def _age(path: Path) -> tuple[str, int]:
    """Day, then number of that day: `_10` comes after `_2`."""
    day, _, number = path.stem.removeprefix("lstm_model_").partition("_")
    return day, int(number) if number.isdigit() else 1


def facts_of(model: LstmModel) -> dict[str, Any]:
    """What an entry takes from the model itself."""
    return {
        "trained_from": model.about.get("trained_from"),
        "trained_to": model.about.get("trained_to"),
        "warm_from": model.about.get("warm_from"),
        "start": "warm" if model.about.get("warm_from") else "nothing",
    }
