"""Which history a project has, where it lies, and what of it the intake is given."""

from __future__ import annotations

from pathlib import Path

from barcode_pipeline.errors import UserError
from barcode_pipeline.serving.history import History, HistoryDown
from barcode_pipeline.serving.live_export import export_live
from barcode_pipeline.serving.sqlite_history import SqliteHistory
from barcode_pipeline.workspace import Workspace

SQLITE = "sqlite"


def serving_folder(workspace: Workspace) -> Path:
    """What the service keeps of its own."""
    return workspace.root / "data" / "serving"


def history_file(workspace: Workspace) -> Path:
    return serving_folder(workspace) / "history.sqlite"


def has_history(workspace: Workspace) -> bool:
    """Whether anything was ever live here: there is a file, or another store is configured."""
    return workspace.configuration.serving.history != SQLITE or history_file(workspace).exists()


def open_history(workspace: Workspace) -> History:
    """The configured history; `UserError` where it cannot be reached."""
    serving = workspace.configuration.serving
    if serving.history == SQLITE:
        return SqliteHistory(history_file(workspace))
    try:
        from barcode_pipeline.serving.redis_history import RedisHistory
    except ModuleNotFoundError as error:
        raise UserError(f"serving.history needs {error.name}: pip install 'barcode-pipeline[api]'.") from error
    try:
        return RedisHistory(serving.history, serving.retention_days)
    except HistoryDown as error:
        raise UserError(f"{error}: start Redis at {serving.history}, or set serving.history to sqlite.") from error


def export(workspace: Workspace) -> dict[str, int]:
    """Hand what came in live to the intake, as raw files (`live_export`); nothing where no history is there."""
    if not has_history(workspace):
        return {}
    history = open_history(workspace)
    try:
        return export_live(history, workspace.raw)
    except HistoryDown as error:
        raise UserError(f"{error}: try again.") from error
    finally:
        history.close()
