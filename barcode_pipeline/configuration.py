"""The one configuration: `configuration.toml` at the root of the project, checked when anything starts."""

from __future__ import annotations

import datetime
import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.budgets import BUDGET
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.teachers.planting.settings import (
    FEWEST_COPIES,
    LEFT_OUT,
    MOST_COPIES,
    OrdinaryNoise,
    PlantingSettings,
)

CONFIGURATION_FILE = "configuration.toml"


class _Section(BaseModel):
    # Strict: TOML has types of its own, and `epochs = true` is a slip, not an epoch.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def fingerprint(self) -> str:
        """A short hash of the section's values: equal where what it decides is equal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class TimeSection(_Section):
    zone: str = "Asia/Seoul"
    first_date: datetime.date = Field(default=datetime.date(2025, 6, 1), strict=False)

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"no time zone is called {zone!r}; use a name such as Asia/Seoul") from None
        return zone


Score = Annotated[float, Field(gt=0, le=100)]


class Thresholds(_Section):
    epcFake: Score = 1
    epcDup: Score = 1
    locErr: Score = 1
    evtOrderErr: Score = 1
    jump: Score = 1


class RulesSection(_Section):
    # A TOML list is no tuple; the words in it are checked all the same.
    registered_companies: Annotated[tuple[str, ...], Field(strict=False)] = ("8804823", "8805843", "8809437")
    fastest_truck_km_per_hour: float = Field(default=100.0, gt=0, le=1000)
    thresholds: Thresholds = Thresholds()

    @field_validator("registered_companies")
    @classmethod
    def _company_digits(cls, companies: tuple[str, ...]) -> tuple[str, ...]:
        for company in companies:
            if not (company.isascii() and company.isdigit() and len(company) == 7):
                raise ValueError(f"a company is seven digits, not {company!r}")
        return companies

    def settings(self) -> RuleSettings:
        """What the rules' kernels take."""
        thresholds = tuple(float(getattr(self.thresholds, label)) for label in LABELS)
        return RuleSettings(self.registered_companies, self.fastest_truck_km_per_hour, thresholds)


class SequencesSection(_Section):
    length: int = Field(default=10, ge=1, le=100)


class SplitSection(_Section):
    train_share: float = Field(default=0.8, gt=0, lt=1)
    held_out_lots: int = Field(default=5, ge=2)
    validation_lots: int = Field(default=6, ge=2)


class ModelSection(_Section):
    layers: Literal[1, 2] = 2
    width: int = Field(default=64, ge=4, le=1024)
    dropout: float = Field(default=0.1, ge=0, lt=1)


TeacherName = Literal["rule_labels", "planted", "verdicts"]


