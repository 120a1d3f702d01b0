"""The transition table made anew from history: right where the truth is known, and taken into use by hand alone."""

from __future__ import annotations

import io
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from barcode_pipeline import chain, refreshing
from barcode_pipeline.cli import main
from barcode_pipeline.errors import UserError
from barcode_pipeline.events import route_statistics
from barcode_pipeline.events.formats import ALERTS, KEY_COLUMNS, LABELS, PROBABILITIES, TRANSITIONS_FILE
from barcode_pipeline.events.locks import alone
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.feedback import make_verdicts
from barcode_pipeline.refreshing import changes_of, refresh, use
from barcode_pipeline.simulator import AnomalyRates, World, write_simulation
from barcode_pipeline.stale_dates import stale_dates
from barcode_pipeline.workspace import ROOT_VARIABLE, Workspace
from barcode_pipeline_tests.events.projects import dated_days, line, make_project, text

# Small batches make many shipments out of few events.
WORLD = World(events=30_000, seed=3, batch_size=4, pallet_size=2, end=datetime(2025, 8, 30, 14, 2, 39))
MANY_ANOMALIES = AnomalyRates(**{name: 5 * rate for name, rate in asdict(AnomalyRates()).items()})
LABELLED = (chain.make_merged, chain.make_enriched, chain.make_labels)


def simulated(root: Path, world: World) -> Workspace:
    write_simulation(root, world)
    workspace = Workspace.open(root)
    workspace.intake.take_in()
    make_labels(workspace)
    return workspace


def make_labels(workspace: Workspace) -> None:
    for make in LABELLED:
        make(workspace, dated_days(workspace))


