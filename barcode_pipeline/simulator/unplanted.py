"""Variants that stand for the unknown (`variants.NEVER_PLANTED`): no teacher is to plant the like.

Whoever writes a planter of anomalies should not read this.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from barcode_pipeline.simulator.journeys import MOVES
from barcode_pipeline.simulator.noise import HOUR, slow_down
from barcode_pipeline.simulator.production import DAY
from barcode_pipeline.simulator.scene import Scene
from barcode_pipeline.simulator.sites import transport_seconds
from barcode_pipeline.simulator.steps import AGGREGATION, HUB_IN, POS, R_IN, R_OUT, WMS_IN, WMS_OUT


def _reused_packaging(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let an item that left the shelf unsold on paper come to another retailer, and be sold there in the end."""
    journeys = scene.journeys
    possible = scene.at(POS)[:, POS] & scene.at(R_OUT)[:, R_OUT] & (scene.gap[:, R_OUT] >= 6 * DAY)
    chosen = scene.take(random, possible, scene.epcs_for(variant, 2))
    shop = scene.other_site(random, journeys.site[chosen, R_OUT], R_OUT)
    left, wait = journeys.time[chosen, R_OUT], scene.gap[chosen, R_OUT]
    for step, low, high in ((R_IN, 0.3, 0.5), (R_OUT, 0.55, 0.75)):
        time = left + (wait * random.uniform(low, high, len(chosen))).astype(np.int64)
        scene.insert(variant, journeys.epc[chosen], np.full(len(chosen), step), shop, time)
    journeys.site[chosen, POS] = shop
    scene.mark_aftermath(variant, chosen, POS)


def _made_elsewhere(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Let an item of a lot come from another factory than the lot's, over that one's warehouse, to the lot's hub."""
    journeys, sites = scene.journeys, scene.sites
    goes_on = journeys.length > HUB_IN
    room = scene.gap[:, WMS_OUT] + scene.gap[:, HUB_IN] >= 14 * HOUR
    possible = scene.at(AGGREGATION)[:, AGGREGATION] & (~goes_on | room) & (len(sites.factory) > 1)
    chosen = scene.take(random, possible, scene.epcs_for(variant, 1))
    own = journeys.factory_of_lot[journeys.lot[chosen]]
    other = (own + random.integers(1, max(len(sites.factory), 2), len(chosen))) % len(sites.factory)
    journeys.site[chosen, AGGREGATION] = sites.factory[other]
    journeys.site[chosen, WMS_IN : WMS_OUT + 1] = sites.warehouse[other][:, None]
    moved = chosen[goes_on[chosen]]
    seconds = transport_seconds(random, sites, journeys.site[moved, WMS_OUT], journeys.site[moved, HUB_IN])
    journeys.time[moved, HUB_IN] = journeys.time[moved, WMS_OUT] + seconds
    slow_down(scene.world, journeys, moved, MOVES[:1])
    scene.mark(variant, chosen, AGGREGATION)
    for step in (WMS_IN, WMS_OUT, HUB_IN):
        scene.mark_aftermath(variant, chosen, step)


def _early_sale(scene: Scene, random: np.random.Generator, variant: str) -> None:
    """Sell an item 2 to 20 minutes after it was put on the shelf, where weeks are normal."""
    journeys = scene.journeys
    possible = scene.at(POS)[:, POS] & scene.at(R_OUT)[:, R_OUT] & (scene.gap[:, R_OUT] >= 2 * DAY)
    chosen = scene.take(random, possible, scene.epcs_for(variant, 1))
    journeys.time[chosen, POS] = journeys.time[chosen, R_OUT] + random.integers(120, 1200, len(chosen))
    scene.mark(variant, chosen, POS)


UNPLANTED: dict[str, Callable[[Scene, np.random.Generator, str], None]] = {
    "reused_packaging": _reused_packaging,
    "made_elsewhere": _made_elsewhere,
    "early_sale": _early_sale,
}
"""`backdated_code` is missing here: it changes the code alone."""
