"""Versions of the transition table: a folder each, never changed once it is there, beside the table in use.

    data/processed/business_step_transition_avg_v2.csv     in use: what all else reads
    data/processed/transition_versions/0001/               the same bytes, as they were found
                                       0002/table.csv      what a history of transports made of it
                                            seen.csv       what was seen of each route
                                            about.json     what it was made from

Which version is in use is known by its bytes, so that a table changed by hand is never lost or mistaken for another.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import FORMAT_VERSION, TRANSITIONS_FILE

TABLE, SEEN, ABOUT = "table.csv", "seen.csv", "about.json"
_FOLDER = "transition_versions"
_NUMBERED = re.compile(r"[0-9]{4,}")


class TableVersions:
    """The versions of one project.

    Parameters
    ----------
    processed: the folder of the reference tables.
    """

    def __init__(self, processed: Path) -> None:
        self.table = processed / TRANSITIONS_FILE
        self.folder = processed / _FOLDER

    def numbers(self) -> list[int]:
        """Their numbers, ascending."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if _NUMBERED.fullmatch(path.name))

    def path(self, number: int) -> Path:
        """The table of a version; `UserError` where there is no such version."""
        path = self.folder / f"{number:04}" / TABLE
        if not path.is_file():
            there = ", ".join(map(str, self.numbers())) or "none"
            raise UserError(
                f"There is no version {number} of the transition table in {self.folder}; there are: {there}."
            )
        return path

    def about(self, number: int) -> dict[str, Any]:
        """What a version was made from."""
        path = self.path(number).with_name(ABOUT)
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}): {self._remedy()}.") from error
        if found.get("format_version") != FORMAT_VERSION:
            raise UserError(f"{path} has another format version than {FORMAT_VERSION}: {self._remedy()}.")
        return found

    def seen(self, number: int) -> Path | None:
        """The file of what was seen of each route; None for a table that was found."""
        path = self.path(number).with_name(SEEN)
        return path if path.exists() else None

    def in_use(self) -> int | None:
        """The version whose bytes are in use; None where the table in use is none of them, or is missing."""
        return self._with(self.table.read_bytes()) if self.table.exists() else None

    def keep(self) -> int:
        """The version of the table in use, which becomes one where it is none."""
        return self.add(self.table.read_bytes(), {"made": "found in use"})[0]

    def add(self, table: bytes, about: Mapping[str, object], seen: bytes | None = None) -> tuple[int, bool]:
        """(number of the version with these bytes, whether it is new). It is there as a whole or not at all."""
        if (known := self._with(table)) is not None:
            return known, False
        number = max(self.numbers(), default=0) + 1
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".*.part"):  # of processes that were killed: one at a time writes here
            shutil.rmtree(leftover)
        beside = self.folder / f".{number:04}.{os.getpid()}.part"
        beside.mkdir()
        (beside / TABLE).write_bytes(table)
        if seen is not None:
            (beside / SEEN).write_bytes(seen)
        text = json.dumps({"format_version": FORMAT_VERSION, **about}, indent=1, ensure_ascii=False)
        (beside / ABOUT).write_text(text + "\n", encoding="utf-8")
        beside.rename(self.folder / f"{number:04}")
        return number, True

    def use(self, number: int) -> int | None:
        """Put a version in the place of the table in use, which stays as a version: its number is returned, None where
        there was no table."""
        content = self.path(number).read_bytes()
        before = self.keep() if self.table.exists() else None
        with written_beside(self.table) as beside:
            beside.write_bytes(content)
        return before

    def _with(self, content: bytes) -> int | None:
        return next((number for number in self.numbers() if self.path(number).read_bytes() == content), None)

    def _remedy(self) -> str:
        return "remove that folder and run `barcode-pipeline reference refresh`"
