"""Putting a simulation in place: atomic, killable, and never at the cost of a file it did not make.

What lies in place is told by a manifest, `data/simulated.json`: parameters, every file with its SHA-256, and
whether the writing was completed. Order: all files are made in a folder beside; the manifest says what is
coming (`complete: false`); files take their places; the manifest says `complete: true`. Whoever is killed in
between leaves a manifest that says so, and files that are known by their hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import FORMAT_VERSION
from barcode_pipeline.simulator.files import SITES_PATH, TRANSITIONS_PATH, write_files
from barcode_pipeline.simulator.simulation import simulate
from barcode_pipeline.simulator.world import DEFAULT_EVENTS, DEFAULT_SEED, World

MANIFEST_PATH = "data/simulated.json"
_BESIDE = "data/.simulation"
_RAW = "data/raw"
_RAW_ENDINGS = (".csv", ".csv.gz")


@dataclass(frozen=True)
class ExistingSimulation:
    """What the manifest says lies in place."""

    complete: bool
    events: int
    seed: int
    parameters: dict[str, object]
    files: dict[str, str]
    """Path relative to the root -> SHA-256."""
    replaced: dict[str, str] = field(default_factory=dict)
    """Files of an earlier simulation that an uncompleted writing was replacing."""

    def made(self, root: Path, path: str) -> bool:
        """Whether the file at a path is as some writing of ours left it."""
        hashes = {self.files.get(path), self.replaced.get(path)} - {None}
        return bool(hashes) and (root / path).is_file() and _sha256(root / path) in hashes


def existing_simulation(root: Path) -> ExistingSimulation | None:
    """Return what lies below a root according to its manifest, None where there is none.

    Raises UserError where the manifest cannot be read or is of another format version.
    """
    path = root / MANIFEST_PATH
    if not path.exists():
        return None
    advice = "Move away data/raw and data/truth if you need them, remove the manifest, and simulate again."
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["format_version"]
        if version != FORMAT_VERSION:
            raise UserError(f"{path} has format version {version}, and this program {FORMAT_VERSION}. {advice}")
        return ExistingSimulation(
            complete=bool(manifest["complete"]),
            events=int(manifest["events"]),
            seed=int(manifest["seed"]),
            parameters=dict(manifest["parameters"]),
            files=dict(manifest["files"]),
            replaced=dict(manifest["replaced"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a manifest of simulated files ({error!r}). {advice}") from error


def write_simulation(root: Path, world: World) -> ExistingSimulation:
    """Simulate a world and put its files below a root; earlier simulated files are replaced.

    Reference tables in data/processed that were not simulated are used and left alone.

    Raises UserError where a file that was not simulated bears a needed name, or given tables cannot be used.
    """
    previous = existing_simulation(root)
    given = _given_tables(root, previous)
    simulation = simulate(world, *given) if given else simulate(world)
    beside = root / _BESIDE
    shutil.rmtree(beside, ignore_errors=True)
    try:
        names = list(write_files(beside, simulation, with_tables=given is None))
        _refuse_foreign(root, previous, names)
        old = {name: _sha256(root / name) for name in _own_files(root, previous)}
        coming = ExistingSimulation(
            complete=False,
            events=world.events,
            seed=world.seed,
            parameters=world.parameters() | {"reference_tables": "given" if given else "invented"},
            files={name: _sha256(beside / name) for name in names},
            replaced=old,
        )
        _write_manifest(root, coming)
        for name in sorted(set(old) - set(names)):
            (root / name).unlink()
            _remove_if_empty(root, (root / name).parent)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(beside / name, root / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return _write_manifest(root, coming, complete=True)


def ensure_sample_data(root: Path, events: int | None = None, seed: int | None = None) -> str | None:
    """Simulate sample data where there are no raw files, where others are asked for, or where a writing was killed.

    `events` and `seed` are what the user asked for, None where nothing. Returns a sentence about what was
    done, None where nothing was.
    """
    found = existing_simulation(root)
    raw = has_raw_files(root)
    if found is None and raw:
        if events is None and seed is None:
            return None
        return f"Nothing was simulated: {root / _RAW} holds raw files that were not simulated, and they are used."
    # What the user does not name stays as it lies there.
    kept = found if found is not None and (raw or not found.complete) else None
    world = World(
        events=_first(events, kept.events if kept else None, DEFAULT_EVENTS),
        seed=_first(seed, kept.seed if kept else None, DEFAULT_SEED),
    )
    if kept is None:
        reason = f"because {root / _RAW} held no raw files"
    elif not kept.complete:
        reason = "because an earlier simulation had not been completed"
    elif (kept.events, kept.seed) != (world.events, world.seed):
        reason = f"in place of {kept.events:,} events of seed {kept.seed}"
    else:
        return None
    write_simulation(root, world)
    return f"Simulated {world.events:,} events (seed {world.seed}) into {root / _RAW}, {reason}."


def has_raw_files(root: Path) -> bool:
    """Whether there is any raw file below data/raw."""
    return any(
        path.is_file() and path.name.endswith(_RAW_ENDINGS) and not path.name.startswith(".")
        for path in (root / _RAW).rglob("*")
    )


def _first(*values: int | None) -> int:
    """Return the first value that is not None."""
    return next(value for value in values if value is not None)


def _own_files(root: Path, previous: ExistingSimulation | None) -> list[str]:
    """Return the simulated files in place that nobody has changed since."""
    if previous is None:
        return []
    names = sorted(set(previous.files) | set(previous.replaced))
    return [name for name in names if previous.made(root, name)]


def _given_tables(root: Path, previous: ExistingSimulation | None) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return the reference tables in place that were not simulated, None where there are none."""
    given = [
        name
        for name in (SITES_PATH, TRANSITIONS_PATH)
        if (root / name).exists() and not (previous and previous.made(root, name))
    ]
    if not given:
        return None
    if len(given) == 1:
        lacking = TRANSITIONS_PATH if given == [SITES_PATH] else SITES_PATH
        raise UserError(
            f"{root / given[0]} is a reference table that was not simulated, but {root / lacking} is missing or "
            "simulated. Put both there, or neither, and simulate again."
        )
    try:
        return pd.read_csv(root / SITES_PATH), pd.read_csv(root / TRANSITIONS_PATH)
    except (ValueError, OSError) as error:
        raise UserError(
            f"The reference tables in {(root / SITES_PATH).parent} cannot be read ({error}). Put them right, or "
            "remove both to simulate on an invented network."
        ) from error


def _refuse_foreign(root: Path, previous: ExistingSimulation | None, names: list[str]) -> None:
    """Raise UserError where a file that was not simulated bears a needed name."""
    foreign = [name for name in names if (root / name).exists() and not (previous and previous.made(root, name))]
    if foreign:
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        raise UserError(
            f"{root / foreign[0]}{more} was not simulated, or was changed since, and is left as it is. Move it "
            "away to simulate in its place, or use it without simulating."
        )


def _write_manifest(root: Path, content: ExistingSimulation, complete: bool = False) -> ExistingSimulation:
    """Write the manifest in one stroke, and return what it says."""
    written = ExistingSimulation(
        complete=complete,
        events=content.events,
        seed=content.seed,
        parameters=content.parameters,
        files=content.files,
        replaced={} if complete else content.replaced,
    )
    path = root / MANIFEST_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    text = {"format_version": FORMAT_VERSION, **vars(written)}
    beside.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, path)
    return written


def _remove_if_empty(root: Path, folder: Path) -> None:
    """Remove a day's folder once its last file is gone."""
    if folder != root / _RAW and folder.parent == root / _RAW and not any(folder.iterdir()):
        folder.rmdir()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
