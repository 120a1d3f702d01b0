"""Going through the cells: what is there is skipped, what is finished is kept at once, what nobody needs is removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from barcode_pipeline.configuration import Configuration
from barcode_pipeline.evaluation.metrics import Row
from barcode_pipeline.evaluation.study import worlds
from barcode_pipeline.evaluation.study.cells import Cell, cell_fingerprint
from barcode_pipeline.evaluation.study.fitting import Fitter
from barcode_pipeline.evaluation.study.judging import judge
from barcode_pipeline.evaluation.study.results import Results, ResultsFile
from barcode_pipeline.evaluation.study.worlds import OpenWorld, WorldKey, world_fingerprint
from barcode_pipeline.models.compute import Compute

Say = Callable[[str], None]


@dataclass(frozen=True)
class Answer:
    """What a cell came to. seconds: of learning. facts: of how it was learnt, and of the world it was judged in."""

    rows: list[Row]
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    world: dict[str, Any] = field(default_factory=dict)


Answerer = Callable[[Cell], Answer]


def run(
    cells: Sequence[Cell],
    fingerprints: Callable[[Cell], str],
    answer: Answerer,
    file: ResultsFile,
    finished: Callable[[WorldKey], None] = lambda world: None,
    again: bool = False,
    say: Say = print,
) -> Results:
    """Answer the cells that are not in the file, in their order, and write each at once.

    fingerprints: of a cell as it would be answered today. finished: told of a world that no cell ahead needs. again:
    cells that are there are answered as well.
    """
    results = file.read()
    wanted = [(cell, fingerprints(cell)) for cell in cells]
    ahead = [(cell, mark) for cell, mark in wanted if again or not results.finished(cell.key, mark)]
    say(f"{len(cells)} cells, {len(cells) - len(ahead)} of them there already")
    for place, (cell, mark) in enumerate(ahead):
        started = time.perf_counter()
        found = answer(cell)
        seconds = time.perf_counter() - started
        about = {
            "fingerprint": mark,
            "question": cell.question,
            "arm": cell.arm.name,
            "world": cell.judged_in.name,
            "seed": cell.seed,
            "events": cell.judged_in.events,
            "seconds": round(seconds, 1),
            "facts": found.facts,
        }
        results = file.change(lambda now: _put(now, cell, about, found))  # noqa: B023
        left = [later for later, _ in ahead[place + 1 :]]
        say(f"[{place + 1}/{len(ahead)}] {cell.key}: {seconds:.0f} s; {_words(time_left(left, results))} left")
        for world in cell.worlds - {key for later in left for key in later.worlds}:
            finished(world)
    return results


def _put(results: Results, cell: Cell, about: dict[str, Any], found: Answer) -> None:
    head = {"question": cell.question, "arm": cell.arm.name, "world": cell.judged_in.name, "seed": cell.seed}
    rows = [{**head, **row, "seconds": round(found.seconds, 1)} for row in found.rows]
    results.with_cell(cell.key, about, rows)
    if found.world:
        name = f"{cell.judged_in.name}-{cell.judged_in.events}-{cell.seed}"
        results.data.setdefault("worlds", {})[name] = found.world


def time_left(cells: Sequence[Cell], results: Results) -> float | None:
    """Seconds that cells will take by what like ones took: of the same arm, else of the same question, else any."""
    by_arm: dict[tuple[str, str], list[float]] = {}
    by_question: dict[str, list[float]] = {}
    for about in results.cells.values():
        by_arm.setdefault((about["question"], about["arm"]), []).append(about["seconds"])
        by_question.setdefault(about["question"], []).append(about["seconds"])
    everything = [seconds for some in by_arm.values() for seconds in some]
    if not everything:
        return None
    return sum(
        median(by_arm.get((cell.question, cell.arm.name)) or by_question.get(cell.question) or everything)
        for cell in cells
    )


def _words(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


class Session:
    """Answers cells for real: makes worlds in a folder, fits what is not fitted, judges. Worlds and models stay there
    until no cell needs them."""

    def __init__(self, folder: Path, configuration: Configuration, compute: Compute, say: Say = print) -> None:
        self.folder, self.configuration, self.compute, self.say = folder, configuration, compute, say
        self._open: dict[WorldKey, OpenWorld] = {}
        self._fitters: dict[WorldKey, Fitter] = {}
        self._marks: dict[WorldKey, str] = {}

    def fingerprint(self, cell: Cell) -> str:
        """Of the cell as it would be answered today."""
        return cell_fingerprint(cell, self._mark(cell.taught_in), self._mark(cell.judged_in))

    def answer(self, cell: Cell) -> Answer:
        """Rows of one cell."""
        fitted = [self._fitter(cell.taught_in).fitted(fit) for fit in cell.arm.fits]
        world = self._world(cell.judged_in)
        facts: dict[str, Any] = {}
        for one in fitted:
            facts |= one.facts
        return Answer(
            judge(cell.arm, fitted, world, cell.detail), sum(one.seconds for one in fitted), facts, world.facts()
        )

    def close(self, key: WorldKey) -> None:
        """Remove a world that nobody needs any more; the models that learnt in it stay."""
        self._open.pop(key, None)
        self._fitters.pop(key, None)
        worlds.remove(self.folder / "worlds", key)

    def _mark(self, key: WorldKey) -> str:
        if key not in self._marks:
            self._marks[key] = world_fingerprint(key, self.configuration)
        return self._marks[key]

    def _world(self, key: WorldKey) -> OpenWorld:
        if key not in self._open:
            workspace = worlds.prepare(self.folder / "worlds", key, self.configuration, self.say)
            self._open[key] = OpenWorld(workspace, key.seed)
        return self._open[key]

    def _fitter(self, key: WorldKey) -> Fitter:
        if key not in self._fitters:
            self._fitters[key] = Fitter(
                self._world(key), self._mark(key), self.folder / "models", self.compute, self.say
            )
        return self._fitters[key]
