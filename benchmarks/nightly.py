"""A night from the command line, after few and after many days of history: seconds, of which asset, and of disk.

The nights that are compared judge the same newest day of one world; what lies before it differs. A night is a process
of its own, `barcode-pipeline night DATE`, as `make night` starts it, on a copy of a folder that was made ready through
Dagster too, up to and including a first night that is not measured.
"""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.learning import train_baselines
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.nightly import note_model
from barcode_pipeline.retraining import make_training_set, train
from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.workspace import Workspace
from benchmarks.results import REPOSITORY, Figure, rounded
from benchmarks.worlds import SEED, Worlds

ROUNDS = 3
SHORT, LONG, LONGEST = 7, 165, 730
"""Days of history before the measured day."""
_START = datetime(2024, 1, 1, 10, 23, 38)
_WARMING, _AFTER = 120, 60
"""Days that a world takes until it is in its steady state, and days before its end that are out of it again."""
_EVENTS_PER_DAY = 5_600
_STANDARD_EVENTS, _STANDARD_DAYS, _STANDARD_LOTS = 920_000, 168, 104
_DATES_AT_ONCE = 100
_CONFIGURATION = '[time]\nfirst_date = "{first}"\n\n[training]\nepochs = 6\n\n[planting]\npasses = 1\n'
"""Training from nothing makes ready and is not measured: it is short. What a night does is as by default."""
_DATA = ("merged_events", "enriched_events", "rule_labels", "epc_sequences")
_KEPT_FOLDERS = ("data", "models", "reports", "logs", ".dagster_home")
_NEVER_CHANGED = {".parquet", ".arrow", ".npy", ".pt", ".png", ".html"}
"""Written beside and renamed, each time: a link is as good as a copy."""


def nightly(worlds: Worlds) -> dict[str, Figure]:
    """Seconds of a night after 165 days of history, their ratio to those after 7, and what a night leaves on disk."""
    ground = Ground.simulated(worlds, _WARMING + LONG)
    long = ground.side(LONG)
    short = ground.side(SHORT, long.workspace)
    rounds = [(_measured(short), _measured(long)) for _ in range(ROUNDS)]
    few, many = ([night[place] for night in rounds] for place in (0, 1))
    ratio = statistics.median(other.seconds / one.seconds for one, other in rounds)
    grown = _growth(long)
    about = (
        f"`barcode-pipeline night {ground.date}` as a process of its own, Dagster and its start included, 3 training "
        f"epochs from the model in service, baselines not retrained: a new day of {ground.rows:,} rows of daily files "
        f"(late rows of the days before among them), the day after {_WARMING} or more days of one simulated world "
    )
    both = (
        f"Median of {ROUNDS} nights, each on a copy of a folder that ends with the night before. "
        "Short side: all rows of the last 7 days, and of the new day's EPCs their earlier rows, so that these have the "
        "same history and dwell times on both sides; lots are thinner there."
    )
    more = {"seconds_of": {SHORT: _of_assets(few), LONG: _of_assets(many)}, "history": [short.facts, long.facts]}
    return {
        "nightly_ratio": Figure(
            ratio,
            "ratio",
            f"Seconds of {about}after {LONG} days of history over those after {SHORT}. {both}",
            at_most=1.3,
            more={"seconds": [*map(_shown, many)], "seconds_short": [*map(_shown, few)], **more},
        ),
        "nightly_seconds": Figure(
            statistics.median(night.seconds for night in many),
            "s",
            f"Wall-clock seconds of {about}after {LONG} days of history. {both}",
            at_most=60,
            more={"seconds": [*map(_shown, many)], "cpu_seconds": [rounded(night.cpu) for night in many]},
        ),
        "disk_mb_per_night": Figure(
            sum(grown["night"].values()),
            "MB",
            f"What that night after {LONG} days adds to {', '.join(_KEPT_FOLDERS)}, raw files included; kept: what is "
            "left of it once all retention has passed.",
            more={"mb_by_folder": grown["night"], "mb_by_folder_kept": grown["kept"]},
        ),
    }


