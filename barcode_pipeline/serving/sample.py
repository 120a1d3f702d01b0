"""A sample of what was answered, kept so that the nightly chain can judge it again (`parity`).

Which EPCs are in it a hash of their code says, the same on every machine. A line of JSON per step and EPC: its scans
as they were known, its lot's moves as they were known, and the verdicts on those that were new.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from barcode_pipeline.events.times import date_text
from barcode_pipeline.serving.readings import Clean, clean_of, text_of
from barcode_pipeline.serving.rows import VERDICT

SAMPLE_VERSION = 1
MOST_A_DAY = 5000
"""Lines a day, at most."""
DAYS_KEPT = 30
_PATTERN = "[0-9]" * 4 + "-" + "[0-9]" * 2 + "-" + "[0-9]" * 2 + ".jsonl"


@dataclass(frozen=True)
class Sampled:
    """One EPC at one moment. scans: time, event id and reading of each known scan. new: places in `scans` of those
    that were judged. verdicts: of these, `VERDICT`. moves: of the lot, `lots.bytes_of_moves`. model: file of the LSTM,
    None without one."""

    epc: str
    lot: str
    received: int
    scans: Sequence[tuple[int, int, Clean]]
    new: Sequence[int]
    verdicts: np.ndarray
    moves: bytes
    model: str | None
    cold_start: int

    def line(self) -> bytes:
        content = {
            "version": SAMPLE_VERSION,
            "epc": self.epc,
            "lot": self.lot,
            "received": self.received,
            "scans": [[time, event_id, text_of(clean)] for time, event_id, clean in self.scans],
            "new": list(self.new),
            "verdicts": base64.b64encode(self.verdicts.tobytes()).decode(),
            "moves": base64.b64encode(zlib.compress(self.moves, 1)).decode(),
            "model": self.model,
            "cold_start": self.cold_start,
        }
        return json.dumps(content).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Sampled | None:
        """None where the line was cut off by a kill, or is of another version."""
        try:
            content: dict[str, Any] = json.loads(line)
            if content["version"] != SAMPLE_VERSION:
                return None
            return cls(
                content["epc"],
                content["lot"],
                content["received"],
                [(time, event_id, clean_of(text)) for time, event_id, text in content["scans"]],
                content["new"],
                np.frombuffer(bytearray(base64.b64decode(content["verdicts"])), dtype=VERDICT),
                zlib.decompress(base64.b64decode(content["moves"])),
                content["model"],
                content["cold_start"],
            )
        except (KeyError, TypeError, ValueError, zlib.error):
            return None


class Sample:
    """The sample's files, one a day.

    Parameters
    ----------
    folder: where they lie.
    one_in: one EPC in so many is in the sample; 0: none.
    """

    def __init__(self, folder: Path, one_in: int) -> None:
        self.folder = folder
        self._one_in = one_in
        self._day = -1
        self._lines = 0

    def wants(self, epc: str) -> bool:
        return self._one_in > 0 and _hash(epc) % self._one_in == 0

    def add(self, day: int, sampled: Sequence[Sampled]) -> None:
        """Append to the day's file. A process that is killed meanwhile leaves at most its last line cut off."""
        if day != self._day:
            self._begin(day)
        lines = [some.line() for some in sampled[: max(0, MOST_A_DAY - self._lines)]]
        if lines:
            self._lines += len(lines)
            with self._path(day).open("ab") as file:
                file.write(b"".join(lines))

    def _begin(self, day: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._day = day
        path = self._path(day)
        content = path.read_bytes() if path.exists() else b""
        self._lines = content.count(b"\n")
        if content and not content.endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")
        for old in sorted(self.folder.glob(_PATTERN))[:-DAYS_KEPT]:
            old.unlink()

    def _path(self, day: int) -> Path:
        return self.folder / f"{date_text(day)}.jsonl"


def read_sample(folder: Path) -> list[Sampled]:
    """All that was kept, oldest first."""
    lines = (line for path in sorted(folder.glob(_PATTERN)) for line in path.read_bytes().splitlines())
    return [sampled for line in lines if (sampled := Sampled.of_line(line)) is not None]


def _hash(epc: str) -> int:
    return int.from_bytes(hashlib.blake2b(epc.encode(), digest_size=8, person=b"sample").digest(), "big")
