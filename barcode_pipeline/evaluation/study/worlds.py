"""The worlds of the study: simulated (or a user's own) files, taken through the real chain, each in its own folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from barcode_pipeline import chain
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.metrics import HELD_OUT_LOTS, HELD_OUT_LOTS_ALL_DATES, KNOWN_LOTS
from barcode_pipeline.evaluation.study.arms import fingerprint
from barcode_pipeline.evaluation.truth import NO_VARIANT, TruthOfEvents, match_truth, read_truth
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import KEY_COLUMNS, LABELS, SCORES
from barcode_pipeline.learning import material_of
from barcode_pipeline.sequences.features import FEATURE_VERSION
from barcode_pipeline.sequences.split import HELD_OUT_LOTS as PART_HELD_OUT
from barcode_pipeline.sequences.split import HELD_OUT_LOTS_EARLIER as PART_EARLIER
from barcode_pipeline.sequences.split import KNOWN_LOTS as PART_KNOWN
from barcode_pipeline.sequences.training_set import TrainingSet, read_training_set
from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.simulator.worlds import study_world
from barcode_pipeline.taking_in import dates_with_rows, take_in
from barcode_pipeline.teachers.teacher import Material
from barcode_pipeline.workspace import Workspace

Say = Callable[[str], None]

OWN = "own"
"""The world of a user's own files."""
_MARK = "study_world.json"
_DATA = ("raw", "processed", "truth")


@dataclass(frozen=True)
class WorldKey:
    """Which world. name: of `simulator.worlds`, or `OWN` with the folder of its files."""

    name: str
    seed: int
    events: int = 0
    own: Path | None = None

    def world(self) -> World:
        return study_world(self.name, self.seed, self.events)

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.seed}" if self.own else f"{self.name}-{self.events}-{self.seed}"


def world_fingerprint(key: WorldKey, configuration: Configuration) -> str:
    """What decides a world's sequences: its parameters or files, the features' version, the rules and the split."""
    sections = [configuration.time, configuration.rules, configuration.split]
    decided = [FEATURE_VERSION, *(section.fingerprint() for section in sections)]
    if key.own is None:
        return fingerprint(key.world().parameters(), decided)
    files = sorted(path for name in _DATA for path in _own_folder(key.own, name).rglob("*") if path.is_file())
    stats = [(str(path.relative_to(key.own)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return fingerprint(stats, decided)


def prepare(folder: Path, key: WorldKey, configuration: Configuration, say: Say = print) -> Workspace:
    """The world's workspace, with everything up to the split; what is there already is left as it is."""
    workspace = Workspace(folder / key.folder, configuration)
    mark, wanted = workspace.root / _MARK, world_fingerprint(key, configuration)
    if mark.exists() and json.loads(mark.read_text()).get("fingerprint") == wanted:
        return workspace
    remove(folder, key)
    say(f"making the world {key.name}, seed {key.seed}")
    if key.own is None:
        write_simulation(workspace.root, key.world())
    else:
        _link_own_files(key.own, workspace.root)
    take_in(workspace)
    days = dates_with_rows(workspace)
    for make in (chain.make_merged, chain.make_enriched, chain.make_labels, chain.make_sequences):
        make(workspace, days)
    chain.make_split(workspace)
    with written_beside(mark) as beside:
        beside.write_text(json.dumps({"fingerprint": wanted}) + "\n")
    return workspace


def remove(folder: Path, key: WorldKey) -> None:
    """Remove the world's folder; links to a user's own files go, the files stay."""
    root = folder / key.folder
    for name in _DATA:
        link = root / "data" / name
        if link.is_symlink():
            link.unlink()
    shutil.rmtree(root, ignore_errors=True)


def _own_folder(own: Path, name: str) -> Path:
    """`raw`, `processed` and `truth` of a user's folder, which may be a project's."""
    return own / name if (own / name).is_dir() else own / "data" / name


def _link_own_files(own: Path, root: Path) -> None:
    for name in _DATA:
        source = _own_folder(own, name)
        if not source.is_dir():
            if name == "truth":
                continue
            raise UserError(f"There is no folder {name} in {own} or {own / 'data'}: DATA needs raw and processed.")
        target = root / "data" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.symlink_to(source.resolve(), target_is_directory=True)
        except (OSError, NotImplementedError):
            shutil.copytree(source, target)


@dataclass
class OpenWorld:
    """A prepared world, and what cells ask of it. Rows are those of the training set."""

    workspace: Workspace
    seed: int
    training_set: TrainingSet = field(init=False)

    def __post_init__(self) -> None:
        self.training_set = read_training_set(self.workspace.training)

    @cached_property
    def material(self) -> Material:
        """What teachers look at; draws follow the seed of the world."""
        return replace(material_of(self.workspace, self.training_set), seed=self.seed)

    @cached_property
    def rule_scores(self) -> np.ndarray:
        """(N, 5) uint8."""
        table = self.workspace.labels.read(self.workspace.labels.days(), SCORES)
        return np.column_stack([table.column(name).to_numpy() for name in SCORES])[np.asarray(self.training_set.source)]

    @cached_property
    def truth(self) -> TruthOfEvents | None:
        """What each event truly is; None where nobody knows. Never an input to training."""
        written = read_truth(self.workspace.truth)
        if written is None:
            return None
        keys = self.workspace.labels.read(self.workspace.labels.days(), KEY_COLUMNS)
        found, source = match_truth(written, keys), np.asarray(self.training_set.source)
        return TruthOfEvents(
            found.truth[source],
            found.visible[source],
            found.aftermath[source],
            found.unmatched,
            found.variant[source],
            found.variants,
        )

    @cached_property
    def strata(self) -> dict[str, np.ndarray]:
        """(N,) bool by the strata of `metrics`."""
        part = np.asarray(self.training_set.part)
        return {
            HELD_OUT_LOTS_ALL_DATES: (part == PART_HELD_OUT) | (part == PART_EARLIER),
            HELD_OUT_LOTS: part == PART_HELD_OUT,
            KNOWN_LOTS: part == PART_KNOWN,
        }

    def facts(self) -> dict[str, object]:
        """What the world holds, for the write-up."""
        about = self.training_set.about
        variants: dict[str, int] = {}
        if self.truth is not None:
            counts = np.bincount(self.truth.variant[self.truth.variant > NO_VARIANT], minlength=0)
            variants = {name: int(count) for name, count in zip(self.truth.variants, counts, strict=False)}
        rules = np.asarray(self.training_set.rule_labels).sum(axis=0)
        return {
            "events": about["events"],
            "lots": about["lots"],
            "held_out_events": int(self.strata[HELD_OUT_LOTS_ALL_DATES].sum()),
            "rule_labels": dict(zip(LABELS, rules.tolist(), strict=True)),
            "variants": variants,
        }
