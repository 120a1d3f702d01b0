"""The one configuration: `configuration.toml` at the root of the project, checked when anything starts."""

from __future__ import annotations

import datetime
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.rules.settings import RuleSettings

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


class TrainingSection(_Section):
    teacher: Literal["rule_labels"] = "rule_labels"
    epochs: int = Field(default=16, ge=1)
    patience: int = Field(default=4, ge=1)
    batch_events: int = Field(default=768, ge=16)
    learning_rate: float = Field(default=0.004, gt=0)
    seed: int = Field(default=7, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"


class EvaluationSection(_Section):
    bootstrap_replicates: int = Field(default=200, ge=20)
    suspicious_epcs: int = Field(default=20, ge=1, le=200)


class Configuration(_Section):
    """All sections; the values shown in `configuration.toml` are the defaults."""

    time: TimeSection = TimeSection()
    rules: RulesSection = RulesSection()
    sequences: SequencesSection = SequencesSection()
    split: SplitSection = SplitSection()
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()


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
