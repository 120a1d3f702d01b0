"""The training set on disk: plain arrays that training memory-maps, in a folder named by their content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import POINTER, current_folder, published_folder
from barcode_pipeline.events.formats import FORMAT_VERSION
from barcode_pipeline.events.times import day_number
from barcode_pipeline.sequences.features import FEATURE_VERSION

ARRAYS = ("features", "rule_labels", "offsets", "time", "lot", "part", "source")


@dataclass(frozen=True)
class TrainingSet:
    """Sequences of all dates in journey order, memory-mapped.

    features: (N, F) float16. rule_labels: (N, 5) bool. offsets: (J + 1,) int64; journey j is
    `offsets[j]:offsets[j + 1]`. time: (N,) int64 seconds. lot: (N,) int32. part: (N,) uint8 (`split`).
    source: (N,) int64, row in the tables of `days` one after the other. about: cut, counts, fingerprint.
    """

    features: np.ndarray
    rule_labels: np.ndarray
    offsets: np.ndarray
    time: np.ndarray
    lot: np.ndarray
    part: np.ndarray
    source: np.ndarray
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def days(self) -> list[int]:
        """The days that `source` counts in."""
        if "dates" not in self.about:
            raise UserError("The training set was made by an earlier program: materialise train_eval_split again.")
        return [day_number(date) for date in self.about["dates"]]


def write_training_set(folder: Path, arrays: Mapping[str, np.ndarray], about: dict[str, Any]) -> dict[str, Any]:
    """Write the arrays, then move the pointer; what another content left behind is removed."""
    digest = hashlib.sha256()  # processors have instructions for it
    for name in ARRAYS:
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8).data)
    digest.update(json.dumps(about, sort_keys=True).encode())
    fingerprint = digest.hexdigest()[:24]
    about = {**about, "format_version": FORMAT_VERSION, "fingerprint": fingerprint}
    if (current := current_folder(folder)) is not None and current.name == fingerprint:
        os.utime(folder / POINTER)  # it was made last
        return about
    with published_folder(folder, fingerprint) as beside:
        for name in ARRAYS:
            np.save(beside / f"{name}.npy", arrays[name], allow_pickle=False)
        (beside / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True))
    return about


def newest_training_set(folders: Sequence[Path]) -> TrainingSet:
    """Of what these folders hold the training set that was made last. Not the one that goes furthest: all events may
    have been split before rows of their dates came in, and a night's set holds what came since."""
    there = [folder for folder in folders if current_folder(folder) is not None]
    return read_training_set(max(there, key=lambda folder: (folder / POINTER).stat().st_mtime_ns, default=folders[0]))


def read_training_set(folder: Path) -> TrainingSet:
    """Memory-map the arrays that the pointer names."""
    current = current_folder(folder)
    if current is None:
        raise UserError(
            f"There is no training set in {folder}: run `make run`, or materialise the assets up to train_eval_split."
        )
    about = json.loads((current / "about.json").read_text())
    if about.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{current} has another format version than {FORMAT_VERSION}: materialise train_eval_split again."
        )
    if about.get("feature_version", FEATURE_VERSION) != FEATURE_VERSION:
        raise UserError(
            f"{current} holds features of version {about['feature_version']}, and this program computes version "
            f"{FEATURE_VERSION}: materialise epc_sequences and train_eval_split again."
        )
    arrays = {name: np.load(current / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
    return TrainingSet(**arrays, about=about)
