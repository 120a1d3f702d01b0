"""What nightly runs need of the live side: filling the history, comparing answers. No server is imported here."""

from __future__ import annotations

from collections.abc import Collection

from barcode_pipeline.errors import UserError
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, load_lstm
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.serving.clock import zone_clock
from barcode_pipeline.serving.fill import Filled, Say, fill_history
from barcode_pipeline.serving.history import HistoryDown
from barcode_pipeline.serving.judge import Settings
from barcode_pipeline.serving.models_in_service import ModelsInService
from barcode_pipeline.serving.parity import Compared, compare, nightly_rows
from barcode_pipeline.serving.sample import read_sample
from barcode_pipeline.serving.stores import has_history, open_history, serving_folder
from barcode_pipeline.workspace import Workspace


def open_models(workspace: Workspace) -> ModelsInService:
    """The models, not loaded yet."""
    # Matrices of one request are small: a card would wait for them longer than it computes.
    return ModelsInService(workspace.models, Compute("cpu"), workspace.configuration.scoring.false_alerts_per_10k)


def judge_settings(workspace: Workspace) -> Settings:
    configuration = workspace.configuration
    return Settings(workspace.reference, configuration.rules.settings(), configuration.serving.cold_start_events)


def fill(workspace: Workspace, seen_on: Collection[int] | None = None, say: Say = print) -> Filled:
    """Fill the history from the nightly data. seen_on: of the lots seen on these days alone, as days since 1970."""
    serving = workspace.configuration.serving
    models = open_models(workspace)
    models.refresh()
    history = open_history(workspace)
    try:
        now = zone_clock(workspace.configuration.time.zone).now()
        return fill_history(
            history,
            workspace.merged,
            judge_settings(workspace),
            models.models(),
            now,
            seen_on,
            workspace.lots.days_with_history,
            serving.last_events,
            say,
        )
    except HistoryDown as error:
        raise UserError(f"{error}: try again.") from error
    finally:
        history.close()


def keep_in_step(workspace: Workspace, days: Collection[int], say: Say, warn: Say) -> None:
    """Where there is a live history, add to it what some dates have brought. Live goes on without that: a failure
    is told, and stops nothing."""
    if not has_history(workspace):
        return
    try:
        filled = fill(workspace, days, lambda _: None)
    except UserError as error:
        warn(f"The live history lacks what the night has brought, which `barcode-pipeline history fill` adds: {error}")
        return
    say(f"live history: {filled.new:,} scans that it did not hold")


def parity(workspace: Workspace) -> list[Compared]:
    """The sample of answers judged again from the nightly data."""
    sample = read_sample(serving_folder(workspace) / "answers")
    registry = ModelRegistry(workspace.models)
    budget = workspace.configuration.scoring.false_alerts_per_10k
    loaded: dict[str, LstmModel | None] = {}

    def model_of(name: str) -> LstmModel | None:
        if name not in loaded:
            path = registry.folder / name
            loaded[name] = load_lstm(path).at_budget(budget) if path.exists() else None
        return loaded[name]

    return compare(sample, nightly_rows(workspace.merged, sample), model_of, judge_settings(workspace))
