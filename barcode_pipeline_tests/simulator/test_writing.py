"""Files in place: same bytes, manifests, protection of other people's files, killed writings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import KEY_COLUMNS, RAW_COLUMNS
from barcode_pipeline.simulator import (
    World,
    ensure_sample_data,
    existing_simulation,
    simulate,
    write_simulation,
)
from barcode_pipeline.simulator.network import location_table, transition_table

SMALL = World(events=2_000)
SITES = "data/processed/location_id_withGeospatial.csv"
TRANSITIONS = "data/processed/business_step_transition_avg_v2.csv"


def contents(root: Path) -> dict[str, str]:
    """Return the hash of every file below a root."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the n-th renaming never happen, as if the process had been killed there."""
    real: Callable[..., None] = os.replace
    calls = iter(range(1, 10_000))

    def replace_or_die(source: object, target: object) -> None:
        if next(calls) == number:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", replace_or_die)


def test_files_and_manifest(tmp_path: Path) -> None:
    write_simulation(tmp_path, SMALL)
    found = contents(tmp_path)
    manifest = json.loads((tmp_path / "data/simulated.json").read_text())
    assert manifest["complete"] is True
    assert (manifest["events"], manifest["seed"]) == (2_000, 1)
    assert manifest["files"] == {name: digest for name, digest in found.items() if name != "data/simulated.json"}
    assert {f"data/raw/{factory}.csv" for factory in ("icn", "hws", "ygs", "kum")} < set(found)
    existing = existing_simulation(tmp_path)
    assert existing is not None and existing.complete and existing.parameters["reference_tables"] == "invented"


def test_same_world_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_simulation(tmp_path / name, SMALL)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_the_default_world_keeps_its_bytes(tmp_path: Path) -> None:
    # Figures of the study and the benchmarks are told by size and seed: whoever changes these bytes changes them.
    write_simulation(tmp_path, SMALL)
    digest = hashlib.sha256()
    for name in ("icn", "hws", "ygs", "kum"):
        digest.update((tmp_path / f"data/raw/{name}.csv").read_bytes())
    assert digest.hexdigest() == "a9fb7e0ecfe711dd796afeb41e58e96d8d88a8e07753b1248e4c3d31aced0b5c"


def test_raw_files_hold_the_simulated_rows_in_the_real_form(tmp_path: Path) -> None:
    write_simulation(tmp_path, SMALL)
    simulation = simulate(SMALL)
    for factory, table in simulation.raw.items():
        raw = (tmp_path / f"data/raw/{factory}.csv").read_text(encoding="utf-8")
        lines = raw.splitlines()
        assert lines[0].split("\t") == list(RAW_COLUMNS)
        assert '"' not in raw
        assert len(lines) == table.num_rows + 1
        row = dict(zip(RAW_COLUMNS, lines[1].split("\t"), strict=True))
        assert row["event_time"] == str(table["event_time"][0].as_py())
        assert row["epc_code"] == table["epc_code"][0].as_py()


def test_truth_files(tmp_path: Path) -> None:
    write_simulation(tmp_path, SMALL)
    anomalies = pq.read_table(tmp_path / "data/truth/anomalies.parquet")
    assert anomalies.column_names == [*KEY_COLUMNS, "label", "variant", "rule_visible"]
    assert anomalies.schema.metadata[b"format_version"] == b"1"
    assert anomalies.num_rows > 0
    aftermath = pq.read_table(tmp_path / "data/truth/aftermath.parquet")
    assert aftermath.column_names == [*KEY_COLUMNS, "variant"]
    benign = pq.read_table(tmp_path / "data/truth/benign.parquet")
    assert benign.column_names == [*KEY_COLUMNS, "kind"]
    assert benign.num_rows > 0
    world = json.loads((tmp_path / "data/truth/world.json").read_text())
    assert world["format_version"] == 1
    assert world["parameters"]["events"] == 2_000
    assert world["counts"]["anomalous_events"] == anomalies.num_rows


def test_daily_layout_sends_late_rows_in_later_files(tmp_path: Path) -> None:
    world = replace(SMALL, layout="daily", noise=replace(SMALL.noise, late_rows=0.1))
    write_simulation(tmp_path, world)
    rows, late = 0, 0
    for path in (tmp_path / "data/raw").glob("*/*.csv"):
        frame = pd.read_csv(path, sep="\t", dtype=str)
        days = (pd.Timestamp(path.parent.name) - pd.to_datetime(frame["event_time"]).dt.normalize()).dt.days
        assert (days >= 0).all() and (days <= 5).all()
        rows, late = rows + len(frame), late + int((days > 0).sum())
    assert rows == simulate(world).rows
    assert 0.05 < late / rows < 0.15
    write_simulation(tmp_path, SMALL)
    assert sorted(path.name for path in (tmp_path / "data/raw").iterdir()) == [
        "hws.csv",
        "icn.csv",
        "kum.csv",
        "ygs.csv",
    ]


def test_another_size_or_seed_replaces(tmp_path: Path) -> None:
    write_simulation(tmp_path, SMALL)
    before = contents(tmp_path)
    write_simulation(tmp_path, replace(SMALL, seed=2))
    after = contents(tmp_path)
    assert set(before) == set(after)
    assert before["data/raw/icn.csv"] != after["data/raw/icn.csv"]


