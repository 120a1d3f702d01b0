"""The simulated worlds that are measured on: each simulated once, and given to every figure in a folder of its own."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.workspace import Workspace

SEED = 1


@dataclass(frozen=True)
class Worlds:
    """folder: a temporary folder, all of it ours. events: of the world that the figures are defined on."""

    folder: Path
    events: int = 920_000

    def workspace(self, purpose: str, events: int | None = None) -> Workspace:
        """A project folder with the raw files of a world, reference tables, the default configuration, and no more."""
        events = events or self.events
        world = self.folder / "worlds" / str(events)
        if not world.exists():
            write_simulation(world, World(events=events, seed=SEED))
        root = self.folder / purpose / str(events)
        # Raw files are never written to, so links will do.
        shutil.copytree(world, root, copy_function=os.link)
        return Workspace.open(root)