def nightly_730(worlds: Worlds) -> dict[str, Figure]:
    """The same night after two years; measured by name alone, for making the history ready takes its time."""
    ground = Ground.simulated(worlds, LONGEST)
    middle = ground.side(LONG)
    longest = ground.side(LONGEST, middle.workspace)
    rounds = [(_measured(middle), _measured(longest)) for _ in range(ROUNDS)]
    nights = {LONG: [one for one, _ in rounds], LONGEST: [other for _, other in rounds]}
    return {
        "nightly_seconds_730": Figure(
            statistics.median(night.seconds for night in nights[LONGEST]),
            "s",
            f"As nightly_seconds, in a longer world, a new day of {ground.rows:,} rows after {LONGEST} days of "
            f"history; and after the last {LONG} of them.",
            more={
                "seconds": {days: [*map(_shown, some)] for days, some in nights.items()},
                "cpu_seconds": {days: [rounded(night.cpu) for night in some] for days, some in nights.items()},
                "seconds_of": {days: _of_assets(some) for days, some in nights.items()},
                "history": [middle.facts, longest.facts],
            },
        )
    }


# ---------------------------------------------------------------------- histories


@dataclass(frozen=True)
class _Side:
    """A folder at the end of the night before the measured one. date: of the measured night. coming: its raw files,
    not taken in yet. facts: what history the night finds."""

    workspace: Workspace
    date: str
    coming: Path
    facts: dict[str, float]


@dataclass(frozen=True)
class Ground:
    """A simulated world with daily files. date: the day whose night is measured; rows: that its files hold."""

    folder: Path
    date: str
    rows: int

    @classmethod
    def simulated(cls, worlds: Worlds, before: int) -> Ground:
        """A world in which the measured day has so many days before it, and is as large a day as most."""
        days = before + 10 + _AFTER
        per_day = _EVENTS_PER_DAY * worlds.events / _STANDARD_EVENTS
        lots = round(_STANDARD_LOTS * days / _STANDARD_DAYS)
        folder = worlds.folder / "nightly" / str(before)
        end = _START + timedelta(days=days)
        world = World(round(per_day * days), SEED, start=_START, end=end, lots=lots, layout="daily")
        write_simulation(folder / "world", world)
        dates = [f"{_START + timedelta(days=before + extra):%Y-%m-%d}" for extra in range(10)]
        rows = {date: sum(_lines(path) - 1 for path in daily_files(folder, date)) for date in dates}
        date = min(dates, key=lambda one: abs(rows[one] - per_day))
        return cls(folder, date, rows[date])

    def side(self, days: int, model_of: Workspace | None = None) -> _Side:
        """A folder after some days of history. model_of: has the model in service; it is trained here without one."""
        newest = day_number(self.date)
        root, world = self.folder / str(days), self.folder / "world"
        shutil.copytree(world / "data" / "processed", root / "data" / "processed")
        shutil.copytree(world / "data" / "truth", root / "data" / "truth")
        for day in range(newest - days, newest):
            link_files(daily_files(self.folder, date_text(day)), root / "data" / "raw" / date_text(day))
        first = newest - max(days, LONG)
        if days < LONG:
            self.link_journeys(root, range(first, newest - days))
        (root / "configuration.toml").write_text(_CONFIGURATION.format(first=date_text(first)))
        _make_home(root)
        workspace = Workspace.open(root)
        _make_ready(workspace, first, newest - 2, model_of)
        _run_night(root, date_text(newest - 1))
        coming = self.folder / f"{days}_coming"
        link_files(daily_files(self.folder, self.date), coming)
        return _Side(workspace, self.date, coming, self._facts(workspace))

    def link_journeys(self, root: Path, days: Iterable[int]) -> None:
        """The earlier rows of the EPCs of the measured day, in files as they came."""
        epcs = {row[column] for path in daily_files(self.folder, self.date) for column, row in _rows(path)}
        for day in days:
            for path in daily_files(self.folder, date_text(day)):
                with path.open(encoding="utf-8") as stream:
                    header = next(stream)
                    column = header.rstrip("\n").split("\t").index("epc_code")
                    kept = [line for line in stream if line.rstrip("\n").split("\t")[column] in epcs]
                target = root / "data" / "raw" / date_text(day) / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(header + "".join(kept), encoding="utf-8")

    def _facts(self, workspace: Workspace) -> dict[str, float]:
        """What a folder holds before the measured night, and what of it are events of the new day's EPCs."""
        epcs = {row[column] for path in daily_files(self.folder, self.date) for column, row in _rows(path)}
        table = workspace.merged.read(workspace.merged.days(), ("epc_code",))
        codes = table.column("epc_code").cast("string").to_pandas()
        of_day = codes[codes.isin(epcs)]
        return {
            "dates": len(workspace.merged.days()),
            "events": len(table),
            "epcs_of_the_day": len(epcs),
            "of_them_with_history": of_day.nunique(),
            "their_events": len(of_day),
        }


