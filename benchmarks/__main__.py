"""`python -m benchmarks [NAME …]`: measure all figures, or those named, print them and note them in results.json."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from barcode_pipeline.errors import UserError
from benchmarks.data_plane import data_plane_ratio, growth_ratio
from benchmarks.history_stores import history_stores
from benchmarks.nightly import nightly, nightly_730
from benchmarks.quiet import watch_others
from benchmarks.results import RESULTS, Figure, table, write_results
from benchmarks.rules import rules_events_per_second
from benchmarks.serving import serving
from benchmarks.soak import SECONDS, soak
from benchmarks.training import train_speedup
from benchmarks.warm_chain import warm_chain
from benchmarks.whole_run import whole_run
from benchmarks.worlds import Worlds

Measure = Callable[[Worlds], dict[str, Figure]]

FIGURES: dict[str, Measure] = {
    "data_plane_ratio": data_plane_ratio,
    "growth_ratio": growth_ratio,
    "rules_events_per_second": rules_events_per_second,
    "train_speedup": train_speedup,
    "train_speedup_every_pass_computed": train_speedup,
    "train_epoch_seconds": train_speedup,
    "peak_memory_gb": whole_run,
    "run_seconds": whole_run,
    "api_p50_ms_50_events": serving,
    "api_p99_ms_50_events": serving,
    "api_events_per_second": serving,
    "api_history_latency_ratio": serving,
    "api_history_ms_50_events": history_stores,
    "nightly_ratio": nightly,
    "nightly_seconds": nightly,
    "disk_mb_per_night": nightly,
    "nightly_seconds_730": nightly_730,
    "warm_chain_pr_auc_difference": warm_chain,
    "soak": soak,
    "soak_mb_per_minute": soak,
}
"""Which function measures a figure; one function may measure several at once."""

BY_NAME_ALONE = {"nightly_seconds_730", "warm_chain_pr_auc_difference", "soak", "soak_mb_per_minute"}
"""Figures that take too long to be measured with all others."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 0 where it ended well, 2 where the user has to put something right, 130 where it was stopped."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure the figures of this project.")
    others = ", ".join(name for name in FIGURES if name in BY_NAME_ALONE)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(FIGURES)} (default: all but {others})"
    )
    parser.add_argument(
        "--events", type=int, metavar="N", help="try it on another number of events: nothing is noted in results.json"
    )
    parser.add_argument(
        "--soak-seconds", type=float, metavar="S", help=f"try the soak for S seconds in place of {SECONDS}; likewise"
    )
    chosen = parser.parse_args(arguments)
    try:
        measures = chosen_measures(chosen.names)
        if chosen.soak_seconds:
            measures = [partial(soak, seconds=chosen.soak_seconds) if one is soak else one for one in measures]
        results = RESULTS if chosen.events is None and chosen.soak_seconds is None else None
        with tempfile.TemporaryDirectory(prefix="barcode_benchmarks_") as folder:
            worlds = Worlds(Path(folder), chosen.events) if chosen.events else Worlds(Path(folder))
            figures = measure_all(measures, worlds, results)
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"\n{table(figures)}")
    if results:
        print(f"\n{results}")
    return 0


def chosen_measures(names: Sequence[str]) -> list[Measure]:
    """What has to be run for the figures named, by spaces or commas; without a name all but those measured by name
    alone. `UserError` for others."""
    named = [name for word in names for name in word.replace(",", " ").split()]
    wanted = named or [name for name in FIGURES if name not in BY_NAME_ALONE]
    unknown = [name for name in wanted if name not in FIGURES]
    if unknown:
        raise UserError(f"There is no figure {', '.join(unknown)}: use some of {', '.join(FIGURES)}.")
    return list(dict.fromkeys(FIGURES[name] for name in wanted))


def measure_all(measures: Sequence[Measure], worlds: Worlds, results: Path | None) -> dict[str, Figure]:
    """Run one after the other; each one's figures are noted at once, so that a later failure does not lose them."""
    figures: dict[str, Figure] = {}
    for measure in measures:
        started, others = time.perf_counter(), watch_others()
        found = measure(worlds)
        busy, seconds = others(), time.perf_counter() - started
        found = {name: replace(figure, others=busy) for name, figure in found.items()}
        print(f"{', '.join(found)}: measured in {seconds:.0f} s", flush=True)
        figures |= found
        if results:
            write_results(found, results)
    return figures


if __name__ == "__main__":
    # Asked to end, it takes its runs and its temporary folder along, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
