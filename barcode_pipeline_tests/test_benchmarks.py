"""The benchmarks' frame: names, `results.json`, and what is counted. Nothing is timed here."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.models.passes import DistinctPasses
from benchmarks import __main__ as benchmarks
from benchmarks.nightly import Ground
from benchmarks.results import Figure, table, write_results
from benchmarks.serving import EVENTS
from benchmarks.soak import bodies as soak_bodies
from benchmarks.soak import by_piece
from benchmarks.training import a_fifth_of_every_pass, padded_windows
from benchmarks.whole_run import memory_of_session
from benchmarks.worlds import Worlds

FAKE = {
    "data_plane_ratio": Figure(3.14159, "ratio", "how it was measured", at_most=4, more={"stages": {"intake": 1.5}}),
    "rules_events_per_second": Figure(4_000_000, "events/s", "how", at_least=5_000_000),
    "train_epoch_seconds": Figure(2.0, "s", "how"),
}


def test_every_promised_figure_has_a_function() -> None:
    promised = {
        "data_plane_ratio", "growth_ratio", "rules_events_per_second", "train_speedup", "train_epoch_seconds",
        "peak_memory_gb", "run_seconds", "nightly_ratio", "nightly_seconds", "disk_mb_per_night", "nightly_seconds_730",
    }  # fmt: skip
    assert promised <= set(benchmarks.FIGURES)
    assert all(callable(measure) for measure in benchmarks.FIGURES.values())


def test_results_say_value_unit_how_and_target(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(FAKE, path)
    content = json.loads(path.read_text())
    assert set(content) == {"figures", "machine", "commit"}
    found = content["figures"]
    assert set(found) == set(FAKE)
    entry = found["data_plane_ratio"]
    assert (entry["value"], entry["unit"], entry["how"]) == (3.142, "ratio", "how it was measured")
    assert (entry["target"], entry["met"], entry["stages"]) == ("≤ 4", True, {"intake": 1.5})
    assert (found["rules_events_per_second"]["target"], found["rules_events_per_second"]["met"]) == (
        "≥ 5,000,000",
        False,
    )
    assert "target" not in found["train_epoch_seconds"]
    assert {"cpu", "cores", "memory_gb", "python", "torch", "platform"} <= set(content["machine"])
    assert list(tmp_path.iterdir()) == [path]


def test_figures_that_were_not_measured_this_time_stay(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(FAKE, path)
    before = json.loads(path.read_text())["figures"]
    write_results({"data_plane_ratio": Figure(5.0, "ratio", "again", at_most=4)}, path)
    after = json.loads(path.read_text())["figures"]
    assert (after["data_plane_ratio"]["value"], after["data_plane_ratio"]["met"]) == (5.0, False)
    assert after["rules_events_per_second"] == before["rules_events_per_second"]


def test_figures_of_another_machine_say_so(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"figures": {"run_seconds": {"value": 1}}, "machine": {"cpu": "another"}}))
    write_results(FAKE, path)
    assert json.loads(path.read_text())["figures"]["run_seconds"] == {"value": 1, "machine": {"cpu": "another"}}


def test_a_damaged_file_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("{")
    with pytest.raises(UserError, match="remove it and measure again"):
        write_results(FAKE, path)
    assert path.read_text() == "{"


def test_an_unknown_figure_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmarks.main(["run_seconds", "no_such_figure"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("benchmarks: There is no figure no_such_figure: use some of data_plane_ratio, ")


def test_names_come_by_spaces_or_commas_and_a_function_runs_once() -> None:
    def chosen(*names: str) -> list[str]:
        return [measure.__name__ for measure in benchmarks.chosen_measures(names)]

    assert chosen("run_seconds", "growth_ratio", "peak_memory_gb") == ["whole_run", "growth_ratio"]
    assert chosen("run_seconds,growth_ratio peak_memory_gb") == ["whole_run", "growth_ratio"]
    everything = ["data_plane_ratio", "growth_ratio", "rules_events_per_second", "train_speedup", "whole_run"]
    everything += ["serving", "history_stores", "nightly"]
    assert chosen() == everything
    assert chosen("nightly_seconds_730") == ["nightly_730"], "by name alone"
    assert chosen("soak", "soak_mb_per_minute") == ["soak"]


def test_the_soak_sends_a_world_over_and_over_as_other_goods() -> None:
    rows = [{"epc_code": f"001.8804823.1203199.150002.20250701.{n:09}", "event_time": "x"} for n in range(70)]
    rows += [{"epc_code": None, "event_time": "x"}, {"epc_code": "BROKEN", "event_time": "x"}]
    sent = [row for body in islice(soak_bodies(rows), 6) for row in json.loads(body)["data"]]
    assert [row["event_id"] for row in sent] == list(range(300))
    codes = [row["epc_code"] for row in sent if row["epc_code"] not in (None, "BROKEN")]
    assert len(set(codes)) == len(codes) > 280 and codes[:70] == [row["epc_code"] for row in rows[:70]]
    assert all(len(code) == len(codes[0]) for code in codes)


def test_the_soak_tells_its_pieces_apart() -> None:
    moment = np.arange(0, 100, 0.1)
    answered = np.stack([moment, np.where(moment < 50, 5.0, 7.0)], axis=1)
    memory = np.stack([np.arange(100), np.full(100, 300.0), np.arange(100) + 200.0, np.full(100, 150.0)], axis=1)
    pieces = by_piece(answered, memory, 100)
    assert [piece["to_second"] for piece in pieces] == list(range(10, 101, 10))
    assert [piece["p50_ms"] for piece in pieces] == [5.0] * 5 + [7.0] * 5
    assert pieces[0]["events_per_second"] == 10 * EVENTS and pieces[3]["pss_mb"] == 234.5 and pieces[9]["own_mb"] == 150
    with pytest.raises(UserError, match="Nothing was answered from second 50"):
        by_piece(answered[:500], memory, 100)


def test_the_short_history_has_the_journeys_of_the_new_day(tmp_path: Path) -> None:
    """Of the earlier days those rows alone whose EPC is in the new day's files."""
    ground = Ground.simulated(Worlds(tmp_path, 40_000), 40)
    day = day_number(ground.date)
    ground.link_journeys(tmp_path / "side", range(day - 20, day))

    def rows(folder: Path, days: range) -> list[str]:
        files = [path for one in days for path in sorted((folder / "data" / "raw" / date_text(one)).glob("*.csv"))]
        return [line for path in files for line in path.read_text().splitlines()[1:]]

    def epc(line: str) -> str:
        return line.split("\t")[7]

    world, earlier = ground.folder / "world", range(day - 20, day)
    of_day = {epc(line) for line in rows(world, range(day, day + 1))}
    assert len(rows(world, range(day, day + 1))) == ground.rows > 100
    expected = [line for line in rows(world, earlier) if epc(line) in of_day]
    assert rows(tmp_path / "side", earlier) == expected and 20 < len(expected) < len(rows(world, earlier)) / 2