def daily_files(folder: Path, date: str) -> list[Path]:
    return sorted((folder / "world" / "data" / "raw" / date).glob("*.csv"))


def _rows(path: Path) -> Iterable[tuple[int, list[str]]]:
    """The place of the EPC among the columns, with each row."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        column = next(rows).index("epc_code")
        for row in rows:
            yield column, row


def _lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for _ in stream)


def link_files(files: Sequence[Path], target: Path) -> None:
    target.mkdir(parents=True)
    for path in files:
        os.link(path, target / path.name)


def _make_home(root: Path) -> None:
    """What env.sh does for Dagster."""
    home = root / ".dagster_home"
    home.mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", home / "dagster.yaml")


def _make_ready(workspace: Workspace, first: int, last: int, model_of: Workspace | None) -> None:
    """All assets of the dates from first to last, through Dagster but for the training, which is done once."""
    for start in range(first, last + 1, _DATES_AT_ONCE):
        _materialize(workspace.root, _DATA, start, min(start + _DATES_AT_ONCE - 1, last))
    if model_of is None:
        make_training_set(workspace, "challenger")
        train(workspace, "challenger", Compute(), lambda _: None)
        train_baselines(workspace, Compute(), lambda _: None)
        note_model(workspace, "baseline_models")
    else:
        shutil.copytree(model_of.models, workspace.models)
        for asset in ("lstm_model", "baseline_models"):
            workspace.made.note(asset, model_of.made.of(asset))
    # One after the other: alerts of dates whose lots have later dates without scores are made again by the next night.
    for asset in ("event_scores", "alerts"):
        for start in range(first, last + 1, _DATES_AT_ONCE):
            _materialize(workspace.root, (asset,), start, min(start + _DATES_AT_ONCE - 1, last))


def _materialize(root: Path, assets: Sequence[str], first: int, last: int) -> None:
    dates = f"{date_text(first)}...{date_text(last)}"
    asked = ("-m", "barcode_pipeline.definitions", "--select", ",".join(assets), "--partition-range", dates)
    _run(root, "dagster", "asset", "materialize", *asked)


def _run_night(root: Path, date: str) -> None:
    _run(root, "barcode_pipeline.cli", "night", date)


def _run(root: Path, module: str, *arguments: str) -> None:
    """A command in a process of its own; `UserError` where it fails."""
    ours = ("BARCODE_PIPELINE_", "DAGSTER_", "MAKE", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {
        "BARCODE_PIPELINE_ROOT": str(root),
        "DAGSTER_HOME": str(root / ".dagster_home"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "PYTHONPATH": str(REPOSITORY),
    }
    log = root / "run.log"
    with log.open("ab") as output:
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        raise UserError(f"`{module} {' '.join(arguments)}` ended with {ended.returncode}:\n" + "\n".join(end))


# ---------------------------------------------------------------------- nights


@dataclass(frozen=True)
class _Night:
    """seconds: of the process. cpu: seconds of all its cores. of_assets: seconds of each step of the run."""

    seconds: float
    cpu: float
    of_assets: dict[str, float]


def _measured(side: _Side) -> _Night:
    """The night on a copy of a folder, which is removed."""
    root = _copied(side)
    started, spent = time.perf_counter(), _seconds_of_children()
    _run_night(root, side.date)
    night = _Night(time.perf_counter() - started, _seconds_of_children() - spent, _seconds_of_steps(root))
    shutil.rmtree(root)
    return night


def _copied(side: _Side) -> Path:
    """A copy of a folder in which the new day's files lie."""
    root = side.workspace.root.with_name("night")

    def copy(source: str, target: str) -> None:
        never_changed = side.workspace.raw in Path(source).parents or Path(source).suffix in _NEVER_CHANGED
        (os.link if never_changed else shutil.copy2)(source, target)

    shutil.copytree(side.workspace.root, root, symlinks=True, copy_function=copy)
    link_files(sorted(side.coming.iterdir()), root / "data" / "raw" / side.date)
    return root


