"""`barcode-pipeline`: what can be done without Dagster, and the data it needs. Thin: parse, call, print.

Everything is imported where it is used, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from barcode_pipeline.errors import UserError

if TYPE_CHECKING:
    from barcode_pipeline.workspace import Workspace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 where it ended well, 2 where the user has to put something right."""
    chosen = _parser().parse_args(arguments)
    try:
        chosen.command(chosen)
    except UserError as error:
        print(f"barcode-pipeline: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="barcode-pipeline", description="Finds counterfeit, cloned and diverted goods in scan events."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        return added

    simulate = add("simulate", _simulate, "Simulate scan events with known anomalies; earlier simulated ones go.")
    simulate.add_argument("--events", type=_positive, required=True, metavar="N", help="how many events")
    simulate.add_argument("--seed", type=_seed, default=1, metavar="S", help="which world (default: 1)")
    sample = add("sample-data", _sample_data, "Simulate where there are no raw files, or other data is asked for.")
    sample.add_argument("--events", type=_positive, metavar="N", help="how many events")
    sample.add_argument("--seed", type=_seed, metavar="S", help="which world")
    intake = add("intake", _intake, "Take in new and changed raw files, and show what became of every file.")
    intake.add_argument(
        "--print-range", action="store_true", help="print only FIRST...LAST, the dates with rows, for --partition-range"
    )
    add("train", _train, "Train the LSTM and put it in service, then train its peers.")
    add("evaluate", _evaluate, "Judge the model in service and its peers, and write the report.")
    add("status", _status, "Which dates have which files, and what became of the raw rows.")
    add("show-metrics", _show_metrics, "The figures of the newest report, and where it lies.")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"has to be at least 1, not {value}")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"has to be at least 0, not {value}")
    return value


def _open() -> Workspace:
    from barcode_pipeline.workspace import Workspace

    return Workspace.open()


# ---------------------------------------------------------------------- data


def _simulate(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.simulator import World, write_simulation

    place = _open()
    written = write_simulation(place.root, World(events=chosen.events, seed=chosen.seed))
    print(f"Simulated {written.events:,} events (seed {written.seed}): {len(written.files)} files below {place.root}.")


def _sample_data(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.simulator import ensure_sample_data

    place = _open()
    print(ensure_sample_data(place.root, chosen.events, chosen.seed) or f"Raw files are in place in {place.raw}.")


def _intake(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.events.times import date_text
    from barcode_pipeline.taking_in import dates_with_rows, take_in

    place = _open()
    taken = take_in(place)
    days = dates_with_rows(place)
    if chosen.print_range:
        if not days:
            raise UserError(f"No row of {place.raw} lies on a date from {_first_date(place)} to yesterday.")
        print(f"{date_text(days[0])}...{date_text(days[-1])}")
        return
    print(f"{len(taken)} files new or changed.")
    _print_ledger(place)


def _status(chosen: argparse.Namespace) -> None:
    place = _open()
    _print_ledger(place)
    print()
    for name, store in (
        ("merged_events", place.merged),
        ("enriched_events", place.enriched),
        ("rule_labels", place.labels),
        ("epc_sequences", place.sequences),
        ("event_scores", place.scores),
    ):
        days = store.days()
        rows = [store.rows(day) or 0 for day in days]
        print(f"{name:<16} {_span(days):<38} {sum(rows):>10,} rows, {sum(count > 0 for count in rows)} dates with rows")
    from barcode_pipeline.taking_in import dates_with_rows

    missing = [day for day in dates_with_rows(place) if place.scores.rows(day) is None]
    if missing:
        print(f"{len(missing)} dates with rows have no scores: {_span(missing)}.")


def _print_ledger(place: Workspace) -> None:
    """One line per raw file: read = merged + duplicates + quarantined + held."""
    from barcode_pipeline.taking_in import ledger

    files = ledger(place)
    if files.empty:
        print(f"No raw file was taken in from {place.raw}.")
        return
    print(f"{'rows read':>12} {'quarantined':>12} {'duplicates':>12} {'held':>12}  file")
    for row in files.itertuples(index=False):
        problem = f"  ({row.problem})" if isinstance(row.problem, str) else ""
        print(
            f"{row.rows_read:>12,} {row.rows_quarantined:>12,} {row.rows_duplicate:>12,} {row.rows_held:>12,}"
            f"  {row.path}{problem}"
        )
    total = files.sum(numeric_only=True)
    print(
        f"{int(total.rows_read):>12,} {int(total.rows_quarantined):>12,} {int(total.rows_duplicate):>12,} "
        f"{int(total.rows_held):>12,}  all {len(files)} files"
    )


def _span(days: Sequence[int]) -> str:
    from barcode_pipeline.events.times import date_text

    return f"{date_text(days[0])} to {date_text(days[-1])}, {len(days)} dates" if days else "nothing"


def _first_date(place: Workspace) -> datetime.date:
    return place.configuration.time.first_date


# ---------------------------------------------------------------------- models


def _train(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.chain import make_split
    from barcode_pipeline.learning import train_baselines, train_model
    from barcode_pipeline.models.compute import Compute

    place = _open()
    training = place.configuration.training
    compute = Compute.choose(training.device, training.precision)
    if place.sequences.days():
        make_split(place)
    train_model(place, compute)
    train_baselines(place, compute)


def _evaluate(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.evaluation.tables import markdown_table
    from barcode_pipeline.reporting import make_report

    place = _open()
    now = datetime.datetime.now(ZoneInfo(place.configuration.time.zone))
    report = make_report(place, f"{now:%Y%m%d-%H%M%S}", f"{now:%Y-%m-%d %H:%M:%S}")
    print(markdown_table(report.rows))


def _show_metrics(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.evaluation.tables import markdown_table

    latest = _open().reports / "latest"
    try:
        rows = json.loads((latest / "metrics.json").read_text(encoding="utf-8"))["rows"]
    except FileNotFoundError:
        raise UserError(f"There is no report in {latest.parent}: run `make run`.") from None
    except (ValueError, KeyError) as error:
        raise UserError(f"{latest / 'metrics.json'} cannot be read: run `barcode-pipeline evaluate`.") from error
    print(markdown_table(rows))
    print(f"\nreport: {(latest / 'report.html').resolve()}")


if __name__ == "__main__":
    sys.exit(main())
