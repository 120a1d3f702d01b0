"""A changed reference table: exactly what it concerns is out of date, and made again it is right."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from barcode_pipeline import chain
from barcode_pipeline.changed_tables import kept_tables
from barcode_pipeline.events.formats import SITES_FILE, TRANSITIONS_FILE
from barcode_pipeline.events.made_dates import MadeDates
from barcode_pipeline.events.times import day_number
from barcode_pipeline.nightly import stale_once_merged
from barcode_pipeline.stale_dates import OF_DATA, settle_tables, stale_dates
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import (
    OTHER_EPC,
    dated_days,
    interim_bytes,
    line,
    make_project,
    simulated_lines,
    text,
    write_rows,
)
from barcode_pipeline_tests.nightly.nights import MAKERS, make_night

NEWEST = day_number("2025-12-31")
NOTHING: dict[str, list[int]] = {asset: [] for asset in OF_DATA}
WAREHOUSE = {"location_id": "16", "scan_location": "Songdo Plant Warehouse", "business_step": "WMS"}
UNKNOWN = {"location_id": "999", "scan_location": "New Warehouse", "business_step": "WMS"}
NEW_SITE = ["59", "999", "New Warehouse", "37.4", "126.7", ""]

Rows = list[list[str]]


def changed(workspace: Workspace, name: str, change: Callable[[Rows], Rows]) -> Workspace:
    """The project once the rows of a reference table are others."""
    path = workspace.processed / name
    header, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *change(rows)])
    path.write_text(text.getvalue(), encoding="utf-8")
    return Workspace.open(workspace.root)


def with_new_site(workspace: Workspace) -> Workspace:
    return changed(workspace, SITES_FILE, lambda rows: [*rows, NEW_SITE])


def make(workspace: Workspace) -> None:
    for maker in MAKERS.values():
        maker(workspace, dated_days(workspace))


def stale(workspace: Workspace) -> dict[str, list[int]]:
    return stale_dates(workspace, OF_DATA)


def july(*days: int) -> list[int]:
    return [day_number(f"2025-07-{day:02}") for day in days]


@pytest.fixture
def by_hand(tmp_path: Path) -> Workspace:
    """Two EPCs of one lot, one of which is scanned at an unknown place on the 7th, and one of another lot."""
    companion = OTHER_EPC.replace("900000001", "900000002")
    stranger = OTHER_EPC.replace("010005", "010006")
    workspace = make_project(tmp_path / "project")
    lines = [
        line(event_time="2025-07-05 09:00:00"),
        line(event_time="2025-07-07 09:00:00", **UNKNOWN, event_type="WMS_Inbound"),
        line(event_time="2025-07-09 09:00:00", **WAREHOUSE, event_type="WMS_Outbound"),
        line(epc_code=companion, event_time="2025-07-05 09:00:00"),
        line(epc_code=companion, event_time="2025-07-06 09:00:00", **WAREHOUSE, event_type="WMS_Inbound"),
        line(epc_code=companion, event_time="2025-07-08 09:00:00", **WAREHOUSE, event_type="WMS_Outbound"),
        line(epc_code=stranger, event_time="2025-07-05 09:00:00"),
        line(epc_code=stranger, event_time="2025-07-10 09:00:00", **WAREHOUSE, event_type="WMS_Inbound"),
    ]
    (workspace.raw / "all.csv").write_bytes(text(*lines))
    workspace.intake.take_in()
    make(workspace)
    return workspace


def from_nothing(workspace: Workspace) -> dict[str, str]:
    """What the same rows and the tables as they are now make in a new project."""
    fresh = make_project(workspace.root.parent / "fresh")
    shutil.copytree(workspace.raw, fresh.raw, dirs_exist_ok=True)
    shutil.copytree(workspace.processed, fresh.processed, dirs_exist_ok=True)
    fresh.intake.take_in()
    make(fresh)
    made = interim_bytes(fresh)
    shutil.rmtree(fresh.root)
    return made


# ---------------------------------------------------------------------- a new site


def test_a_new_site_concerns_the_dates_that_did_not_know_it(by_hand: Workspace) -> None:
    labels = by_hand.labels.read(july(7), ["locErr", "locErrScore"]).to_pylist()
    assert labels == [{"locErr": True, "locErrScore": 20}]
    project = with_new_site(by_hand)
    expected = {
        "merged_events": july(7),
        # The row itself, and what its EPC does next.
        "enriched_events": july(7, 9),
        "rule_labels": july(7, 9),
        # Features look at the lot.
        "epc_sequences": july(7, 8, 9),
    }
    assert stale(project) == expected
    stood = {path: path.stat().st_mtime_ns for path in project.interim.rglob("*.parquet")}
    assert make_night(project, NEWEST) == {asset: [*days, NEWEST] for asset, days in expected.items()}
    assert stale(project) == NOTHING
    assert project.labels.read(july(7), ["locErr", "locErrScore"]).to_pylist() == [{"locErr": False, "locErrScore": 0}]
    touched = {(path.parent.name, path.stem) for path, moment in stood.items() if path.stat().st_mtime_ns != moment}
    assert {day for asset, day in touched if asset == "rule_labels"} == {"2025-07-07", "2025-07-09"}
    assert {day for asset, day in touched if asset == "merged_events"} == {"2025-07-07"}
    found = interim_bytes(project)
    expected_bytes = from_nothing(project)
    assert {name for name in expected_bytes if found[name] != expected_bytes[name]} == set()


def test_asking_changes_nothing_and_settling_is_asked_once(by_hand: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    project = with_new_site(by_hand)
    before = project.made.entries()
    expected = stale(project)
    assert stale_once_merged(project)["rule_labels"] == expected["rule_labels"]
    assert project.made.entries() == before and len(kept_tables(project)) == 1
    settle_tables(project)
    assert stale(project) == expected and list(kept_tables(project)) == [project.reference_fingerprint()]
    # Nothing is looked at once more.
    monkeypatch.setattr(type(project.intake), "read", None)
    assert stale(Workspace.open(project.root)) == expected


@pytest.mark.parametrize("settled", [False, True])
def test_a_table_that_is_as_it_was_again(by_hand: Workspace, settled: bool) -> None:
    made = interim_bytes(by_hand)
    project = with_new_site(by_hand)
    if settled:
        settle_tables(project)
    back = changed(project, SITES_FILE, lambda rows: rows[:-1])
    # What was struck is made once more, and comes out the same; without that nothing has happened.
    assert stale(back) == (stale(project) if settled else NOTHING)
    make_night(back, july(10)[0])
    assert stale(back) == NOTHING and interim_bytes(back) == made


def test_dates_made_in_between_are_not_taken_for_right(by_hand: Workspace) -> None:
    """Merged with the new table, then the old one is put back: what was made with the new one is known."""
    made = interim_bytes(by_hand)
    project = with_new_site(by_hand)
    chain.make_merged(project, july(7))
    chain.make_enriched(project, july(7, 9))
    back = changed(project, SITES_FILE, lambda rows: rows[:-1])
    assert set(july(7, 9)) <= set(stale(back)["enriched_events"])
    make_night(back, july(10)[0])
    assert stale(back) == NOTHING and interim_bytes(back) == made


def test_a_table_changed_while_a_step_runs_is_not_the_one_it_was_made_with(by_hand: Workspace) -> None:
    running = Workspace.open(by_hand.root)
    assert len(running.reference.sites) == 58
    project = with_new_site(running)
    chain.make_merged(running, dated_days(running))
    chain.make_enriched(running, dated_days(running))
    assert stale(project)["enriched_events"] == july(7, 9)


@pytest.mark.parametrize("dies_at", [0, 1, 2, 3])
def test_killed_while_it_settles(by_hand: Workspace, monkeypatch: pytest.MonkeyPatch, dies_at: int) -> None:
    project = with_new_site(by_hand)
    expected = stale(project)
    calls = []

    def die(self: MadeDates, *_: object) -> None:
        calls.append(1)
        if len(calls) > dies_at:
            raise KeyboardInterrupt
        real(self, *_)  # type: ignore[arg-type]

    real = MadeDates.note
    monkeypatch.setattr(MadeDates, "note", die)
    with pytest.raises(KeyboardInterrupt):
        settle_tables(project)
    monkeypatch.undo()
    assert stale(project) == expected
    settle_tables(project)
    assert stale(project) == expected


def test_a_duplicate_that_is_none_by_the_new_table_comes_back(by_hand: Workspace) -> None:
    """An unknown id beside a known name is that place, until the id is another's."""
    site = {"scan_location": "Songdo Plant"}
    (by_hand.raw / "more.csv").write_bytes(
        text(
            line(event_time="2025-07-20 09:00:00", location_id="2", **site),
            line(event_time="2025-07-20 09:00:00", location_id="999", **site),
        )
    )
    by_hand.intake.take_in()
    make(by_hand)
    day = july(20)
    assert by_hand.merged.rows(day[0]) == 1 and stale(by_hand) == NOTHING
    project = with_new_site(by_hand)
    assert day[0] in stale(project)["merged_events"]
    make_night(project, NEWEST)
    assert project.merged.rows(day[0]) == 2