def _seconds_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _seconds_of_steps(root: Path) -> dict[str, float]:
    """Seconds of each step of the newest run, its checks with the asset, by Dagster's own events."""
    with dg.DagsterInstance.from_config(str(root / ".dagster_home")) as instance:
        run = instance.get_runs(limit=1)[0]
        found: dict[str, float] = defaultdict(float)
        for step in instance.get_run_step_stats(run.run_id):
            if step.start_time and step.end_time:
                found[step.step_key] += step.end_time - step.start_time
    return dict(found)


def _of_assets(nights: Sequence[_Night]) -> dict[str, float]:
    """Median seconds of each step, and of all that lies outside of steps: the start, Dagster's own work, the end."""
    names = [*nights[0].of_assets]
    found = {name: statistics.median(night.of_assets.get(name, 0.0) for night in nights) for name in names}
    outside = statistics.median(night.seconds - sum(night.of_assets.values()) for night in nights)
    return {name: rounded(seconds) for name, seconds in {**found, "outside of steps": outside}.items()}


def _shown(night: _Night) -> float:
    return rounded(night.seconds)


# ---------------------------------------------------------------------- disk


def _growth(side: _Side) -> dict[str, dict[str, float]]:
    """MB that a night adds by folder, its raw files included; and once all retention has passed for it."""
    root = _copied(side)
    _pass_retention(root)
    shutil.rmtree(root / "data" / "raw" / side.date)
    before = _megabytes(root)
    link_files(sorted(side.coming.iterdir()), root / "data" / "raw" / side.date)
    _run_night(root, side.date)
    after = _megabytes(root)
    _pass_retention(root)
    kept = _megabytes(root)
    shutil.rmtree(root)
    return {"night": _more(before, after), "kept": _more(before, kept)}


def _pass_retention(root: Path) -> None:
    """What is left of the runs once they are older than the configuration keeps them."""
    code = (
        "import datetime, dagster as dg; from barcode_pipeline.orchestration.maintenance import tidy_history\n"
        "with dg.DagsterInstance.get() as instance: tidy_history(instance, datetime.datetime.now(datetime.UTC))"
    )
    environment = {**os.environ, "DAGSTER_HOME": str(root / ".dagster_home"), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=environment, check=True)


def _megabytes(root: Path) -> dict[str, float]:
    """MB of each folder and its parts; of an SQLite file the pages in use: the others are used again."""
    found: dict[str, float] = defaultdict(float)
    for name in _KEPT_FOLDERS:
        for path in (root / name).rglob("*"):
            if path.is_file() and not path.is_symlink():
                found[_part(path.relative_to(root))] += _size(path) / 1e6
    return dict(found)


def _part(path: Path) -> str:
    """What a file counts to. The reports of single runs are one part."""
    first, second = path.parts[:2]
    if first == "reports" and second != "alerts":
        return first
    return f"{first}/{second}" if len(path.parts) > 2 else first


def _size(path: Path) -> int:
    if path.suffix not in (".db", ".sqlite"):
        return path.stat().st_size
    with closing(sqlite3.connect(path)) as connection:
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return (pages - free) * size


def _more(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    grown = {name: after[name] - before.get(name, 0.0) for name in sorted(after)}
    return {name: round(size, 3) for name, size in grown.items() if abs(size) > 0.0005}
