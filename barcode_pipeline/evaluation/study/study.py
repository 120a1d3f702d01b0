"""`make study` and `barcode-pipeline study`: which cells, in which folder, into which file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.study.arms import plain_values
from barcode_pipeline.evaluation.study.cells import Cell, chosen
from barcode_pipeline.evaluation.study.figures import headline
from barcode_pipeline.evaluation.study.plan import SEEDS, in_service, own_plan, plan, quick_plan
from barcode_pipeline.evaluation.study.results import Results, ResultsFile
from barcode_pipeline.evaluation.study.running import Session, run
from barcode_pipeline.evaluation.study.worlds import OWN, WorldKey, prepare
from barcode_pipeline.evaluation.study.write_up import write_study_page
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.sequences.training_set import read_training_set
from barcode_pipeline.workspace import Workspace

Say = Callable[[str], None]

QUICK_EVENTS = 20_000


@dataclass(frozen=True)
class StudyOptions:
    """seeds: of worlds and training. worlds: judged in these alone, all by default. cells: patterns (`cells.chosen`).
    data: a folder of the user's own. quick: a tiny study, kept apart. events: of every world, instead of the plan's.
    again: cells that are there are answered once more. only_write_up: the page from what is there."""

    seeds: tuple[int, ...] = ()
    worlds: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    data: Path | None = None
    quick: bool = False
    events: int | None = None
    again: bool = False
    only_write_up: bool = False


@dataclass(frozen=True)
class Places:
    """work: worlds and models, ignored by git. results: the JSON file. page: the write-up beside it."""

    work: Path
    results: Path
    page: Path


def places(workspace: Workspace, options: StudyOptions) -> Places:
    """Where a study works and writes: `docs/` for the real one, `reports/` for a quick one or a user's own data."""
    work = workspace.root / "data" / "study"
    if options.data is not None:
        folder = workspace.reports / f"study_{options.data.resolve().name}"
    elif options.quick:
        work, folder = work / "quick", workspace.reports / "study_quick"
    else:
        folder = workspace.root / "docs"
    return Places(work, folder / "study.json", folder / "study.md")


def make_study(workspace: Workspace, options: StudyOptions, say: Say = print) -> Results:
    """Answer the cells that are not answered yet, and write the page."""
    place = places(workspace, options)
    file = ResultsFile(place.results, place.work / ".study.lock", headline)
    if options.only_write_up:
        results = file.change(lambda now: None)
    else:
        training = workspace.configuration.training
        compute = Compute.choose(training.device, training.precision)
        session = Session(place.work, workspace.configuration, compute, say)
        cells = planned(workspace, options, say)
        # How often it is planted upon hangs on the world that it is taught in.
        of_service = (cell.arm.fits[0] for cell in cells if (cell.question, cell.arm.name) == ("main", "lstm"))
        service = next(of_service, in_service(workspace.configuration))
        file.change(lambda now: now.model.update(plain_values(service)))
        results = run(cells, session.fingerprint, session.answer, file, session.close, options.again, say)
    write_study_page(place.page, results)
    say(f"results: {_shown(place.results)}; page: {_shown(place.page)}")
    return results


def planned(workspace: Workspace, options: StudyOptions, say: Say = print) -> list[Cell]:
    """The cells that the options ask for. A user's own files are taken in: how many events they hold decides how they
    are taught."""
    configuration = workspace.configuration
    if options.data is not None:
        if not options.data.is_dir():
            raise UserError(f"There is no folder {options.data}: DATA names one with raw, processed and truth.")
        key = WorldKey(OWN, 0, own=options.data.resolve())
        own = prepare(places(workspace, options).work / "worlds", key, configuration, say)
        cells = own_plan(configuration, options.seeds or (1,), key, len(read_training_set(own.training)))
    elif options.quick:
        cells = quick_plan(configuration, options.seeds or (1,), options.events or QUICK_EVENTS)
    else:
        seeds = options.seeds or SEEDS
        cells = plan(configuration, seeds, options.worlds, options.cells, options.events)
    found = chosen(cells, options.cells)
    if not found:
        raise UserError(
            f"No cell matches {' '.join(options.cells)}: patterns are question, or question/arm/world/seed."
        )
    return found


def numbers(words: Sequence[str]) -> tuple[int, ...]:
    """Seeds as they are given: `1 2 3` or `1,2,3`."""
    parts = [part for word in words for part in word.replace(",", " ").split()]
    if wrong := [part for part in parts if not part.isdigit()]:
        raise UserError(f"A seed is a number of 0 or more, not {wrong[0]!r}.")
    return tuple(int(part) for part in parts)


def _shown(path: Path) -> str:
    return os.path.relpath(path)
