"""Journeys while anomalies are laid over them: what is known of every event, and how EPCs are chosen.

What each variant does belongs in `anomalies`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from barcode_pipeline.simulator.codes import Codes
from barcode_pipeline.simulator.journeys import Journeys
from barcode_pipeline.simulator.noise import gap_after
from barcode_pipeline.simulator.sites import Sites
from barcode_pipeline.simulator.steps import STEPS
from barcode_pipeline.simulator.variants import CODE_OF_VARIANT
from barcode_pipeline.simulator.world import World

UNKNOWN_PLACES = 12
"""Places outside the table that rows may name; the site of one is its number after the table's last."""

_GROUP_SIZES = (5, 16)


@dataclass
class Inserted:
    """Rows that stand beside the journeys."""

    code: np.ndarray
    step: np.ndarray
    site: np.ndarray
    time: np.ndarray
    variant: np.ndarray


@dataclass
class Scene:
    """Journeys being edited, and what is known of every event. Arrays (EPCs, 10) unless said otherwise."""

    world: World
    sites: Sites
    journeys: Journeys
    codes: Codes
    gap: np.ndarray
    """Seconds to the next event, before any anomaly."""
    wording: np.ndarray
    truth: np.ndarray
    aftermath: np.ndarray
    unread_code: np.ndarray
    """Whether the event's EPC is missing."""
    sent: np.ndarray | None
    """When the event was sent, where that is not its recorded time (0: it is). None without event ids."""
    free: np.ndarray
    """(EPCs,): not touched by an anomaly yet."""
    on_plan: np.ndarray
    """(EPCs,): followed its lot's plan."""
    inserted: list[Inserted] = field(default_factory=list)

    def insert(self, variant: str, code: np.ndarray, step: np.ndarray, site: np.ndarray, time: np.ndarray) -> None:
        """Add rows that carry the variant's truth."""
        self.inserted.append(
            Inserted(code, step, site, time, np.full(len(code), CODE_OF_VARIANT[variant], dtype=np.int8))
        )

    def mark(self, variant: str, epcs: np.ndarray, steps: np.ndarray | int) -> None:
        """Let events carry the variant's truth."""
        self.truth[epcs, steps] = CODE_OF_VARIANT[variant]

    def mark_aftermath(self, variant: str, epcs: np.ndarray, steps: np.ndarray | int) -> None:
        """Call events consequences of the variant; steps beyond the last are left out."""
        steps = np.broadcast_to(steps, epcs.shape)
        within = steps < STEPS
        self.aftermath[epcs[within], steps[within]] = CODE_OF_VARIANT[variant]

    def epcs_for(self, variant: str, rows_each: float) -> int:
        """Return how many EPCs a variant's rate asks for."""
        return round(getattr(self.world.anomalies, variant) * self.world.events / rows_each)

    def take(self, random: np.random.Generator, possible: np.ndarray, count: int) -> np.ndarray:
        """Return up to `count` untouched EPCs out of the possible, and call them touched."""
        candidates = np.flatnonzero(possible & self.free)
        chosen = random.choice(candidates, size=min(count, len(candidates)), replace=False)
        self.free[chosen] = False
        return chosen

    def take_cells(
        self, random: np.random.Generator, possible: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return up to `count` untouched EPCs and one possible step of each, at random."""
        chosen = self.take(random, np.any(possible, axis=1), count)
        return chosen, np.argmax(random.random((len(chosen), STEPS)) * possible[chosen], axis=1)

    def take_groups(
        self, random: np.random.Generator, possible: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return about `count` untouched EPCs in groups that share a pallet, and each one's group.

        A group is at most half of what its pallet still has.
        """
        candidates = random.permutation(np.flatnonzero(possible & self.free))
        pallet = self.journeys.pallet[candidates]
        order = np.argsort(pallet, kind="stable")
        candidates, pallet = candidates[order], pallet[order]
        pallets, first, size = np.unique(pallet, return_index=True, return_counts=True)
        wanted = np.minimum(random.integers(*_GROUP_SIZES, len(pallets)), size // 2)
        wanted[wanted < 2] = 0
        turn = random.permutation(len(pallets))
        # Groups are opened until there are enough; the last one is cut to fit, unless to a single item.
        before = np.cumsum(wanted[turn]) - wanted[turn]
        wanted[turn] = np.clip(np.minimum(wanted[turn], count - before), 0, None)
        wanted[wanted < 2] = 0
        within = np.arange(len(candidates)) - np.repeat(first, size)
        inside = within < np.repeat(wanted, size)
        chosen = candidates[inside]
        self.free[chosen] = False
        return chosen, np.unique(pallet[inside], return_inverse=True)[1]

    def at(self, *steps: int) -> np.ndarray:
        """Return (EPCs, 10): the event exists and is one of the steps."""
        wanted = np.zeros(STEPS, dtype=bool)
        wanted[list(steps)] = True
        return wanted & ~self.journeys.missing


def stage(world: World, sites: Sites, journeys: Journeys, codes: Codes, off_plan: np.ndarray) -> Scene:
    """Return a scene without anomalies."""
    shape = journeys.time.shape
    return Scene(
        world=world,
        sites=sites,
        journeys=journeys,
        codes=codes,
        gap=gap_after(world, journeys),
        wording=np.broadcast_to(np.arange(STEPS, dtype=np.int8), shape).copy(),
        truth=np.zeros(shape, dtype=np.int8),
        aftermath=np.zeros(shape, dtype=np.int8),
        unread_code=np.zeros(shape, dtype=bool),
        sent=np.zeros(shape, dtype=np.int64) if world.event_ids else None,
        free=np.ones(shape[0], dtype=bool),
        on_plan=~off_plan,
    )
