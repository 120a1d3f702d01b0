"""The report of a run: one HTML page that works offline, and the same figures as JSON. What it says is made elsewhere.

`reports/<run>/` holds `report.html`, `metrics.json` and what else is given; `reports/latest` points at the newest run.
"""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.headline import Figure
from barcode_pipeline.evaluation.metrics import Row
from barcode_pipeline.evaluation.naming import LABEL_MEANINGS
from barcode_pipeline.evaluation.report_plots import ReportPlot
from barcode_pipeline.evaluation.summary import opening
from barcode_pipeline.evaluation.tables import CELL_FIGURES, COLUMN_LABELS, table_groups
from barcode_pipeline.events.files import written_beside

TEMPLATE = Path(__file__).with_name("report.html")
DIGITS = 6
_LONG_TEXT = 160


@dataclass(frozen=True)
class ReportContext:
    """All that a report shows.

    rows, headline: from `metrics.evaluate` and `headline.headline`. data, model: facts by name, in the order to be
    shown; values are numbers, texts, lists or dicts of them. deciding_features: from `single_feature_power`.
    suspicious_epcs: dicts of epc, score, label, reason, normal and journey, a list of dicts of time, place, step,
    type, probability and labels. review: dicts of label, why, epc_code, event_time, scan_location, location_id,
    business_step and event_type, the events most worth a verdict. commands: lines that make this report again.
    """

    run_id: str
    created_at: str
    rows: Sequence[Row]
    headline: Mapping[str, Figure]
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    plots: Sequence[ReportPlot] = ()
    deciding_features: pd.DataFrame | None = None
    suspicious_epcs: Sequence[Mapping[str, Any]] = ()
    review: Sequence[Mapping[str, Any]] = ()
    commands: Sequence[str] = field(default=())


def build_report(context: ReportContext) -> str:
    """One self-contained HTML page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        context=context,
        opening=opening(context.rows, context.headline),
        data=_facts(context.data),
        model=_facts(context.model),
        groups=table_groups(context.rows),
        labels=COLUMN_LABELS,
        figures=CELL_FIGURES,
        meanings=LABEL_MEANINGS,
        plots=[(plot.title, plot.explanation, base64.b64encode(plot.png).decode("ascii")) for plot in context.plots],
        features=_features(context.deciding_features),
    )


def write_report(reports: Path, context: ReportContext, others: Mapping[str, str] = MappingProxyType({})) -> Path:
    """Write `report.html`, `metrics.json` and other files (name to text) into the run's folder, then make `latest`
    point at it.

    Returns the run's folder. A run that is killed leaves `latest` at the report before it.
    """
    folder = reports / context.run_id
    if folder.parent != reports or context.run_id in ("", ".", "..", "latest"):
        raise UserError(f"{context.run_id!r} cannot name a folder of {reports}. Give the run another name.")
    metrics = {
        "rows": context.rows,
        "headline": context.headline,
        "data": context.data,
        "model": context.model,
    }
    with written_beside(folder / "metrics.json") as beside:
        text = json.dumps(plain(metrics), indent=1, ensure_ascii=False, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")
    with written_beside(folder / "report.html") as beside:
        beside.write_text(build_report(context), encoding="utf-8")
    for name, text in others.items():
        with written_beside(folder / name) as beside:
            beside.write_text(text, encoding="utf-8")
    point_latest(reports, context.run_id)
    return folder


def point_latest(reports: Path, run_id: str) -> None:
    """Make `reports/latest` a relative link to a run's folder, a copy of it where links are not possible."""
    latest = reports / "latest"
    beside = reports / f".latest.{os.getpid()}"
    _remove(beside)
    try:
        beside.symlink_to(run_id, target_is_directory=True)
    except (OSError, NotImplementedError):
        shutil.copytree(reports / run_id, beside)
    if beside.is_symlink() and not (latest.is_dir() and not latest.is_symlink()):
        os.replace(beside, latest)
        return
    # A folder cannot be replaced in one step: the old one goes aside first.
    aside = reports / f".latest.{os.getpid()}.old"
    _remove(aside)
    if latest.is_symlink() or latest.exists():
        os.rename(latest, aside)
    os.rename(beside, latest)
    _remove(aside)


def plain(value: Any) -> Any:
    """A value as JSON has it: floats of six digits, no NaN (None), no NumPy, keys and all else as text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return round(float(value), DIGITS) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [plain(item) for item in value]
    return str(value)


def shown(value: Any) -> str:
    """A fact as a reader wants it: thousands apart, lists and dicts in a line."""
    value = plain(value)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(item)}" for key, item in value.items()) or "–"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "–"
    return str(value)


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Name, value and whether the value is too long to stand open."""
    made = []
    for name, value in facts.items():
        text = shown(value)
        made.append((str(name).replace("_", " ").replace("epcs", "EPCs"), text, len(text) > _LONG_TEXT))
    return made


def _features(table: pd.DataFrame | None) -> list[tuple[str, list[dict[Any, Any]]]]:
    """The deciding features by label, in the order of the table."""
    if table is None:
        return []
    records = [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in record.items()}
        for record in table.to_dict("records")
    ]
    labels = dict.fromkeys(str(record["label"]) for record in records)
    return [(label, [record for record in records if record["label"] == label]) for label in labels]


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
