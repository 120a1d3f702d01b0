"""Journeys while anomalies are laid over them: what is known of every event, and how EPCs are chosen.

What each variant does belongs in `anomalies`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from barcode_pipeline.simulator.codes import Codes
from barcode_pipeline.simulator.journeys import Journeys
from barcode_pipeline.simulator.noise import gap_after
from barcode_pipeline.simulator.sites import HUB, RETAILER, WAREHOUSE, WHOLESALER, Sites
from barcode_pipeline.simulator.steps import STEPS
from barcode_pipeline.simulator.variants import CODE_OF_VARIANT
from barcode_pipeline.simulator.world import World

UNKNOWN_PLACES = 12
"""Places outside the table that rows may name; the site of one is its number after the table's last."""

_GROUP_SIZES = (5, 16)
_ROLE_OF_STEP = (0, WAREHOUSE, WAREHOUSE, HUB, HUB, WHOLESALER, WHOLESALER, RETAILER, RETAILER, RETAILER)


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
    """Journeys being edited, and what is known of every event: arrays (rows of `Journeys`, 10) unless told."""

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
    """(rows,): the row's EPC is not touched by an anomaly yet."""
    on_plan: np.ndarray
    """(rows,): the row's EPC followed its lot's plan."""
    events: int
    """Events that rates are shares of."""
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
        epcs, steps = self.cells(epcs, steps)
        within = steps < STEPS
        self.aftermath[epcs[within], steps[within]] = CODE_OF_VARIANT[variant]

    def cells(self, rows: np.ndarray, steps: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells of steps; one that lies beyond its row's last is the first of the row that goes on."""
        steps, onward = np.broadcast_to(steps, rows.shape), self.journeys.onward[rows]
        turned = (steps >= self.journeys.length[rows]) & (onward >= 0)
        return np.where(turned, onward, rows), np.where(turned, self.journeys.first[onward], steps)

    @property
    def ends(self) -> np.ndarray:
        """(rows,): the row's EPC does not travel on after it."""
        ends: np.ndarray = self.journeys.onward < 0
        return ends

    def epcs_for(self, variant: str, rows_each: float) -> int:
        """Return how many EPCs a variant's rate asks for."""
        return round(getattr(self.world.anomalies, variant) * self.events / rows_each)

    def take(self, random: np.random.Generator, possible: np.ndarray, count: int) -> np.ndarray:
        """Return up to `count` possible rows of as many untouched EPCs, and call these touched."""
        candidates = np.flatnonzero(possible & self.free)
        if self.journeys.epcs < len(self.free):
            candidates = self._one_of_each(random.permutation(candidates))
        chosen = random.choice(candidates, size=min(count, len(candidates)), replace=False)
        self._touch(chosen)
        return chosen

    def _one_of_each(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows without those of an EPC that has one before."""
        return rows[np.sort(np.unique(self.journeys.epc[rows], return_index=True)[1])]

    def _touch(self, rows: np.ndarray) -> None:
        """Call the EPCs of some rows touched."""
        touched = np.zeros(self.journeys.epcs, dtype=bool)
        touched[self.journeys.epc[rows]] = True
        self.free &= ~touched[self.journeys.epc]

    def take_cells(
        self, random: np.random.Generator, possible: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return up to `count` rows of untouched EPCs and one possible step of each, at random."""
        chosen = self.take(random, np.any(possible, axis=1), count)
        return chosen, np.argmax(random.random((len(chosen), STEPS)) * possible[chosen], axis=1)

    def take_groups(
        self, random: np.random.Generator, possible: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return about `count` rows of untouched EPCs in groups that share a pallet, and each one's group.

        A group is at most half of what its pallet still has.
        """
        candidates = self._one_of_each(random.permutation(np.flatnonzero(possible & self.free)))
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
        self._touch(chosen)
        return chosen, np.unique(pallet[inside], return_inverse=True)[1]

    def at(self, *steps: int) -> np.ndarray:
        """Return (rows, 10): the event exists and is one of the steps."""
        wanted = np.zeros(STEPS, dtype=bool)
        wanted[list(steps)] = True
        return wanted & ~self.journeys.missing

    def other_site(self, random: np.random.Generator, site: np.ndarray, step: np.ndarray | int) -> np.ndarray:
        """Return another site of the role that each step belongs to, all equally likely."""
        role = np.array(_ROLE_OF_STEP)[np.broadcast_to(step, site.shape)]
        allowed = (self.sites.role[None] == role[:, None]) & (np.arange(len(self.sites.role)) != site[:, None])
        # A network with one site of the role has no other: any place with a role will do.
        allowed[~allowed.any(axis=1)] = self.sites.role >= 0
        allowed &= np.arange(len(self.sites.role)) != site[:, None]
        return np.argmax(random.random(allowed.shape) * allowed, axis=1)


def stage(world: World, sites: Sites, journeys: Journeys, codes: Codes, off_plan: np.ndarray) -> Scene:
    """Return a scene without anomalies. `off_plan`: the EPCs that were sent off their lot's plan."""
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
        on_plan=~off_plan[journeys.epc],
        events=world.events if journeys.epcs == shape[0] else int((~journeys.missing).sum()),
    )
