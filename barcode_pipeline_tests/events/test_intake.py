"""Intake: what is read when, what replaces what, and what a kill at a bad moment leaves."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from barcode_pipeline.configuration import Configuration, TimeSection
from barcode_pipeline.errors import UserError
from barcode_pipeline.events import intake as intake_module
from barcode_pipeline.events.intake import Intake, TakenFile
from barcode_pipeline.events.times import day_number
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import (
    FIRST_DAY,
    GOOD_FILE,
    LAST_DAY,
    assert_nothing_is_lost,
    interim_bytes,
    line,
    make_all,
    make_project,
    merged_rows,
    quarantine_of,
    text,
)


def names(taken: list[TakenFile]) -> list[str]:
    return [file.path for file in taken]


def later(path: Path, content: bytes | None = None) -> None:
    """Write a file anew (the same content by default), with a later time of change."""
    stat = path.stat()
    path.write_bytes(path.read_bytes() if content is None else content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = make_project(tmp_path)
    (workspace.raw / "a.csv").write_bytes(GOOD_FILE)
    (workspace.raw / "b.csv").write_bytes(text(line(), line(event_time="2025-07-20 09:00:00")))
    assert names(workspace.intake.take_in()) == ["a.csv", "b.csv"]
    make_all(workspace)
    return workspace


def test_only_new_and_changed_files_are_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = intake_module.read_raw_file

    def read(path: Path, zone: str) -> Any:
        opened.append(path.name)
        return real(path, zone)

    monkeypatch.setattr(intake_module, "read_raw_file", read)
    assert workspace.intake.take_in() == [] and opened == []
    (workspace.raw / "c.csv").write_bytes(text(line(location_id="5")))
    later(workspace.raw / "b.csv", text(line()))
    assert names(workspace.intake.take_in()) == ["b.csv", "c.csv"]
    assert sorted(opened) == ["b.csv", "c.csv"]


def test_touched_but_unchanged_file_is_not_read_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    later(workspace.raw / "a.csv")
    monkeypatch.setattr(intake_module, "read_raw_file", lambda *_: pytest.fail("read again"))
    assert workspace.intake.take_in() == []
    monkeypatch.setattr(intake_module, "_fingerprint", lambda _: pytest.fail("not even its content is looked at"))
    assert workspace.intake.take_in() == []


def test_changed_file_of_the_same_size_replaces_its_rows(workspace: Workspace) -> None:
    later(workspace.raw / "b.csv", text(line(), line(event_time="2025-07-21 09:00:00")))
    workspace.intake.take_in()
    days = workspace.intake.days()
    assert day_number("2025-07-21") in days and day_number("2025-07-20") not in days
    make_all(workspace, [*days, day_number("2025-07-20")])
    assert_nothing_is_lost(workspace)
    assert len(merged_rows(workspace)) == 11
    assert workspace.merged.rows(day_number("2025-07-20")) == 0


def test_file_that_disappears_keeps_its_rows(workspace: Workspace) -> None:
    before = interim_bytes(workspace)
    (workspace.raw / "b.csv").unlink()
    assert workspace.intake.take_in() == []
    make_all(workspace)
    assert_nothing_is_lost(workspace)
    assert interim_bytes(workspace) == before


@pytest.mark.parametrize("broken", [b"", b"\xff\xfe", b"a,b\n1,2\n"], ids=["empty", "UTF-16", "other columns"])
def test_broken_replacement_keeps_the_earlier_rows(workspace: Workspace, broken: bytes) -> None:
    before, good = interim_bytes(workspace), (workspace.raw / "b.csv").read_bytes()
    later(workspace.raw / "b.csv", broken)
    assert [file.problem is None for file in workspace.intake.take_in()] == [False]
    assert workspace.intake.take_in() == []
    make_all(workspace)
    assert interim_bytes(workspace) == before
    assert_nothing_is_lost(workspace)
    assert "whole file" in quarantine_of(workspace, "b.csv")[0]["reason"]
    later(workspace.raw / "b.csv", good)
    assert [(file.rows_kept, file.problem) for file in workspace.intake.take_in()] == [(2, None)]
    make_all(workspace)
    assert interim_bytes(workspace) == before
    assert quarantine_of(workspace, "b.csv") == []


def test_quarantine_goes_when_the_file_is_mended(workspace: Workspace) -> None:
    later(workspace.raw / "b.csv", text(line(), "x"))
    workspace.intake.take_in()
    assert [row["line"] for row in quarantine_of(workspace, "b.csv")] == ["3"]
    assert [row["raw"] for row in quarantine_of(workspace, "b.csv")] == ["x"]
    later(workspace.raw / "b.csv", text(line()))
    workspace.intake.take_in()
    assert list(workspace.quarantine.rglob("*.csv")) == []


def test_another_zone_reads_every_file_again(workspace: Workspace) -> None:
    elsewhere = Workspace(workspace.root, Configuration(time=TimeSection(zone="UTC")))
    (workspace.raw / "z.csv").write_bytes(text(line(event_time="2025-07-05T00:00:00Z")))
    assert names(elsewhere.intake.take_in()) == ["a.csv", "b.csv", "z.csv"]
    assert elsewhere.intake.take_in() == []
    make_all(elsewhere)
    assert "2025-07-05 00:00:00" in {str(row["event_time"]) for row in merged_rows(elsewhere)}
    assert names(workspace.intake.take_in()) == ["a.csv", "b.csv", "z.csv"]


@pytest.mark.parametrize("moment", ["_write_quarantine", "_write_store", "entry"])
def test_kill_before_the_ledger_entry_is_healed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Killed after the quarantine, after the store, or within the transaction of the ledger."""
    make_all(workspace)
    before = interim_bytes(workspace)
    rows_before = workspace.intake.files(FIRST_DAY, LAST_DAY)
    later(workspace.raw / "b.csv", text(line(), "x", line(location_id="5")))

    if moment == "entry":
        real_connect = sqlite3.connect

        class Dying(sqlite3.Connection):
            def executemany(self, statement: str, rows: Any, /) -> Any:
                if "INSERT INTO file_dates" in statement:
                    raise KeyboardInterrupt
                return super().executemany(statement, rows)

        monkeypatch.setattr(sqlite3, "connect", lambda path, **more: real_connect(path, factory=Dying, **more))
    else:
        real = getattr(Intake, moment)

        def die(self: Intake, *arguments: Any) -> None:
            real(self, *arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(Intake, moment, die)
    with pytest.raises(KeyboardInterrupt):
        workspace.intake.take_in()
    monkeypatch.undo()
    # What the ledger says is what it said: dates made now come out as before.
    assert workspace.intake.files(FIRST_DAY, LAST_DAY).equals(rows_before)
    make_all(workspace)
    assert interim_bytes(workspace) == before
    assert names(workspace.intake.take_in()) == ["b.csv"]
    days = [*workspace.intake.days(), day_number("2025-07-20")]
    make_all(workspace, days)
    assert_nothing_is_lost(workspace)
    assert len(merged_rows(workspace)) == 11
    # The next intake removes what no entry names: the store of the replaced file, too.
    workspace.intake.take_in()
    assert len(list(workspace.intake.folder.glob("*.arrow"))) == 2
    assert list(workspace.intake.folder.glob(".*.part")) == []


def test_rows_before_the_first_date_and_beyond_the_newest_are_held(workspace: Workspace) -> None:
    (workspace.raw / "c.csv").write_bytes(
        text(
            *(line(event_time=f"{date} 09:00:00") for date in ("1999-01-01", "2025-05-31", "2026-01-01", "2025-06-01"))
        )
    )
    workspace.intake.take_in()
    make_all(workspace)
    assert_nothing_is_lost(workspace)
    entry = workspace.intake.files(FIRST_DAY, LAST_DAY).set_index("path").loc["c.csv"]
    assert entry["rows_held_before_first_date"] == 2 and entry["rows_held_beyond_newest_partition"] == 1
    # Once the partition exists the row is taken up, without the raw file.
    (workspace.raw / "c.csv").unlink()
    later_day = day_number("2026-01-01")
    make_all(workspace, [later_day])
    assert workspace.merged.rows(later_day) == 1
    assert workspace.intake.files(FIRST_DAY, later_day)["rows_held_beyond_newest_partition"].sum() == 0


def test_accounts_of_a_date(workspace: Workspace) -> None:
    """Rows that came in and exact duplicates, None until the date is assembled from all its files."""
    day = day_number("2025-07-05")
    assert workspace.intake.accounts([day, FIRST_DAY]) == {day: (1, 0), FIRST_DAY: (0, 0)}
    (workspace.raw / "c.csv").write_bytes(text(line(), line()))
    workspace.intake.take_in()
    assert workspace.intake.accounts([day]) == {day: (3, None)}
    make_all(workspace, [day])
    assert workspace.intake.accounts([day]) == {day: (3, 2)}
    assert workspace.merged.rows(day) == 1


def test_another_format_version_is_refused(workspace: Workspace) -> None:
    with sqlite3.connect(workspace.intake.folder / "ledger.sqlite") as ledger:
        ledger.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match=r"format version 99.*remove that folder and run `make run`"):
        workspace.intake.take_in()


