"""Writing files so that a run killed at any moment leaves the last good state: beside, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` once the block has ended well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs have left half-written in a folder; what a live process is writing stays."""
    with os.scandir(folder) as entries:
        leftovers = [Path(entry.path) for entry in entries if entry.name[0] == "." and entry.name.endswith(".part")]
    for leftover in leftovers:
        if not _is_being_written(leftover):
            leftover.unlink(missing_ok=True)


def _is_being_written(part: Path) -> bool:
    """Whether the process named in `.<name>.<process>.part` lives; after a day its number is another's."""
    try:
        if part.stat().st_mtime < time.time() - 86_400:
            return False
        os.kill(int(part.suffixes[-2][1:]), 0)
    except PermissionError:
        return True  # it lives, as another user's
    except (OSError, ValueError, IndexError, OverflowError):
        return False
    return True


POINTER = "current.json"


@contextmanager
def published_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder to fill; once the block has ended well the pointer of `parent` names it and older ones are removed.

    Where a whole folder has to change at once: readers follow the pointer (`current_folder`), which moves
    atomically.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(".*.part"):
        if leftover.name != f".{name}.{os.getpid()}.part" and _is_being_written(leftover):
            continue
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    beside = parent / f".{name}.{os.getpid()}.part"
    beside.mkdir()
    yield beside
    target, number = parent / name, 1
    while target.exists():
        number += 1
        target = parent / f"{name}_{number}"
    beside.rename(target)
    with written_beside(parent / POINTER) as path:
        path.write_text(json.dumps({"folder": target.name}) + "\n")
    for other in parent.iterdir():
        if other.is_dir() and other != target:
            shutil.rmtree(other, ignore_errors=True)


def current_folder(parent: Path) -> Path | None:
    """The folder that was published last, None without one."""
    pointer = parent / POINTER
    return parent / json.loads(pointer.read_text())["folder"] if pointer.exists() else None
