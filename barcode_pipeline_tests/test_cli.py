from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from barcode_pipeline.cli import main
from barcode_pipeline.workspace import ROOT_VARIABLE


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that ends well prints."""
    assert main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence of a command that cannot be carried out."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "Traceback" not in printed.err
    (line,) = printed.err.splitlines()
    return line


def test_from_simulation_to_the_range_of_dates(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "600 events (seed 3)" in told(capsys, "simulate", "--events", "600", "--seed", "3")
    first, last = told(capsys, "intake", "--print-range").strip().split("...")
    assert "2025-07-01" <= first < last <= "2025-12-31"
    ledger = told(capsys, "intake")
    assert "icn.csv" in ledger and "all 4 files" in ledger
    read, quarantined, duplicates, held = (int(word.replace(",", "")) for word in ledger.splitlines()[-1].split()[:4])
    assert read >= 600 * 0.9 and quarantined >= 0 and duplicates == 0 and held == 0
    status = told(capsys, "status")
    assert "merged_events    nothing" in status and re.search(r"^event_scores +\d+ out of date: ", status, re.M)


def test_sample_data_is_made_once_and_follows_what_is_asked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Simulated 300 events (seed 2)" in told(capsys, "sample-data", "--events", "300", "--seed", "2")
    before = {path: path.read_bytes() for path in (root / "data" / "raw").rglob("*.csv")}
    assert "in place" in told(capsys, "sample-data")
    assert {path: path.read_bytes() for path in (root / "data" / "raw").rglob("*.csv")} == before
    assert "Simulated 400 events (seed 2)" in told(capsys, "sample-data", "--events", "400")


def test_rows_outside_all_partitions_leave_no_range(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "simulate", "--events", "300")
    (root / "configuration.toml").write_text('[time]\nfirst_date = "2026-01-01"\n')
    assert "lies on a date from 2026-01-01" in refused(capsys, "intake", "--print-range")
    ledger = told(capsys, "intake").splitlines()[-1].split()
    assert ledger[0] == ledger[3] != "0"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("intake", "There are no raw files in"),
        ("train", "There is no training set in"),
        ("evaluate", "run `make run`"),
        ("show-metrics", "There is no report in"),
    ],
)
def test_an_empty_project_is_told_what_to_do(
    root: Path, capsys: pytest.CaptureFixture[str], command: str, sentence: str
) -> None:
    assert sentence in refused(capsys, command)


def test_a_wrong_configuration_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "configuration.toml").write_text("[rules]\nfastest_truck = 3\n")
    assert "rules.fastest_truck: there is no such key" in refused(capsys, "status")


def test_a_damaged_report_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    latest = root / "reports" / "latest"
    latest.mkdir(parents=True)
    (latest / "metrics.json").write_text("{")
    assert "metrics.json cannot be read" in refused(capsys, "show-metrics")


@pytest.mark.parametrize("arguments", [("simulate", "--events", "0"), ("sample-data", "--seed", "-1"), ("intake", "x")])
def test_wrong_arguments_end_with_2(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import json, sys\nfrom barcode_pipeline.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\nprint(json.dumps(sorted(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert "show-metrics" in printed
    loaded = set(json.loads(printed.splitlines()[-1]))
    assert "barcode_pipeline.cli" in loaded
    assert not {"numpy", "pandas", "pyarrow", "torch", "dagster", "numba"} & loaded
