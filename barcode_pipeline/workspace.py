"""Where everything lies: the folders of one project, and the stores in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from barcode_pipeline.alerts.tables import ALERTS_SCHEMA
from barcode_pipeline.configuration import Configuration, load_configuration
from barcode_pipeline.evaluation.tables_of_drift import DRIFT_SCHEMA
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.enrichment import ENRICHED_SCHEMA
from barcode_pipeline.events.formats import EVENT_SCHEMA
from barcode_pipeline.events.intake import Intake
from barcode_pipeline.events.lot_index import LotIndex
from barcode_pipeline.events.made_dates import MadeDates
from barcode_pipeline.events.places import Reference
from barcode_pipeline.events.reference_tables import fingerprint_reference, load_reference
from barcode_pipeline.models.tables import SCORES_SCHEMA
from barcode_pipeline.rules.tables import LABELS_SCHEMA
from barcode_pipeline.sequences.tables import SEQUENCES_SCHEMA

ROOT_VARIABLE = "BARCODE_PIPELINE_ROOT"


@dataclass(frozen=True)
class Workspace:
    """One project folder and its configuration."""

    root: Path
    configuration: Configuration

    @classmethod
    def open(cls, root: Path | None = None) -> Workspace:
        """The folder given, else that of the environment variable, else the current one."""
        folder = root or Path(os.environ.get(ROOT_VARIABLE) or Path.cwd())
        return cls(folder.resolve(), load_configuration(folder))

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    @property
    def processed(self) -> Path:
        return self.root / "data" / "processed"

    @property
    def interim(self) -> Path:
        return self.root / "data" / "interim"

    @property
    def quarantine(self) -> Path:
        return self.root / "data" / "quarantine"

    @property
    def truth(self) -> Path:
        return self.root / "data" / "truth"

    @property
    def feedback(self) -> Path:
        return self.root / "data" / "feedback"

    @property
    def verdicts(self) -> Path:
        return self.interim / "verdicts" / "verdicts.parquet"

    @property
    def scores(self) -> DateStore:
        return DateStore(self.root / "data" / "scores", SCORES_SCHEMA)

    @property
    def alerts(self) -> DateStore:
        return DateStore(self.root / "data" / "alerts", ALERTS_SCHEMA)

    def drift(self, part: str) -> DateStore:
        """The figures of drift; part: `epc_sequences` or `event_scores`."""
        return DateStore(self.root / "data" / "drift" / part, DRIFT_SCHEMA)

    @property
    def messages(self) -> Path:
        """The messages that were told or wait to be sent (`messages.Outbox`)."""
        return self.root / "data" / "messages" / "outbox.sqlite"

    @property
    def training(self) -> Path:
        return self.root / "data" / "lstm_training"

    @property
    def night_training(self) -> Path:
        """Like `training`, of a night: some lots of all."""
        return self.root / "data" / "lstm_training_night"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def model_pointer(self) -> Path:
        """The file that names the model in service (`models.registry`); without it none is."""
        return self.models / "lstm" / "in_service.json"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def performance_log(self) -> Path:
        return self.root / "logs" / "lstm_models" / "lstm_performance_log.csv"

    @cached_property
    def _tables_read(self) -> tuple[str, Reference]:
        # In this order: of a table that is changed in between, what was read counts as made with the older one.
        return fingerprint_reference(self.processed), load_reference(self.processed)

    @property
    def reference(self) -> Reference:
        """The reference tables, read once."""
        return self._tables_read[1]

    def reference_fingerprint(self) -> str:
        """Of the tables that this workspace works with: those it has read, else those that lie there."""
        read = "_tables_read" in self.__dict__
        return self._tables_read[0] if read else fingerprint_reference(self.processed)

    @property
    def intake(self) -> Intake:
        return Intake(self.raw, self.interim / "_intake", self.quarantine, self.configuration.time.zone)

    @property
    def made(self) -> MadeDates:
        return MadeDates(self.interim / "_made" / "made.sqlite")

    @property
    def lots(self) -> LotIndex:
        return LotIndex(self.interim / "_made" / "lots.npz", self.merged)

    @property
    def lock(self) -> Path:
        """The file whose lock is held by whoever works on the data: one at a time."""
        return self.root / "data" / ".lock"

    @property
    def merged(self) -> DateStore:
        return DateStore(self.interim / "merged_events", EVENT_SCHEMA)

    @property
    def enriched(self) -> DateStore:
        return DateStore(self.interim / "enriched_events", ENRICHED_SCHEMA)

    @property
    def labels(self) -> DateStore:
        return DateStore(self.interim / "rule_labels", LABELS_SCHEMA)

    @property
    def sequences(self) -> DateStore:
        return DateStore(self.interim / "epc_sequences", SEQUENCES_SCHEMA)