def test_a_table_that_cannot_be_read_leaves_all_out_of_date(by_hand: Workspace) -> None:
    path = by_hand.processed / SITES_FILE
    path.write_text(path.read_text().replace("Latitude", "north", 1))
    assert stale(Workspace.open(by_hand.root)) == {asset: dated_days(by_hand) for asset in OF_DATA}


# ---------------------------------------------------------------------- whatever changes


def without(name: str, column: int) -> Callable[[Rows], Rows]:
    return lambda rows: [row for row in rows if row[column] != name]


def replaced(name: str, column: int, **values: str) -> Callable[[Rows], Rows]:
    """The row with a name in a column, with other values at the columns `c0`, `c1`, …"""

    def change(rows: Rows) -> Rows:
        return [
            [values.get(f"c{place}", word) if row[column] == name else word for place, word in enumerate(row)]
            for row in rows
        ]

    return change


CHANGES: dict[str, tuple[str, Callable[[Rows], Rows]]] = {
    "a site that is there is not known": (SITES_FILE, without("Hangang 1 Shop 1", 2)),
    "a wholesaler is not known": (SITES_FILE, without("Nakdong Wholesale 1", 2)),
    "a site has moved": (SITES_FILE, replaced("Hangang 2 Shop 1", 2, c3="35.2", c4="129.1")),
    "a site has no coordinates": (SITES_FILE, replaced("Hangang 2 Shop 2", 2, c3="", c4="")),
    "a site has another name": (SITES_FILE, replaced("Hangang 2 Shop 3", 2, c2="Hangang 2 Shop 4")),
    "a route is narrower": (
        TRANSITIONS_FILE,
        lambda rows: [[*row[:3], "0.2", *row[4:]] if row[1] == "Hangang 2 Shop 3" else row for row in rows],
    ),
    "a route is not known": (TRANSITIONS_FILE, without("Hangang Wholesale 2", 1)),
    "a number of no route": (
        TRANSITIONS_FILE,
        lambda rows: [*rows, ["Nowhere", "Hangang Hub", "1", "1", "1", "1", "1"]],
    ),
}


