"""The worlds of the study, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.simulator.variants import NEVER_PLANTED, VARIANTS
from barcode_pipeline.simulator.world import AnomalyRates, World

_SPARSE_RATE = 0.001
_NEVER_PLANTED_RATE = 0.0007


def study_world(name: str, seed: int, events: int) -> World:
    """Return a world of `STUDY_WORLDS`.

    Raises UserError for another name.
    """
    if name not in STUDY_WORLDS:
        raise UserError(f"There is no world {name!r}; it is one of: {', '.join(STUDY_WORLDS)}.")
    return STUDY_WORLDS[name](World(events=events, seed=seed))


def _missed(share: float) -> Callable[[World], World]:
    return lambda world: replace(world, noise=replace(world.noise, missed_reads=share))


def _sparse(world: World) -> World:
    """Let each label be carried by one event in a thousand, its variants in the proportions they have."""
    rates = asdict(world.anomalies)
    if not world.event_ids:
        rates["sent_too_late"] = 0.0
    total = {label: sum(rates[item.name] for item in VARIANTS if item.label == label) for label in LABELS}
    sparse = {item.name: rates[item.name] * _SPARSE_RATE / total[item.label] for item in VARIANTS}
    return replace(world, anomalies=AnomalyRates(**sparse))


def _unseen_variants(world: World) -> World:
    return replace(world, anomalies=replace(world.anomalies, **dict.fromkeys(NEVER_PLANTED, _NEVER_PLANTED_RATE)))


STUDY_WORLDS: dict[str, Callable[[World], World]] = {
    "default": lambda world: world,
    "missed_10": _missed(0.1),
    "missed_30": _missed(0.3),
    "sparse": _sparse,
    "skew_10_minutes": lambda world: replace(world, noise=replace(world.noise, clock_skew_seconds=600)),
    # Each seed has a network of its own, so that the figure is not that of one network.
    "unseen_network": lambda world: replace(world, network=1 + world.seed),
    "unseen_variants": _unseen_variants,
    "long_journeys": lambda world: replace(world, long_journeys=0.15),
}
"""What makes each world out of the default one. `docs/simulator.md` describes them."""
