"""Dagster's SQLite files are written without waiting for the disk, kept open, and let go again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from barcode_pipeline.orchestration import history_files
from barcode_pipeline.orchestration.history_files import MOST_KEPT, write_history_without_waiting

FULL, NORMAL = 2, 1


@pytest.fixture(autouse=True)
def listening() -> None:
    write_history_without_waiting()
    write_history_without_waiting()  # once more does nothing


def a_file(path: Path, mode: str = "wal") -> Path:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("CREATE TABLE events (name TEXT)")
    connection.commit()
    connection.close()
    return path


def written(path: Path, name: str) -> int:
    """Write a row as Dagster does, with an engine of its own; returns how the connection waits."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("INSERT INTO events VALUES (:name)"), {"name": name})
        waits = int(connection.execute(text("PRAGMA synchronous")).scalar_one())
    engine.dispose()
    return waits


def names_in(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = [name for (name,) in connection.execute("SELECT name FROM events")]
    connection.close()
    return found


def test_only_files_with_a_write_ahead_log_are_not_waited_for(tmp_path: Path) -> None:
    assert written(a_file(tmp_path / "with.db"), "one") == NORMAL
    assert written(a_file(tmp_path / "without.db", "delete"), "one") == FULL


def test_a_file_is_not_tidied_away_after_each_event(tmp_path: Path) -> None:
    path = a_file(tmp_path / "index.db")
    log = tmp_path / "index.db-wal"
    for number in range(3):
        written(path, str(number))
        assert log.exists() and log.stat().st_size > 0
    assert names_in(path) == ["0", "1", "2"]


def test_few_files_are_held_and_the_others_are_whole(tmp_path: Path) -> None:
    paths = [a_file(tmp_path / f"{number}.db") for number in range(MOST_KEPT + 3)]
    for path in paths:
        written(path, path.name)
    assert [*history_files._kept] == [str(path) for path in paths[-MOST_KEPT:]]
    assert not (tmp_path / "0.db-wal").exists(), "nobody holds it any more"
    assert [names_in(path) for path in paths] == [[path.name] for path in paths]


def test_a_file_in_the_place_of_another_is_its_own(tmp_path: Path) -> None:
    path = a_file(tmp_path / "run.db")
    written(path, "old")
    for name in ("run.db", "run.db-wal", "run.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    a_file(path)
    written(path, "new")
    assert names_in(path) == ["new"]
