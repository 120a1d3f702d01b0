"""The review list for clients: what the last report has kept, without the questions that have been answered since.

Nothing is chosen anew at a request. Files of verdicts are read again only where they have changed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from barcode_pipeline.events.places import Sites
from barcode_pipeline.events.raw_files import UnreadableFile
from barcode_pipeline.events.verdicts import read_verdict_file
from barcode_pipeline.feedback import feedback_files
from barcode_pipeline.reviewing import KeptReview, answered, read_kept_review

Stamp = tuple[int, int, int]
"""What of a file changes with its content: a file is put into place whole, under a new inode."""


@dataclass
class ReviewDesk:
    """The list as it stands. Used by several threads.

    file: the list that the last report has kept. feedback: the folder of verdicts. zone: of the pipeline. sites: what
    places of verdicts are looked up in.
    """

    file: Path
    feedback: Path
    zone: str
    sites: Sites
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _of_file: tuple[Path, Stamp] | None = None
    _review: KeptReview = field(default_factory=lambda: KeptReview("", "", []))
    _answered: dict[Path, tuple[Stamp, np.ndarray]] = field(default_factory=dict)

    def questions(self, count: int) -> dict[str, Any]:
        """The first `count` open questions, and when the list was made. `UserError` where no report has kept one."""
        with self._lock:
            review = self._newest()
            done = np.zeros(len(review.questions), dtype=bool)
            for path in self._changed():
                done |= self._answered[path][1]
        still_open = np.flatnonzero(~done)[:count].tolist()
        return {
            "made_at": review.made_at,
            "model": review.model,
            "questions": [review.questions[place] for place in still_open],
        }

    def _newest(self) -> KeptReview:
        of_file = _find(self.file)
        if of_file is None or of_file != self._of_file:
            self._review, self._answered = read_kept_review(self.file), {}
            self._of_file = of_file
        return self._review

    def _changed(self) -> list[Path]:
        """The files of verdicts, those that are new or have changed read anew."""
        found = {path: here[1] for path in feedback_files(self.feedback) if (here := _find(path))}
        self._answered = {path: known for path, known in self._answered.items() if found.get(path) == known[0]}
        for path in found.keys() - self._answered.keys():
            self._answered[path] = (found[path], self._answers_of(path))
        return list(found)

    def _answers_of(self, path: Path) -> np.ndarray:
        try:
            verdicts = read_verdict_file(path.read_bytes(), self.zone).verdicts
        except (UnreadableFile, OSError):  # the asset `verdicts` tells of it
            return np.zeros(len(self._review.questions), dtype=bool)
        return answered(self._review.questions, verdicts, self.sites)


def _find(path: Path) -> tuple[Path, Stamp] | None:
    """Where a path leads, and the file's stamp; None where nothing is."""
    try:
        place = path.resolve(strict=True)
        about = place.stat()
    except OSError:
        return None
    return place, (about.st_mtime_ns, about.st_size, about.st_ino)