class TrainingSection(_Section):
    # A TOML list is no tuple; the words in it are checked all the same.
    teachers: Annotated[tuple[TeacherName, ...], Field(strict=False, min_length=1)] = ("planted",)
    epochs: int = Field(default=12, ge=1)
    patience: int = Field(default=4, ge=1)
    batch_events: int = Field(default=768, ge=16)
    learning_rate: float = Field(default=0.004, gt=0)
    averaged_epochs: float = Field(default=1.0, ge=0, le=10)
    seed: int = Field(default=7, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"

    def settings(self) -> TrainingSettings:
        """What training takes."""
        return TrainingSettings(
            self.epochs, self.patience, self.batch_events, self.learning_rate, self.seed, self.averaged_epochs
        )


class PlantingSection(_Section):
    share: float = Field(default=0.1, gt=0, le=0.5)
    events: int = Field(default=400_000, ge=0)
    passes: int = Field(default=3, ge=1, le=5)
    search_share: float = Field(default=0.4, gt=0, le=0.5)
    search_epochs: int = Field(default=6, ge=1)
    suspect_probability: float = Field(default=0.6, gt=0, lt=1)
    base_rate: float = Field(default=0.003, gt=0, lt=0.2)
    missed_reads: float = Field(default=0.3, ge=0, lt=1)
    corruption_epochs: int = Field(default=1, ge=0)
    # The families are checked where they are known, when the planter is asked for.
    leave_out: Annotated[tuple[str, ...], Field(strict=False)] = LEFT_OUT

    def settings(self, events: int) -> PlantingSettings:
        """What the planter takes for a training set of so many events."""
        copies = min(max(round(self.events / max(events, 1)), FEWEST_COPIES), MOST_COPIES)
        noise = OrdinaryNoise(missed_reads=self.missed_reads)
        return PlantingSettings(self.share, copies, self.leave_out, self.base_rate, noise)

    def search_settings(self) -> PlantingSettings:
        """What it takes for a model that is only to search for suspects."""
        return replace(self.settings(0), share=self.search_share, copies=1)


class ScoringSection(_Section):
    false_alerts_per_10k: float = Field(default=BUDGET, ge=0, le=30)


class EvaluationSection(_Section):
    bootstrap_replicates: int = Field(default=200, ge=20)
    suspicious_epcs: int = Field(default=20, ge=1, le=200)
    review_questions: int = Field(default=50, ge=1, le=10_000)


class ServingSection(_Section):
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    connections: int = Field(default=1000, ge=1)
    history: str = Field(default="sqlite", pattern=r"^(sqlite|rediss?://.+|unix://.+)$")
    last_events: int = Field(default=1000, ge=1)
    retention_days: int = Field(default=400, ge=1)
    lots_in_memory: int = Field(default=500, ge=1)
    cold_start_events: int = Field(default=0, ge=0)
    keys_file: str = ""
    most_events: int = Field(default=10_000, ge=1)
    most_megabytes: int = Field(default=16, ge=1, le=1024)
    requests_per_second: float = Field(default=0.0, ge=0)
    seconds: float = Field(default=30.0, gt=0)
    sample_one_in: int = Field(default=1000, ge=0)


Share = Annotated[float, Field(ge=0, le=1)]
Band = Annotated[tuple[Share, Share], Field(strict=False)]
"""Lowest and highest, both allowed. A TOML list is no tuple; the numbers in it are checked all the same."""


class LabelRates(_Section):
    epcFake: Band = (0.0, 0.1)
    epcDup: Band = (0.0, 0.1)
    locErr: Band = (0.0, 0.1)
    evtOrderErr: Band = (0.0, 0.1)
    jump: Band = (0.0, 0.1)

    @field_validator("*")
    @classmethod
    def _ascending(cls, band: tuple[float, float]) -> tuple[float, float]:
        if band[0] > band[1]:
            raise ValueError("the lowest share comes first")
        return band


class GateSection(_Section):
    lowest_rows: int = Field(default=1000, ge=1)
    constant_chance: float = Field(default=0.001, ge=0, lt=1)
    may_be_constant: Annotated[tuple[str, ...], Field(strict=False)] = ()
    label_rates: LabelRates = LabelRates()


class AlertsSection(_Section):
    near_hours: float = Field(default=4.0, gt=0, le=24)
    continues_days: int = Field(default=7, ge=0, le=60)


Variable = Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")]
"""The name of an environment variable: secrets stand there, never in the configuration."""


class MessagesSection(_Section):
    webhook: str = Field(default="", pattern=r"^(https?://\S+)?$")
    webhook_variable: Variable = ""
    webhook_token_variable: Variable = ""
    email_to: Annotated[tuple[str, ...], Field(strict=False)] = ()
    email_from: str = ""
    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password_variable: Variable = ""
    seconds: float = Field(default=5.0, gt=0, le=60)
    late_hours: float = Field(default=2.0, gt=0, le=24)
    most_alerts: int = Field(default=20, ge=1)

    @field_validator("email_to")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if "@" not in address or any(sign.isspace() for sign in address):
                raise ValueError(f"{address!r} is no e-mail address")
        return addresses

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        if self.email_to and not (self.smtp_host and self.email_from):
            raise ValueError("email_to needs smtp_host and email_from as well")
        return self


Nights = Annotated[int, Field(ge=1, le=30)]


class DriftSection(_Section):
    nights: Annotated[tuple[Nights, ...], Field(strict=False, min_length=1)] = (2, 7)
    index_warn: float = Field(default=0.2, gt=0)
    index_error: float = Field(default=0.5, gt=0)
    chance: float = Field(default=0.001, gt=0, lt=1)
    fewest_shipments: int = Field(default=30, ge=1)
    against_nights: int = Field(default=30, ge=7, le=365)
    lasting_nights: int = Field(default=10, ge=1, le=90)
    unusual: float = Field(default=2.0, gt=0)
    silent_days: int = Field(default=60, ge=1)
    lowest_rows: int = Field(default=1000, ge=1)


class NightlySection(_Section):
    judged_days: int = Field(default=7, ge=1, le=90)
    live_events: int = Field(default=80_000, ge=100)
    replay_events: int = Field(default=40_000, ge=0)
    replay_days: int = Field(default=365, ge=1)
    journeys: int = Field(default=20_000, ge=1)
    verdict_epcs: int = Field(default=500, ge=0)
    epochs: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=0.001, gt=0)
    questions: int = Field(default=20_000, ge=1)
    most_surprise: float = Field(default=3.0, gt=1)


class RetentionSection(_Section):
    run_history_days: int = Field(default=90, ge=1)
    quarantine_days: int = Field(default=365, ge=1)
    reports: int = Field(default=30, ge=1)
    models: int = Field(default=10, ge=0)


class Configuration(_Section):
    """All sections; the values shown in `configuration.toml` are the defaults."""

    time: TimeSection = TimeSection()
    rules: RulesSection = RulesSection()
    sequences: SequencesSection = SequencesSection()
    split: SplitSection = SplitSection()
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    planting: PlantingSection = PlantingSection()
    scoring: ScoringSection = ScoringSection()
    evaluation: EvaluationSection = EvaluationSection()
    serving: ServingSection = ServingSection()
    gate: GateSection = GateSection()
    alerts: AlertsSection = AlertsSection()
    messages: MessagesSection = MessagesSection()
    drift: DriftSection = DriftSection()
    nightly: NightlySection = NightlySection()
    retention: RetentionSection = RetentionSection()


def load_configuration(root: Path) -> Configuration:
    """The configuration of a project folder; all defaults where it has no file."""
    path = root / CONFIGURATION_FILE
    if not path.exists():
        return Configuration()
    try:
        return Configuration.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid TOML: {error}. Correct it and start again.") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {_reason(problem['type'], problem['msg'])}"
            for problem in error.errors()
        )
        raise UserError(f"{path}: {problems}. Correct it and start again.") from error


def _reason(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such key"
    return message.removeprefix("Value error, ")
