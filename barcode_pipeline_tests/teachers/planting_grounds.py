"""Ordinary journeys to plant upon, and planting one family alone upon them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from barcode_pipeline import chain
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.places import Reference
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.teachers.planting.families import FAMILIES, FAMILY_NAMES, Family
from barcode_pipeline.teachers.planting.planter import Planted, plant
from barcode_pipeline.teachers.planting.settings import OrdinaryNoise, PlantingSettings
from barcode_pipeline.workspace import Workspace

QUIET = OrdinaryNoise(left_behind=0, rerouted=0, at_once=0, late_items=0, late_shipments=0, rereads=0, missed_reads=0)
RULES = RuleSettings()


@dataclass(frozen=True)
class Grounds:
    events: Events
    reference: Reference
    labelled: np.ndarray

    def __len__(self) -> int:
        return len(self.events)


@cache
def grounds() -> Grounds:
    """About 7,000 events without anomalies or noise, with event ids. labelled: (N,) bool, a rule finds something."""
    clean = World(events=7000, seed=5, event_ids=True, lots=12, events_per_epc=6.5).clean()
    with TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder), Configuration())
        write_simulation(workspace.root, clean)
        workspace.intake.take_in()
        days = workspace.intake.days()
        chain.make_merged(workspace, days)
        chain.make_enriched(workspace, days)
        events = read_events(workspace.enriched.read(days, chain.READ_COLUMNS), workspace.reference.sites)
        labels = score_events(events, workspace.reference, RULES).labels(RULES)
        return Grounds(events, workspace.reference, labels.any(axis=1))


def planted(
    share: float = 0.2,
    only: str | None = None,
    noise: OrdinaryNoise = QUIET,
    suspects: np.ndarray | None = None,
    seed: tuple[int, ...] = (3,),
    leave_out: tuple[str, ...] = (),
    families: tuple[Family, ...] = FAMILIES,
) -> Planted:
    """What comes of planting upon the grounds; `only` one family."""
    ground = grounds()
    out = tuple(name for name in FAMILY_NAMES if name != only) if only else leave_out
    settings = PlantingSettings(share=share, leave_out=out, noise=noise)
    held = ground.labelled if suspects is None else suspects
    return plant(ground.events, held, ground.reference, RULES.v_max, settings, seed, families)
