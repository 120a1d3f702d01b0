from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from barcode_pipeline.alerting import alert_files, as_frame, make_alerts
from barcode_pipeline.alerts.alert import split_reason
from barcode_pipeline.alerts.page import EPCS_SHOWN, alerts_csv, alerts_markdown, alerts_page, counts
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.naming import LABEL_MEANINGS
from barcode_pipeline.events.formats import ALERTS, LABELS
from barcode_pipeline.events.times import date_text
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.conftest import SmallProject


@pytest.fixture(scope="module")
def once(small_project: SmallProject, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("alerts") / "project"
    shutil.copytree(small_project.workspace.root, root, symlinks=True)
    workspace = Workspace(root, small_project.workspace.configuration)
    make_alerts(workspace, workspace.scores.days())
    return workspace


@pytest.fixture
def made(once: Workspace, tmp_path: Path) -> Workspace:
    """A copy that a test may spoil."""
    root = tmp_path / "project"
    shutil.copytree(once.root, root, symlinks=True)
    return Workspace(root, once.configuration)


def all_alerts(workspace: Workspace) -> pd.DataFrame:
    return as_frame(workspace.alerts.read(workspace.alerts.days()))


def files(workspace: Workspace) -> dict[str, bytes]:
    folders = (workspace.alerts.folder, workspace.reports / "alerts")
    return {path.name: path.read_bytes() for folder in folders for path in sorted(folder.iterdir())}


def test_every_event_with_an_alert_is_in_one_alert(once: Workspace) -> None:
    made = once
    days = made.scores.days()
    scores = made.scores.read(days).to_pandas()
    with_alert = scores[scores[list(ALERTS)].any(axis=1)]
    alerts = all_alerts(made)
    assert len(with_alert) > 10
    assert alerts["event_count"].sum() == len(with_alert)
    assert (alerts["epc_count"] == alerts["epcs"].map(len)).all()
    in_alerts = {(str(row.since), epc) for row in alerts[alerts["is_new"]].itertuples() for epc in row.epcs}
    assert in_alerts <= set(
        zip(with_alert["event_time"].dt.strftime("%Y-%m-%d"), with_alert["epc_code"].astype(object), strict=True)
    )
    assert alerts["epcs"].explode().dropna().nunique() == with_alert["epc_code"].nunique()


def test_an_alert_says_why_where_and_how_it_came_to_it(made: Workspace) -> None:
    alerts = all_alerts(made)
    assert alerts["label"].isin(LABELS).all() and (alerts["reason"] != "").all() and (alerts["normal"] != "").all()
    assert alerts["journey"].str.contains("[", regex=False).sum() >= alerts["epc_code"].notna().sum()
    for row in alerts.itertuples():
        assert row.label in row.labels and row.place in row.sites
        assert row.first_time <= row.event_time <= row.last_time
        steps = row.journey.split(" → ")
        assert [step for step in steps if step.endswith("]")][-1].startswith(f"{row.last_time:%m-%d}"), (
            "the journey ends on the alert's date"
        )


def test_alerts_of_one_epc_on_two_dates_are_one_that_goes_on(made: Workspace) -> None:
    alerts = all_alerts(made)
    assert (~alerts["is_new"]).sum() >= 2
    standing = alerts[~alerts["is_new"]]
    assert standing["continues"].isin(alerts["alert_id"]).all()
    # An inherited id is that of an alert which was new when it began.
    first = alerts[alerts["is_new"]].set_index("alert_id")["since"]
    inherited = standing[standing["alert_id"] != standing["own_id"]]
    assert len(inherited) and (inherited["since"].to_numpy() == first[inherited["alert_id"]].to_numpy()).all()


def test_dates_may_be_made_in_any_order_and_pieces(made: Workspace) -> None:
    days = [day for day in made.alerts.days() if made.alerts.rows(day)][-30:]

    def made_in(pieces: list[list[int]]) -> dict[str, bytes]:
        for path in (*made.alerts.folder.iterdir(), *(made.reports / "alerts").iterdir()):
            path.unlink()
        for piece in pieces:
            make_alerts(made, piece)
        return files(made)

    order = np.random.default_rng(3).permutation(days).tolist()
    in_pieces = made_in([order[start : start + 4] for start in range(0, len(order), 4)])
    assert len(in_pieces) > 60 and in_pieces == made_in([days])


def test_a_date_is_made_again_where_its_scores_are_others(made: Workspace) -> None:
    day = max(made.alerts.days(), key=lambda one: made.alerts.rows(one) or 0)
    before = files(made)
    table = made.scores.read([day])
    for name in ALERTS:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), [np.zeros(len(table), bool)])
    made.scores.write(table, np.full(len(table), day), [day])
    assert make_alerts(made, [day]) == {day: 0}
    assert "Nothing new" in alert_files(made, day).page.read_text()
    changed = {name for name, content in files(made).items() if before.get(name) != content}
    assert {name[:10] for name in changed} >= {date_text(day)}
    assert all(name[:10] >= date_text(day) for name in changed)