@pytest.fixture(scope="module")
def simulated_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the table without a change is later given back to: both ways are changes."""
    names, rows = simulated_lines(2_000, True)
    workspace = make_project(tmp_path_factory.mktemp("tables"))
    write_rows(workspace.raw / "all.csv", names, rows)
    workspace.intake.take_in()
    make(workspace)
    return workspace.root


@pytest.mark.parametrize("way", ["there", "and back"])
@pytest.mark.parametrize("what", CHANGES)
def test_what_is_not_out_of_date_is_as_the_new_table_makes_it(
    simulated_once: Path, tmp_path: Path, what: str, way: str
) -> None:
    project = Workspace.open(shutil.copytree(simulated_once, tmp_path / "project"))
    whole = {name: (project.processed / name).read_text() for name in (SITES_FILE, TRANSITIONS_FILE)}
    project = changed(project, *CHANGES[what])
    if way == "and back":
        make(project)
        for name, content in whole.items():
            (project.processed / name).write_text(content)
        project = Workspace.open(project.root)
    expected, found, out_of_date = from_nothing(project), interim_bytes(project), stale(project)
    wrong = {name for name in expected if found[name] != expected[name]}
    told = {f"{asset}/{path.stem}" for asset in OF_DATA for path in _paths(project, asset, out_of_date[asset])}
    assert {name.removesuffix(".parquet") for name in wrong} <= told
    days = dated_days(project)
    if what == "a number of no route":
        assert out_of_date == NOTHING
    else:
        assert wrong and 0 < len(out_of_date["rule_labels"]) < len(days)
    if what in ("a route is narrower", "a route is not known", "a site has moved", "a site has no coordinates"):
        assert out_of_date["merged_events"] == []
    make_night(project, days[-1])
    assert interim_bytes(project) == expected and stale(project) == NOTHING


def _paths(workspace: Workspace, asset: str, days: list[int]) -> list[Path]:
    from barcode_pipeline.stale_dates import store_of

    return [store_of(workspace, asset).path(day) for day in days]