@pytest.fixture(scope="module")
def with_anomalies(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return simulated(tmp_path_factory.mktemp("anomalies"), replace(WORLD, anomalies=MANY_ANOMALIES))


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return simulated(tmp_path_factory.mktemp("without"), WORLD.without_anomalies())


@pytest.fixture
def project(with_anomalies: Workspace, tmp_path: Path) -> Workspace:
    """A copy that a test may change."""
    return Workspace.open(shutil.copytree(with_anomalies.root, tmp_path / "project"))


def taken(workspace: Workspace, **more: int) -> pd.DataFrame:
    """The routes of a refresh that were seen often, by their ends; its version goes, for the tests to come."""
    changes = refresh(workspace, **more).changes
    shutil.rmtree(workspace.processed / "transition_versions")
    return changes[changes["decision"] == "taken"].set_index(["from_scan_location", "to_scan_location"])


# ---------------------------------------------------------------------- against the simulator's own table


def test_it_agrees_with_the_table_that_the_world_was_drawn_from(with_anomalies: Workspace) -> None:
    found = taken(with_anomalies, fewest=40)
    assert len(found) > 15
    # Transports are nearly uniform between bounds: a deviation is then right to 0.45 / √n of itself. The simulator
    # keeps away from the bounds (2 % narrower) and lets a few in a thousand arrive late (1 % wider, 0.1 h in the mean).
    error = found["std_old"] / np.sqrt(found["shipments"])
    off = found["mean_new"] - found["mean_old"]
    assert (off.abs() < 4 * error + 0.1).all() and 0.5 < (off / error).std() < 1.6
    ratio = found["std_new"] / found["std_old"]
    assert ((ratio - 0.99).abs() < 4 * 0.45 / np.sqrt(found["shipments"]) + 0.03).all()
    # Over four worlds the mean ratio was 0.977 to 1.012: of routes of one truck most are the same draw.
    assert ratio.mean() == pytest.approx(0.99, abs=0.04)


def spread(workspace: Workspace) -> pd.Series:
    return taken(workspace, fewest=40)["std_new"]


def widened(one: pd.Series, other: pd.Series) -> float:
    """How much wider the deviations of common routes are, on average."""
    both = pd.concat([one, other], axis=1, join="inner")
    assert len(both) > 15
    return float((both.iloc[:, 0] / both.iloc[:, 1]).mean() - 1)


def test_anomalies_do_not_widen_the_deviations(
    with_anomalies: Workspace, without: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert abs(widened(spread(with_anomalies), spread(without))) < 0.02
    # What it would be without fences and with all EPCs: the same comparison has to notice.
    monkeypatch.setattr(route_statistics, "FENCE", 1e9)
    monkeypatch.setattr(refreshing, "_unclean_epcs", lambda *_: (pa.array([], pa.string()), {}))
    assert widened(spread(with_anomalies), spread(without)) > 0.08


def test_what_has_become_slower_is_learnt(without: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what is slower bears the label `jump` by the old table: left out, a refresh would stop halfway."""
    world = replace(WORLD.without_anomalies(), slower_routes=(date(2025, 7, 25), 1.3))
    slower, since = simulated(tmp_path, world), day_number("2025-07-27")
    usual, found = taken(without, fewest=30, first=since), taken(slower, fewest=30, first=since)
    assert (found["mean_new"] / usual["mean_new"]).dropna().mean() == pytest.approx(1.3, abs=0.03)
    assert (found["std_new"] / usual["std_new"]).dropna().mean() == pytest.approx(1.3, abs=0.05)
    assert len(found.index.intersection(usual.index)) > 10
    monkeypatch.setattr(refreshing, "_UNCLEAN_LABELS", LABELS)
    halfway = taken(slower, fewest=30, first=since)
    assert (halfway["mean_new"] / usual["mean_new"]).dropna().mean() < 1.2


# ---------------------------------------------------------------------- versions, and their use


def test_a_refresh_makes_a_version_and_changes_nothing_else(project: Workspace) -> None:
    table = project.processed / TRANSITIONS_FILE
    before = table.read_bytes()
    made = refresh(project)
    assert (made.version, made.is_new) == (2, True)
    versions = project.processed / "transition_versions"
    assert table.read_bytes() == before == (versions / "0001" / "table.csv").read_bytes()
    assert stale_dates(project, ["rule_labels"]) == {"rule_labels": []}
    files = {path: path.read_bytes() for path in versions.rglob("*") if path.is_file()}
    again = refresh(Workspace.open(project.root))
    assert (again.version, again.is_new) == (2, False)
    assert {path: path.read_bytes() for path in versions.rglob("*") if path.is_file()} == files
    # In another place the same history gives the same bytes.
    shutil.rmtree(versions)
    refresh(Workspace.open(project.root))
    assert {path: path.read_bytes() for path in versions.rglob("*") if path.is_file()} == files


def test_a_route_seen_too_seldom_keeps_its_row(project: Workspace) -> None:
    changes = refresh(project, fewest=40).changes
    kept = changes[changes["decision"] == "too few, row kept"]
    assert len(kept) and (kept["what"] == "same").all() and (kept["shipments"] < 40).all()
    left_out = changes[changes["decision"] == "too few, no row"]
    assert len(left_out) and left_out["what"].isna().all()
    assert (changes.loc[changes["decision"] == "taken", "shipments"] >= 40).all()


def test_a_version_in_use_makes_stale_what_was_made_with_the_old_one(project: Workspace) -> None:
    chain.make_sequences(project, dated_days(project))
    made = refresh(project)
    assert use(project, made.version) == 1
    changed = Workspace.open(project.root)
    stale = stale_dates(changed)
    assert stale["rule_labels"] and stale["enriched_events"] and stale["epc_sequences"]
    assert set(changes_of(changed, 1)["what"]) >= {"changed"} and set(changes_of(changed, 2)["what"].dropna()) == {
        "same"
    }

    # Made again where it is out of date, all is as if the new table had been there from the beginning.
    for asset, make in (("merged_events", chain.make_merged), ("enriched_events", chain.make_enriched),
                        ("rule_labels", chain.make_labels), ("epc_sequences", chain.make_sequences)):  # fmt: skip
        make(changed, stale_dates(changed, [asset])[asset])
    fresh = Workspace.open(shutil.copytree(project.root, project.root.parent / "fresh"))
    shutil.rmtree(fresh.interim)
    fresh.intake.take_in()
    for make in (*LABELLED, chain.make_sequences):
        make(fresh, dated_days(fresh))
    for store, expected in ((changed.enriched, fresh.enriched), (changed.labels, fresh.labels),
                            (changed.sequences, fresh.sequences)):  # fmt: skip
        assert store.days() == expected.days()
        differing = [day for day in store.days() if store.path(day).read_bytes() != expected.path(day).read_bytes()]
        assert differing == []

    # And back: the old table, to the byte.
    assert use(changed, 1) == 2
    assert (project.processed / TRANSITIONS_FILE).read_bytes() == (
        project.processed / "transition_versions" / "0001" / "table.csv"
    ).read_bytes()


def test_a_version_that_no_run_could_read_is_not_taken_into_use(project: Workspace) -> None:
    before = (project.processed / TRANSITIONS_FILE).read_bytes()
    path = project.processed / "transition_versions" / f"{refresh(project).version:04}" / "table.csv"
    path.write_bytes(path.read_bytes().replace(b",", b";", 1))
    with pytest.raises(UserError, match=r"table\.csv"):
        use(project, 2)
    assert (project.processed / TRANSITIONS_FILE).read_bytes() == before


# ---------------------------------------------------------------------- clean history


def scans(number: int, arrival: str = "2025-07-06 03:00:00") -> list[str]:
    """An EPC that leaves a warehouse at 22:00 and comes in at its hub."""
    epc = {"epc_code": f"001.8804823.1293291.0100{number:02}.20250701.900000001"}
    warehouse = {"location_id": "16", "scan_location": "Songdo Plant Warehouse", "business_step": "WMS"}
    hub = {"location_id": "32", "scan_location": "Hangang Hub", "business_step": "Logistics_HUB"}
    return [
        line(**epc, **warehouse, event_type="WMS_Inbound", event_time="2025-07-05 08:00:00"),
        line(**epc, **warehouse, event_type="WMS_Outbound", event_time="2025-07-05 22:00:00"),
        line(**epc, **hub, event_type="HUB_Inbound", event_time=arrival),
    ]


@pytest.fixture
def by_hand(tmp_path: Path) -> Workspace:
    """Six EPCs whose transport goes over midnight, and one with a fault that the rules find a week later."""
    workspace = make_project(tmp_path / "by hand")
    late = line(
        epc_code="001.8804823.1293291.010006.20250701.900000001", event_time="2025-07-13 09:00:00",
        location_id="32", scan_location="Hangang Hub", business_step="Logistics_HUB", event_type="",
    )  # fmt: skip
    (workspace.raw / "all.csv").write_bytes(text(*(row for number in range(1, 7) for row in scans(number)), late))
    workspace.intake.take_in()
    make_labels(workspace)
    return workspace


def transports(workspace: Workspace) -> int:
    return refresh(workspace).history.transports


def test_who_found_fault_with_an_epc_leaves_it_out(by_hand: Workspace) -> None:
    made = refresh(by_hand).history
    assert made.transports == 5 and made.unclean == {"rules": 1, "model": 0, "verdicts": 0}
    assert [date_text(day) for day in made.days] == ["2025-07-05", "2025-07-06", "2025-07-13"]

    by_hand.feedback.mkdir(parents=True)
    (by_hand.feedback / "verdicts.csv").write_text(
        "epc_code,event_time,location_id,scan_location,business_step,event_type,label,verdict,who,when\n"
        "001.8804823.1293291.010001.20250701.900000001,2025-07-06 03:00:00,32,Hangang Hub,Logistics_HUB,HUB_Inbound,"
        "jump,true,kim,2025-08-01\n"
        "001.8804823.1293291.010002.20250701.900000001,2025-07-06 03:00:00,32,Hangang Hub,Logistics_HUB,HUB_Inbound,"
        "jump,false,kim,2025-08-01\n"
    )
    make_verdicts(by_hand)
    assert refresh(by_hand).history.unclean == {"rules": 1, "model": 0, "verdicts": 1}
    assert transports(by_hand) == 4

    day = day_number("2025-07-06")
    alert(by_hand, day, "locErrAlert", 2)
    assert transports(by_hand) == 3
    # What a table makes unusual is no fault: it is what is to be measured.
    alert(by_hand, day, "jumpAlert", 2)
    assert transports(by_hand) == 4


def alert(workspace: Workspace, day: int, name: str, row: int) -> None:
    """Scores of a date with one alert."""
    keys = workspace.enriched.read([day], KEY_COLUMNS)
    columns = {key: keys.column(key) for key in KEY_COLUMNS}
    columns |= {key: pa.array(np.zeros(len(keys), np.float32)) for key in PROBABILITIES}
    columns |= {key: pa.array((np.arange(len(keys)) == row) & (key == name)) for key in ALERTS}
    words = pa.array([""] * len(keys)).dictionary_encode()
    columns |= dict.fromkeys(("method", "model_file", "reason"), words)
    table = pa.table([columns[key] for key in workspace.scores.schema.names], schema=workspace.scores.schema)
    workspace.scores.write(table, np.full(len(keys), day), [day])


def test_an_unusual_transport_counts_and_an_impossible_one_does_not(by_hand: Workspace) -> None:
    (by_hand.raw / "more.csv").write_bytes(text(*scans(7, "2025-07-06 09:00:00"), *scans(8, "2025-07-05 22:20:00")))
    by_hand.intake.take_in()
    make_labels(by_hand)
    assert sum(by_hand.labels.read(dated_days(by_hand), ["jump"]).column("jump").to_pylist()) == 2
    made = refresh(by_hand).history
    assert (made.transports, made.impossible) == (6, 1)


def test_dates_that_are_out_of_date_are_not_looked_at(by_hand: Workspace) -> None:
    labels = by_hand.labels.path(day_number("2025-07-13"))
    by_hand.made.strike({"rule_labels": [day_number("2025-07-13")]})
    assert labels.exists() and refresh(by_hand).history.left_out == 1
    by_hand.made.strike({"rule_labels": dated_days(by_hand)})
    with pytest.raises(UserError, match="3 of 3 dates are out of date"):
        refresh(by_hand)
    with pytest.raises(UserError, match="no date has rule labels"):
        refresh(make_project(by_hand.root.parent / "empty"))


def test_only_the_dates_asked_for(by_hand: Workspace) -> None:
    first, last = day_number("2025-07-06"), day_number("2025-07-12")
    # The departures lie a day before: nothing is known of them.
    assert refresh(by_hand, first=first).history.transports == 0
    assert refresh(by_hand, last=last).history.transports == 6
    with pytest.raises(UserError, match="no date has rule labels"):
        refresh(by_hand, first=first + 1, last=last)


# ---------------------------------------------------------------------- the command


@pytest.fixture
def root(project: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(ROOT_VARIABLE, str(project.root))
    yield project.root


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["reference", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["reference", *arguments]) == 2
    printed = capsys.readouterr()
    (sentence,) = printed.err.splitlines()
    return sentence


def test_refresh_show_use_and_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is none of them" in told(capsys)
    made = told(capsys, "refresh", "--csv", str(root / "changes.csv"))
    assert "changed  Songdo Plant Warehouse → Hangang Hub" in made and "Version 2 is not in use" in made
    changes = pd.read_csv(root / "changes.csv")
    assert {"mean_old", "mean_new", "std_old", "std_new", "epcs", "shipments", "decision"} <= set(changes.columns)
    assert told(capsys).splitlines()[0] == "*   1  as it was found in use"
    shown = told(capsys, "show", "2")
    assert shown in made
    used = told(capsys, "use", "2")
    assert used.startswith("Version 2 is in use in place of version 1.") and "rule_labels" in used
    assert told(capsys).splitlines()[1].startswith("*   2  from 2025-07-01 to ")
    assert "No route would change." in told(capsys, "show", "2")
    # Labels of the old table say nothing of what is clean by the new one.
    assert re.search(r"no clean history: \d+ of \d+ dates are out of date", refused(capsys, "refresh"))
    assert told(capsys, "use", "1").startswith("Version 1 is in use in place of version 2.")


def test_what_history_says_already_is_in_use(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Version 1 is in use: history says nothing else." in told(capsys, "refresh", "--fewest", "1e9")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "9"], "There is no version 9"),
        (["use", "9"], "There is no version 9"),
        (["show"], "take a version"),
        (["refresh", "1"], "take a version"),
        (["refresh", "--fewest", "1"], "give --fewest 2 or more"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert sentence in refused(capsys, *arguments)


@pytest.mark.parametrize("action", [["refresh"], ["use", "1"]])
def test_who_works_on_the_data_is_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch, action: list[str]) -> None:
    refresh(Workspace.open(root))
    # Not pytest's own capture: it empties what it reads, and what is written meanwhile is lost.
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    (root / "data" / "processed" / TRANSITIONS_FILE).write_text("changed by hand\n")
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(main(["reference", *action])))
    with alone(Workspace.open(root).lock, "a run"):
        thread.start()
        while "waiting for a run" not in said.getvalue():
            assert thread.is_alive()
            time.sleep(0.01)
        assert not done and (root / "data" / "processed" / TRANSITIONS_FILE).read_text() == "changed by hand\n"
    thread.join(60)
    assert len(done) == 1
