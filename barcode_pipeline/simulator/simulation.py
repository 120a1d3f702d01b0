"""A world simulated in memory: raw columns per factory, reference tables and truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.errors import UserError
from barcode_pipeline.simulator.anomalies import inject
from barcode_pipeline.simulator.codes import issued_codes
from barcode_pipeline.simulator.columns import RawColumns
from barcode_pipeline.simulator.journeys import clean_journeys, stream
from barcode_pipeline.simulator.long_journeys import travel_on
from barcode_pipeline.simulator.noise import clock_skew, disturb, slow_down
from barcode_pipeline.simulator.rows import collect, read, send
from barcode_pipeline.simulator.scene import Scene, stage
from barcode_pipeline.simulator.sites import Sites, invented_sites, read_sites
from barcode_pipeline.simulator.truth import aftermath_table, anomaly_table, benign_table, world_summary
from barcode_pipeline.simulator.world import World


@dataclass(frozen=True)
class Simulation:
    """All tables of a simulated world."""

    world: World
    raw: dict[str, pa.Table]
    """Per factory code, the rows of its file: `RAW_COLUMNS` (and `event_id`), by EPC and time."""
    sent: dict[str, np.ndarray]
    """Per factory code, the time each row was sent (datetime64[s])."""
    sites: pd.DataFrame
    """The location table, as written."""
    transitions: pd.DataFrame
    """The transition table, as written."""
    anomalies: pa.Table
    """Truth: `KEY_COLUMNS`, label, variant, rule_visible."""
    aftermath: pa.Table
    """Consequences: `KEY_COLUMNS`, variant."""
    benign: pa.Table
    """Benign irregularities: `KEY_COLUMNS`, kind."""
    summary: dict[str, object]
    """What `world.json` holds: parameters and counts."""

    @property
    def rows(self) -> int:
        """Number of raw rows, duplicates included."""
        return sum(table.num_rows for table in self.raw.values())


def simulate(
    world: World, locations: pd.DataFrame | None = None, transitions: pd.DataFrame | None = None
) -> Simulation:
    """Return the simulation of a world, on the invented network or on two given reference tables.

    Given tables are returned as they are; `unlisted_routes` then has no effect.

    Raises UserError where given tables cannot carry a simulation.
    """
    given = False
    if locations is not None and transitions is not None:
        sites, given = read_sites(locations, transitions), True
    elif locations is None and transitions is None:
        sites = invented_sites(world.network)
    else:
        raise UserError("A world is simulated on both reference tables or on neither; only one was given.")
    scene = _scene(world, sites)
    touched = ~scene.free[: scene.journeys.epcs]
    rows = read(world, collect(scene))
    beyond = len(scene.codes) - len(touched)
    rows = send(world, rows, np.concatenate([touched, np.ones(beyond, dtype=bool)]))
    columns = RawColumns.of(world, sites, scene.journeys, scene.codes, rows)
    anomalies = anomaly_table(columns, rows)
    aftermath = aftermath_table(columns, rows)
    raw, sent = columns.by_factory()
    return Simulation(
        world=world,
        raw=raw,
        sent=sent,
        sites=sites.locations,
        transitions=sites.transitions if given else _listed(world, sites),
        anomalies=anomalies,
        aftermath=aftermath,
        benign=benign_table(columns, rows),
        summary=world_summary(world, scene, rows, anomalies, aftermath),
    )


def _scene(world: World, sites: Sites) -> Scene:
    """Return the world's journeys with noise and anomalies, before anything is read."""
    journeys = clean_journeys(world, sites)
    off_plan = disturb(world, sites, journeys)
    journeys = travel_on(world, sites, journeys)
    slow_down(world, journeys)
    clock_skew(world, sites, journeys)
    # Dates are printed by the factory's own clock: no code may be dated after its first event.
    codes = issued_codes(world, journeys)
    scene = stage(world, sites, journeys, codes, off_plan)
    inject(scene)
    return scene


def _listed(world: World, sites: Sites) -> pd.DataFrame:
    """Return the transition table without the routes that it is not to know."""
    table = sites.transitions
    unlisted = round(world.unlisted_routes * len(table))
    if not unlisted:
        return table
    dropped = stream(world, "unlisted routes").choice(len(table), size=unlisted, replace=False)
    return table.drop(index=table.index[dropped]).reset_index(drop=True)
