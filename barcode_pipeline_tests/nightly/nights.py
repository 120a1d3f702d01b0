"""What comes in night after night, with all that goes wrong on the way, and a night of data without Dagster."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from barcode_pipeline import chain
from barcode_pipeline.events.times import date_text
from barcode_pipeline.nightly import dates_to_make
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import simulated_lines, write_rows

Rows = list[list[str]]

MAKERS = {
    "merged_events": chain.make_merged,
    "enriched_events": chain.make_enriched,
    "rule_labels": chain.make_labels,
    "epc_sequences": chain.make_sequences,
}


@dataclass(frozen=True)
class Delivery:
    """A file that arrives. rows: None for `content`, which is no table."""

    name: str
    rows: Rows | None
    content: bytes = b""


@dataclass
class Month:
    """files: what arrives before each night. days: of which day each is the night. missed: nights that never run."""

    columns: list[str]
    days: list[str]
    files: list[list[Delivery]]
    missed: set[int] = field(default_factory=set)

    def deliver(self, raw: Path, night: int) -> None:
        for file in self.files[night]:
            path = raw / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if file.rows is None:
                path.write_bytes(file.content)
            else:
                write_rows(path, self.columns, file.rows)


def eventful_month(events: int, nights: int, seed: int, event_ids: bool) -> Month:
    """The last days of a world, a night each; all before them comes in one file before the first night.

    Of every day some rows come one to twenty days late, some files come twice and under another name, some are wrong
    at first and corrected later, rows stand in random order; one file is garbage and two nights are missed.
    """
    columns, rows = simulated_lines(events, event_ids)
    chance = random.Random(seed)
    time, place = columns.index("event_time"), columns.index("location_id")
    by_day: dict[str, Rows] = {}
    for row in rows:
        by_day.setdefault(row[time][:10], []).append(row)
    days = sorted(by_day)[-nights:]
    files: list[list[Delivery]] = [[] for _ in days]
    late: list[Rows] = [[] for _ in days]
    earlier = [row for day in sorted(by_day)[:-nights] for row in by_day[day]]
    for row in chance.sample(earlier, len(earlier) // 50):
        earlier.remove(row)
        late[chance.randrange(nights)].append(row)
    files[0].append(Delivery("before.csv", chance.sample(earlier, len(earlier))))
    for night, day in enumerate(days):
        on_time = []
        for row in chance.sample(by_day[day], len(by_day[day])):
            behind = chance.randint(1, 20) if chance.random() < 0.1 else 0
            (late[night + behind] if 0 < behind < nights - night else on_time).append(row)
        name = f"{day}/all.csv"
        if night % 3 == 1:
            wrong = [list(row) for row in on_time]
            for row in chance.sample(wrong, max(1, len(wrong) // 8)):
                row[place] = chance.choice(("1", "999", ""))
            files[night].append(Delivery(name, wrong[1:]))
            files[min(night + 2, nights - 1)].append(Delivery(name, on_time))
        else:
            files[night].append(Delivery(name, on_time))
        if night % 4 == 2:
            files[min(night + 1, nights - 1)].append(Delivery(f"again/{day}.csv", on_time[::-1]))
        if late[night]:
            files[night].append(Delivery(f"{day}/late.csv", late[night]))
    files[nights // 2].append(Delivery("garbage.csv", None, bytes(chance.randrange(256) for _ in range(3_000))))
    missed = {nights // 3, nights // 3 + 1}
    return Month(columns, days, [chance.sample(some, len(some)) for some in files], missed)


def make_night(workspace: Workspace, day: int) -> dict[str, list[int]]:
    """Take in what is there and make what is out of date, asset after asset; returns the days that each has made."""
    workspace.intake.take_in()
    made = {}
    for asset, make in MAKERS.items():
        made[asset] = dates_to_make(workspace, asset, [day])
        make(workspace, made[asset])
    return made


def told(made: dict[str, list[int]]) -> dict[str, list[str]]:
    return {asset: [date_text(day) for day in days] for asset, days in made.items()}
