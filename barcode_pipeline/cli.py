"""`barcode-pipeline`: what can be done without Dagster, and the data it needs. Thin: parse, call, print.

Everything is imported where it is used, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
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
    add("train", _train, "Train the LSTM from nothing, put it in service unless it is worse, then train its peers.")
    models = add("models", _models, "The models, their figures, and which is in service; promote one, or roll back.")
    models.add_argument("action", choices=["list", "promote", "rollback"], nargs="?", default="list")
    models.add_argument("file", nargs="?", metavar="FILE", help="of the model to promote")
    add("evaluate", _evaluate, "Judge the model in service and its peers, and write the report.")
    review = add("review", _review, "The events most worth an investigator's verdict, as a list or a file to fill in.")
    review.add_argument("--count", type=_positive, default=50, metavar="N", help="how many questions (default: 50)")
    review.add_argument("--csv", type=Path, metavar="FILE", help="write a file to fill in and put into data/feedback")
    review.add_argument("--seed", type=_seed, default=0, metavar="S", help="decides between equal events (default: 0)")
    what_if = add("what-if", _what_if, "Alerts that a change would bring and take away on past dates. Changes nothing.")
    what_if.add_argument("--threshold", action="append", default=[], metavar="LABEL=SCORE", help="of a rule, 0 to 100")
    what_if.add_argument("--rule", action="append", default=[], metavar="KEY=VALUE", help="another key of [rules]")
    what_if.add_argument("--model", type=Path, metavar="FILE", help="another model instead of the one in service")
    what_if.add_argument(
        "--alert-threshold", action="append", default=[], metavar="LABEL=P", help="of the model, 0 to 1"
    )
    what_if.add_argument("--from", dest="first", type=_date, metavar="DATE", help="first date (default: the earliest)")
    what_if.add_argument("--to", dest="last", type=_date, metavar="DATE", help="last date (default: the newest)")
    what_if.add_argument("--json", action="store_true", help="print everything as JSON")
    night = add(
        "night", _night, "Run the night of a date: new rows, what they put out of date, a new model, its scores."
    )
    night.add_argument("date", metavar="DATE", help="the night's date, such as 2025-12-16")
    add("maintain", _maintain, "Remove what has been kept as long as [retention] in configuration.toml says.")
    study = add("study", _study, "Measure every detector in simulated worlds, over seeds; what is there is kept.")
    study.add_argument("--seeds", nargs="+", default=(), metavar="S", help="which worlds (default: 1001 to 1005)")
    study.add_argument("--worlds", nargs="+", default=(), metavar="W", help="judge in these worlds alone")
    study.add_argument(
        "--cells", nargs="+", default=(), metavar="C", help="questions, or patterns of question/arm/world/seed"
    )
    study.add_argument("--data", type=Path, metavar="FOLDER", help="judge files of your own: raw, processed, truth")
    study.add_argument("--quick", action="store_true", help="a tiny study in minutes, into reports/study_quick")
    study.add_argument("--events", type=_positive, metavar="N", help="events of every world")
    study.add_argument("--again", action="store_true", help="answer cells that are there once more")
    study.add_argument("--write-up", action="store_true", help="only the page and its pictures, from what is there")
    reference = add("reference", _reference, "Versions of the transition table: which there are, a new one, its use.")
    reference.add_argument(
        "action",
        choices=["list", "refresh", "show", "use"],
        nargs="?",
        default="list",
        help="refresh: make one from clean history; show: what one would change; use: take one into use",
    )
    reference.add_argument("version", type=_positive, nargs="?", metavar="VERSION", help="its number, to show or use")
    reference.add_argument("--from", dest="first", type=_date, metavar="DATE", help="refresh: from this date on")
    reference.add_argument("--to", dest="last", type=_date, metavar="DATE", help="refresh: up to this date")
    reference.add_argument("--fewest", type=float, metavar="N", help="refresh: shipments a route needs (default: 30)")
    reference.add_argument("--csv", type=Path, metavar="FILE", help="refresh, show: write what would change, all of it")
    add("status", _status, "Which dates have which files, and what became of the raw rows.")
    add("show-metrics", _show_metrics, "The figures of the newest report, and where it lies.")
    serve = add("serve", _serve, "Serve the live API until told to stop.")
    serve.add_argument("--host", metavar="ADDRESS", help="instead of serving.host")
    serve.add_argument("--port", type=int, metavar="N", help="instead of serving.port")
    history = add("history", _history, "The live API's history.")
    history.add_argument("action", choices=["fill"], help="fill: add what it lacks of the nightly data")
    history.add_argument("--since", type=_date, metavar="DATE", help="only lots seen on this date or later")
    score = add("score", _score, "Judge a file offline, with the answer that the live API would give.")
    score.add_argument("file", type=Path, metavar="FILE", help="scan events in the form of a raw file")
    score.add_argument("--endpoint", choices=["rule", "lstm", "svm"], default="lstm", help="default: lstm")
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


def _date(text: str) -> int:
    from barcode_pipeline.events.times import day_number

    try:
        return day_number(datetime.date.fromisoformat(text).isoformat())
    except ValueError:
        raise argparse.ArgumentTypeError(f"has to be a date such as 2025-07-01, not {text!r}") from None


def _open() -> Workspace:
    from barcode_pipeline.workspace import Workspace

    return Workspace.open()


@contextmanager
def _open_alone(command: str) -> Iterator[Workspace]:
    """The workspace while nobody else works on its data; says whom it waits for."""
    from barcode_pipeline.events.locks import alone

    place = _open()
    with alone(place.lock, f"barcode-pipeline {command}", lambda text: print(text, file=sys.stderr)):
        yield place


# ---------------------------------------------------------------------- data


def _simulate(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.simulator import World, write_simulation

    with _open_alone("simulate") as place:
        written = write_simulation(place.root, World(events=chosen.events, seed=chosen.seed))
    print(f"Simulated {written.events:,} events (seed {written.seed}): {len(written.files)} files below {place.root}.")


def _sample_data(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.simulator import ensure_sample_data

    with _open_alone("sample-data") as place:
        print(ensure_sample_data(place.root, chosen.events, chosen.seed) or f"Raw files are in place in {place.raw}.")


def _intake(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.events.times import date_text
    from barcode_pipeline.taking_in import dates_with_rows, take_in

    with _open_alone("intake") as place:
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
    from barcode_pipeline.nightly import stale_in_words, stale_once_merged

    waiting = len(place.intake.waiting())
    if waiting:
        print(f"\n{waiting} raw files are new or have changed: `barcode-pipeline intake` takes them in.")
    stale = stale_in_words(stale_once_merged(place))
    print("\n" + ("\n".join(stale) or "No date is out of date."))


def _night(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.orchestration.night_run import run_night

    night = run_night(_open(), chosen.date)
    if not night.success:
        said = "; ".join(night.failures).rstrip(".") or "see the page"
        raise UserError(
            f"The night of {chosen.date} failed (run {night.run_id}): {said}. What it left undone is made by the next."
        )
    print(f"The night of {chosen.date} is done (run {night.run_id}).")


def _maintain(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.orchestration.maintenance import maintain_here

    with _open_alone("maintain") as place:
        removed = maintain_here(place)
    print("Removed: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in removed.items()) + ".")


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


def _reference(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.reference_command import list_versions, refresh, show, use

    if (chosen.version is not None) != (chosen.action in ("show", "use")):
        raise UserError("`reference show VERSION` and `reference use VERSION` take a version, and nothing else does.")
    if chosen.action == "list":
        print(list_versions(_open()))
    elif chosen.action == "show":
        print(show(_open(), chosen.version, chosen.csv))
    else:
        with _open_alone(f"reference {chosen.action}") as place:
            if chosen.action == "refresh":
                print(refresh(place, chosen.fewest, chosen.first, chosen.last, chosen.csv))
            else:
                print(use(place, chosen.version))


# ---------------------------------------------------------------------- models


def _train(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.chain import make_split
    from barcode_pipeline.learning import train_baselines, train_model
    from barcode_pipeline.models.compute import Compute
    from barcode_pipeline.nightly import note_model, note_training_set

    with _open_alone("train") as place:
        training = place.configuration.training
        compute = Compute.choose(training.device, training.precision)
        if place.sequences.days():
            make_split(place)
            note_training_set(place)
        train_model(place, compute)
        note_model(place, "lstm_model")
        train_baselines(place, compute)
        note_model(place, "baseline_models")


def _models(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.admission import models_table, promote, roll_back
    from barcode_pipeline.models.registry import ModelRegistry

    if (chosen.file is not None) != (chosen.action == "promote"):
        raise UserError("`models promote FILE` takes a file, and nothing else does.")
    if chosen.action == "list":
        print(models_table(ModelRegistry(_open().models)))
        return
    with _open_alone("models") as place:
        entry = promote(place, chosen.file) if chosen.action == "promote" else roll_back(place)
    print(f"In service: {entry.model_file}, trained on {entry.trained_from} to {entry.trained_to}.")


def _evaluate(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.evaluation.tables import markdown_table
    from barcode_pipeline.reporting import make_report

    with _open_alone("evaluate") as place:
        now = datetime.datetime.now(ZoneInfo(place.configuration.time.zone))
        report = make_report(place, f"{now:%Y%m%d-%H%M%S}", f"{now:%Y-%m-%d %H:%M:%S}")
    print(markdown_table(report.rows))


def _review(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.reviewing import make_review, review_table, write_review

    rows = make_review(_open(), chosen.count, chosen.seed)
    if chosen.csv is None:
        print(review_table(rows))
        return
    write_review(chosen.csv, rows)
    print(f"{len(rows)} questions in {chosen.csv}: fill in verdict, who and when, and put it into data/feedback.")


def _what_if(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.replaying import Change, by_label, by_name, replay, replay_json, replay_text

    change = Change(
        by_label(chosen.threshold, "--threshold", 100),
        by_name(chosen.rule, "--rule"),
        chosen.model,
        by_label(chosen.alert_threshold, "--alert-threshold", 1),
    )
    found = replay(_open(), change, chosen.first, chosen.last)
    print(json.dumps(replay_json(found), indent=1, ensure_ascii=False) if chosen.json else replay_text(found))


def _study(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.evaluation.study.study import StudyOptions, make_study, numbers

    options = StudyOptions(
        numbers(chosen.seeds),
        tuple(chosen.worlds),
        tuple(chosen.cells),
        chosen.data,
        chosen.quick,
        chosen.events,
        chosen.again,
        chosen.write_up,
    )
    make_study(_open(), options, lambda line: print(line, flush=True))


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


# ---------------------------------------------------------------------- live


def _serve(chosen: argparse.Namespace) -> None:
    opening = _opening()
    opening.serve(_open(), chosen.host, chosen.port)


def _history(chosen: argparse.Namespace) -> None:
    from barcode_pipeline.serving.nightly import fill

    place = _open()
    days = None if chosen.since is None else [day for day in place.merged.days() if day >= chosen.since]
    filled = fill(place, days)
    print(f"{filled.epcs:,} EPCs, {filled.scans:,} scans, {filled.new:,} of them new to the history.")


def _score(chosen: argparse.Namespace) -> None:
    print(json.dumps(_opening().score(_open(), chosen.file, chosen.endpoint), indent=1, ensure_ascii=False))


def _opening() -> ModuleType:
    """The live side; it needs what the extra `api` installs."""
    try:
        from barcode_pipeline.serving import opening
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("barcode_pipeline"):
            raise
        raise UserError(f"The live API needs {error.name}: pip install 'barcode-pipeline[api]'.") from error
    return opening


if __name__ == "__main__":
    sys.exit(main())