def test_scores_without_the_data_beneath_them_are_refused(made: Workspace) -> None:
    day = max(made.labels.days(), key=lambda one: made.labels.rows(one) or 0)
    made.labels.path(day).unlink()
    with pytest.raises(UserError, match="do not hold the same events"):
        make_alerts(made, [day])


def test_the_page_and_the_csv_file_hold_every_alert(made: Workspace) -> None:
    day = max(made.alerts.days(), key=lambda one: made.alerts.rows(one) or 0)
    alerts = as_frame(made.alerts.read([day]))
    paths = alert_files(made, day)
    page = paths.page.read_text(encoding="utf-8")
    assert all(f'id="{name}"' in page for name in alerts["alert_id"])
    assert "http" not in page.replace("https://www.w3.org", "")
    rows = list(csv.DictReader(paths.csv.read_text(encoding="utf-8").splitlines()))
    assert [row["alert_id"] for row in rows] == alerts["alert_id"].tolist()
    assert [row["epcs"].split(";") if row["epcs"] else [] for row in rows] == [list(epcs) for epcs in alerts["epcs"]]


def test_a_date_without_events_has_no_page(made: Workspace) -> None:
    day = max(made.scores.days()) + 1
    for store in (made.scores, made.labels, made.enriched):
        store.write(store.read([]), np.zeros(0, np.int64), [day])
    assert make_alerts(made, [day]) == {day: 0}
    assert made.alerts.rows(day) == 0 and not alert_files(made, day).page.exists()


def test_names_as_sent_do_no_harm_in_the_page(made: Workspace) -> None:
    day = max(made.alerts.days(), key=lambda one: made.alerts.rows(one) or 0)
    alerts = as_frame(made.alerts.read([day])).assign(place="<script>x</script>", reason="a | b\nc")
    alerts["epcs"] = [[f"epc {number}" for number in range(EPCS_SHOWN + 7)]] * len(alerts)
    page = alerts_page(alerts, "2025-07-01", LABEL_MEANINGS)
    assert "<script>" not in page and "and 7 more in the CSV file" in page
    assert f"epc {EPCS_SHOWN + 6}" not in page and f"epc {EPCS_SHOWN + 6}" in alerts_csv(alerts)
    table = alerts_markdown(alerts, 1).splitlines()
    assert "a \\| b c" in table[2] and table[-1].startswith("… and") == (len(alerts) > 1)


def test_counts_and_no_alerts() -> None:
    table = pd.DataFrame({"label": ["jump", "jump", "epcDup"], "severity": ["HIGH", "LOW", "HIGH"]})
    found = counts(table)
    assert found.loc["jump"].to_dict() == {"HIGH": 1, "MEDIUM": 0, "LOW": 1, "NORMAL": 0, "all": 2}
    assert found.loc["all", "all"] == 3 and found.loc["locErr", "all"] == 0


@pytest.mark.parametrize(
    ("said", "label", "parts"),
    [
        ("jump: took 3 h; usually 1 h", "jump", ("took 3 h", "usually 1 h")),
        ("locErr: a; b | jump: c; d; e", "jump", ("c; d", "e")),
        ("locErr: at A | jump; b | jump: c; d", "locErr", ("at A | jump", "b")),
        ("locErr: a; b", "jump", ("locErr: a; b", "")),
        (None, "jump", ("", "")),
    ],
)
def test_a_reason_is_taken_apart(said: str | None, label: str, parts: tuple[str, str]) -> None:
    assert split_reason(said, label) == parts


def test_retention_keeps_the_pages(made: Workspace) -> None:
    from barcode_pipeline.retention import tidy_files

    for number in range(40):
        (made.reports / f"run{number}").mkdir(parents=True)
    tidy_files(made)
    assert (made.reports / "alerts").is_dir() and not Path(made.reports / "run0").exists()
