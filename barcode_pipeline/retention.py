"""How long what the pipeline writes is kept: the part that lies in files. Dagster's own history is tidied beside it.

What data and models are made from, and what says how well a model did, is kept for good.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from barcode_pipeline.workspace import Workspace

_DAY = 86_400


@dataclass(frozen=True)
class Removed:
    """How much of each kind was removed."""

    quarantine_files: int
    reports: int


def tidy_files(workspace: Workspace, now: float | None = None) -> Removed:
    """Remove quarantine files and reports that have been kept as long as the configuration says, and what replaced
    raw files have left in the intake. now: seconds since the epoch, the present by default."""
    keep = workspace.configuration.retention
    moment = time.time() if now is None else now
    workspace.intake.tidy()
    return Removed(
        _remove_older(workspace.quarantine, moment - keep.quarantine_days * _DAY),
        _remove_all_but_newest(workspace.reports, keep.reports),
    )


def _remove_older(folder: Path, moment: float) -> int:
    old = [path for path in folder.rglob("*.csv") if path.stat().st_mtime < moment]
    for path in old:
        path.unlink(missing_ok=True)
    for emptied in sorted({path.parent for path in old} - {folder}, reverse=True):
        if not any(emptied.iterdir()):
            emptied.rmdir()
    return len(old)


def _remove_all_but_newest(reports: Path, count: int) -> int:
    """Reports by age; the one that `latest` points at is among those that stay."""
    if not reports.is_dir():
        return 0
    latest = (reports / "latest").resolve()
    folders = [path for path in reports.iterdir() if path.is_dir() and path.name[0] != "."]
    made = [path for path in folders if path.name not in ("latest", "alerts")]
    newest_first = sorted(made, key=lambda path: (path == latest, path.stat().st_mtime, path.name), reverse=True)
    for path in newest_first[count:]:
        shutil.rmtree(path)
    return len(newest_first[count:])
