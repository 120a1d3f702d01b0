"""Versions of the transition table: never changed, whole or not there at all, and always a way back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import TRANSITIONS_FILE
from barcode_pipeline.events.table_versions import TableVersions

OLD, NEW = b"old\r\n", b"new\n"


@pytest.fixture
def versions(tmp_path: Path) -> TableVersions:
    (tmp_path / TRANSITIONS_FILE).write_bytes(OLD)
    return TableVersions(tmp_path)


def test_use_keeps_what_was_in_use_and_leads_back(versions: TableVersions) -> None:
    assert versions.numbers() == [] and versions.in_use() is None
    assert versions.add(NEW, {"made": "refresh"}, b"seen") == (1, True)
    assert versions.table.read_bytes() == OLD and versions.in_use() is None
    assert versions.use(1) == 2
    assert versions.table.read_bytes() == NEW and versions.in_use() == 1
    assert versions.about(2) == {"format_version": 1, "made": "found in use"}
    assert versions.use(2) == 1
    assert versions.table.read_bytes() == OLD and versions.numbers() == [1, 2]


def test_the_same_bytes_are_one_version(versions: TableVersions) -> None:
    assert versions.keep() == 1 == versions.keep()
    assert versions.add(OLD, {"made": "refresh"}) == (1, False)
    assert versions.about(1)["made"] == "found in use" and versions.seen(1) is None


def test_a_table_changed_by_hand_is_none_of_them_and_is_kept(versions: TableVersions) -> None:
    versions.keep()
    versions.table.write_bytes(b"by hand\n")
    assert versions.in_use() is None
    assert versions.use(1) == 2 and versions.path(2).read_bytes() == b"by hand\n"


def test_without_a_table_one_is_put_there(versions: TableVersions) -> None:
    versions.keep()
    versions.table.unlink()
    assert versions.in_use() is None and versions.use(1) is None and versions.table.read_bytes() == OLD


@pytest.mark.parametrize("call", ["path", "about", "seen", "use"])
def test_a_version_that_is_not_there_is_named(versions: TableVersions, call: str) -> None:
    versions.keep()
    with pytest.raises(UserError, match=r"no version 7 .* there are: 1\."):
        getattr(versions, call)(7)


def test_another_format_is_refused(versions: TableVersions) -> None:
    about = versions.path(versions.keep()).with_name("about.json")
    about.write_text('{"format_version": 99}')
    with pytest.raises(UserError, match="another format version than 1: remove that folder"):
        versions.about(1)
    about.write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        versions.about(1)


def test_killed_while_it_writes_leaves_no_version(versions: TableVersions, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        versions.add(NEW, {"made": "refresh"})
    assert versions.numbers() == [] and os.listdir(versions.folder) != []
    monkeypatch.undo()
    assert versions.add(NEW, {"made": "refresh"}) == (1, True) and os.listdir(versions.folder) == ["0001"]


def test_killed_while_it_is_taken_into_use_leaves_the_old_table(
    versions: TableVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.add(NEW, {"made": "refresh"})

    def die(source: object, target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        versions.use(1)
    monkeypatch.undo()
    assert versions.table.read_bytes() == OLD and versions.numbers() == [1, 2]
    assert not [name for name in os.listdir(versions.table.parent) if name.endswith(".part")]
