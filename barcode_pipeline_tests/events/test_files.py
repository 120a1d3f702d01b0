"""Files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from barcode_pipeline.events.files import POINTER, current_folder, published_folder, remove_leftovers, written_beside


def test_written_beside_replaces_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with written_beside(target) as path:
        path.write_text("one")
        assert not target.exists()
    assert target.read_text() == "one"
    with pytest.raises(KeyboardInterrupt), written_beside(target) as path:
        path.write_text("two")
        raise KeyboardInterrupt
    assert target.read_text() == "one" and [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_only_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    names = (".a.999999999.part", f".a.{os.getpid()}.part", ".a.part", ".a.x.part", "a.part", f".a.{10**30}.part")
    for name in names:
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f".a.{os.getpid()}.part", "a.part"}


def test_published_folder(tmp_path: Path) -> None:
    assert current_folder(tmp_path) is None
    with published_folder(tmp_path, "set") as folder:
        (folder / "x").write_text("1")
    first = current_folder(tmp_path)
    assert first == tmp_path / "set" and (first / "x").read_text() == "1"
    with pytest.raises(KeyboardInterrupt), published_folder(tmp_path, "set") as folder:
        (folder / "x").write_text("half")
        raise KeyboardInterrupt
    assert current_folder(tmp_path) == first
    with published_folder(tmp_path, "set") as folder:
        (folder / "x").write_text("2")
    second = current_folder(tmp_path)
    assert second is not None and second != first and (second / "x").read_text() == "2"
    assert {path.name for path in tmp_path.iterdir()} == {second.name, POINTER}