def test_a_file_of_another_origin_is_never_touched(tmp_path: Path) -> None:
    write_simulation(tmp_path, SMALL)
    own = tmp_path / "data/raw/2025-12-17/icn.csv"
    own.parent.mkdir()
    own.write_text("mine\n")
    write_simulation(tmp_path, replace(SMALL, seed=2))
    assert own.read_text() == "mine\n"


@pytest.mark.parametrize("changed", ["data/raw/kum.csv", "data/truth/anomalies.parquet"])
def test_a_changed_file_is_refused_by_name(tmp_path: Path, changed: str) -> None:
    write_simulation(tmp_path, SMALL)
    (tmp_path / changed).write_text("changed by hand\n")
    before = contents(tmp_path)
    with pytest.raises(UserError, match=Path(changed).name):
        write_simulation(tmp_path, replace(SMALL, seed=2))
    assert contents(tmp_path) == before


def test_a_foreign_file_in_the_way_is_refused(tmp_path: Path) -> None:
    taken = tmp_path / "data/raw/ygs.csv"
    taken.parent.mkdir(parents=True)
    taken.write_text("real data\n")
    with pytest.raises(UserError, match="ygs"):
        write_simulation(tmp_path, SMALL)
    assert list(contents(tmp_path)) == ["data/raw/ygs.csv"]


@pytest.mark.parametrize("number", [1, 2, 5, 9, 11, 12])
@pytest.mark.parametrize("second", [False, True])
def test_a_killed_writing_is_recognised_and_redone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, second: bool
) -> None:
    if second:
        write_simulation(tmp_path / "killed", SMALL)
    before = contents(tmp_path / "killed")
    world = replace(SMALL, seed=2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        kill_at(patch, number)
        write_simulation(tmp_path / "killed", world)
    found = existing_simulation(tmp_path / "killed")
    if number == 1:  # the manifest itself
        assert {name: digest for name, digest in contents(tmp_path / "killed").items() if "part" not in name} == before
    else:
        assert found is not None and not found.complete and found.seed == 2
        said = ensure_sample_data(tmp_path / "killed")
        assert said is not None and "not been completed" in said
    write_simulation(tmp_path / "killed", world)
    write_simulation(tmp_path / "fresh", world)
    assert contents(tmp_path / "killed") == contents(tmp_path / "fresh")


def test_given_reference_tables_are_used_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data/processed").mkdir(parents=True)
    locations, transitions = location_table(), transition_table()
    for frame, columns in ((locations, ["scan_location"]), (transitions, ["from_scan_location", "to_scan_location"])):
        for column in columns:
            frame[column] = "Other " + frame[column]
    locations.to_csv(tmp_path / SITES, index=False)
    transitions.to_csv(tmp_path / TRANSITIONS, index=False)
    before = contents(tmp_path)
    written = write_simulation(tmp_path, SMALL)
    assert before.items() <= contents(tmp_path).items()
    assert written.parameters["reference_tables"] == "given"
    assert not {SITES, TRANSITIONS} & set(written.files)
    assert "\nOther Songdo Plant\t" in (tmp_path / "data/raw/icn.csv").read_text()


def test_one_given_reference_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data/processed").mkdir(parents=True)
    location_table().to_csv(tmp_path / SITES, index=False)
    with pytest.raises(UserError, match="business_step_transition"):
        write_simulation(tmp_path, SMALL)


def test_an_unreadable_or_other_manifest_is_refused(tmp_path: Path) -> None:
    write_simulation(tmp_path, SMALL)
    manifest = tmp_path / "data/simulated.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 99'))
    with pytest.raises(UserError, match="99"):
        existing_simulation(tmp_path)
    manifest.write_text("{")
    with pytest.raises(UserError, match="not a manifest"):
        existing_simulation(tmp_path)


def test_sample_data_on_demand(tmp_path: Path) -> None:
    said = ensure_sample_data(tmp_path, events=2_000)
    assert said is not None and "2,000 events (seed 1)" in said
    before = contents(tmp_path)
    assert ensure_sample_data(tmp_path) is None
    assert ensure_sample_data(tmp_path, events=2_000) is None
    assert ensure_sample_data(tmp_path, seed=1) is None
    assert contents(tmp_path) == before
    said = ensure_sample_data(tmp_path, seed=3)
    assert said is not None and "2,000 events (seed 3)" in said and "in place of 2,000 events of seed 1" in said
    said = ensure_sample_data(tmp_path, events=1_000)
    assert said is not None and "1,000 events (seed 3)" in said
    for path in (tmp_path / "data/raw").iterdir():
        path.unlink()
    said = ensure_sample_data(tmp_path, events=1_500)
    assert said is not None and "1,500 events (seed 1)" in said and "held no raw files" in said


def test_own_raw_files_are_used_and_never_simulated_over(tmp_path: Path) -> None:
    own = tmp_path / "data/raw/2025-12-17/icn.csv.gz"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    assert ensure_sample_data(tmp_path) is None
    said = ensure_sample_data(tmp_path, events=2_000)
    assert said is not None and said.startswith("Nothing was simulated")
    assert list(contents(tmp_path)) == ["data/raw/2025-12-17/icn.csv.gz"]