@pytest.mark.parametrize("damage", ["ledger", "store cut", "store gone"])
def test_damaged_intake_says_what_to_do(workspace: Workspace, damage: str) -> None:
    store = next(workspace.intake.folder.glob("*.arrow"))
    if damage == "ledger":
        (workspace.intake.folder / "ledger.sqlite").write_bytes(b"no data base" * 1000)
    elif damage == "store cut":
        store.write_bytes(store.read_bytes()[:-50])
    else:
        store.unlink()
    with pytest.raises(UserError, match=r"_intake cannot be used.*Remove that folder and run `make run`"):
        workspace.intake.read(workspace.intake.days())


def test_nothing_there(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    assert workspace.intake.raw_files() == [] and workspace.intake.take_in() == []
    assert workspace.intake.days() == []
    table, files, found = workspace.intake.read([FIRST_DAY])
    assert (len(table), len(files), found) == (0, 0, [])


def test_two_intakes_wait_for_each_other(workspace: Workspace) -> None:
    """Else one would remove the stores that the other has not yet entered in its ledger."""
    (workspace.raw / "c.csv").write_bytes(text(line(location_id="5")))
    taken: list[TakenFile] = []
    other = threading.Thread(target=lambda: taken.extend(workspace.intake.take_in()))
    with (workspace.intake.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other.start()
        other.join(0.3)
        assert other.is_alive() and taken == []
    other.join(20)
    assert names(taken) == ["c.csv"]
