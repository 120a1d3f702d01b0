"""What the study has found, in one JSON file: rows, cells, headline. A finished cell is written at once.

Several studies may write into one file, each with other seeds: the file is read again under a lock before a cell is
added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.metrics import Row
from barcode_pipeline.evaluation.report import plain
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.locks import alone

Headline = Callable[[list[Row], Mapping[str, Any]], dict[str, Any]]


@dataclass
class Results:
    """headline: by name. data: seeds, worlds. model: the arm in service. cells: by key, with fingerprint, seconds and
    facts. notes: by question, and `not_reached` under the headline, written by hand. rows: of all cells."""

    headline: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def finished(self, key: str, fingerprint: str) -> bool:
        """Whether the cell is there, as it would be answered today."""
        return self.cells.get(key, {}).get("fingerprint") == fingerprint

    def with_cell(self, key: str, about: dict[str, Any], rows: list[Row]) -> None:
        """Put a cell in, in place of what it came to before."""
        self.cells[key] = about
        self.rows = [row for row in self.rows if key_of(row) != key] + rows


class ResultsFile:
    """The file, its lock and its form."""

    def __init__(self, path: Path, lock: Path, headline: Headline) -> None:
        self.path = path
        self.lock = lock
        self.headline = headline

    def read(self) -> Results:
        """What was found so far; nothing where there is no file."""
        if not self.path.exists():
            return Results()
        try:
            return Results(**json.loads(self.path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise UserError(f"{self.path} cannot be read ({error}): restore it from git, or remove it.") from error

    def change(self, change: Callable[[Results], None]) -> Results:
        """Read, change, make the headline anew, and write in one stroke."""
        with alone(self.lock, f"a study that writes {self.path.name}"):
            results = self.read()
            change(results)
            results.headline = self.headline(results.rows, results.cells)
            with written_beside(self.path) as beside:
                beside.write_text(as_text(results), encoding="utf-8")
        return results


def key_of(row: Mapping[str, Any]) -> str:
    """The key of the cell that a row came from."""
    return "/".join(str(row[name]) for name in ("question", "arm", "world", "seed"))


def as_text(results: Results) -> str:
    """JSON with a line per row and per cell: a change of one is a change of one line. Rows stand by cell."""

    def line(value: Any) -> str:
        return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)

    parts = [f"{json.dumps(name)}: {line(getattr(results, name))}" for name in ("data", "model", "notes")]
    figures = ",\n".join(f"{json.dumps(name)}: {line(value)}" for name, value in sorted(results.headline.items()))
    cells = ",\n".join(f"{json.dumps(key)}: {line(value)}" for key, value in sorted(results.cells.items()))
    rows = ",\n".join(line(row) for row in sorted(results.rows, key=key_of))
    parts += [f'"headline": {{\n{figures}\n}}', f'"cells": {{\n{cells}\n}}', f'"rows": [\n{rows}\n]']
    return "{\n" + ",\n".join(parts) + "\n}\n"