def test_a_disturbed_figure_meets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    quiet, busy = (replace(FAKE["data_plane_ratio"], others=cores) for cores in (0.05, 1.3))
    write_results({"quiet": quiet, "busy": busy}, path)
    found = json.loads(path.read_text())["figures"]
    assert (found["quiet"]["disturbed"], found["quiet"]["met"]) == (False, True)
    assert (found["busy"]["disturbed"], found["busy"]["met"], found["busy"]["value"]) == (True, None, 3.142)
    assert [line.split("≤ 4")[-1].strip() for line in table({"quiet": quiet, "busy": busy}).splitlines()[1:]] == [
        "met", "disturbed: measure again",
    ]  # fmt: skip


def test_a_later_failure_does_not_lose_what_was_measured(tmp_path: Path) -> None:
    def fails(worlds: Worlds) -> dict[str, Figure]:
        raise UserError("It failed.")

    path = tmp_path / "results.json"
    with pytest.raises(UserError):
        benchmarks.measure_all([lambda worlds: FAKE, fails], Worlds(tmp_path), path)
    assert set(json.loads(path.read_text())["figures"]) == set(FAKE)


def test_the_table_has_a_line_per_figure() -> None:
    lines = table(FAKE).splitlines()
    assert len(lines) == 1 + len(FAKE)
    assert lines[2].split() == ["rules_events_per_second", "4,000,000", "events/s", "≥", "5,000,000", "missed"]


def test_a_figure_works_in_a_folder_of_its_own(tmp_path: Path) -> None:
    worlds = Worlds(tmp_path, events=500)
    one, other = worlds.workspace("one"), worlds.workspace("other")
    assert one.root != other.root and one.root.is_relative_to(tmp_path)
    names = [path.name for path in one.intake.raw_files()]
    assert names and names == [path.name for path in other.intake.raw_files()]


def test_windows_of_the_textbook_hold_the_last_events_after_zeros() -> None:
    values = np.arange(1, 6, dtype=np.float32)[:, None]  # journeys 1 2 3 and 4 5
    windows = padded_windows(values, np.array([0, 1, 2, 0, 1]), np.array([0, 2, 4]), 2)
    assert windows[..., 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert padded_windows(values, np.array([0, 1, 2, 0, 1]), np.array([4]), 4)[0, :, 0].tolist() == [0, 0, 4, 5]


def test_without_counting_equal_passes_each_is_there_as_often_as_it_occurs() -> None:
    # The first pass occurs 40 times and is read out at its second step, the other occurs 10 times.
    features = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], dtype=np.float16)
    weights = np.array([[0, 40], [10, 10]], dtype=np.float32)
    (fifth,) = a_fifth_of_every_pass([DistinctPasses(features, np.zeros((2, 2, 5), np.float32), weights)])
    assert len(fifth.features) == 10
    first = fifth.features[:, 0, 0] == 1
    assert fifth.weights.tolist() == [[0.0, 1.0] if one else [1.0, 1.0] for one in first]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_memory_is_that_of_the_process_and_its_children() -> None:
    held = np.ones(8 << 20, dtype=np.int64)  # 64 MiB
    assert memory_of_session(os.getpid()) > held.nbytes
