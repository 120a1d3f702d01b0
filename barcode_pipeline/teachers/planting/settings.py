"""What of planting is configured. Apart from the planter, so that the configuration loads without compiling."""

from __future__ import annotations

from dataclasses import dataclass, field

LEFT_OUT = ("ahead",)
"""What arrives ahead of its shipment, in a time that a truck can make, is no jump by the rules' own meaning, and the
first pallet of a batch does the same. Planted, it gave two thirds of all false alerts."""

FEWEST_COPIES, MOST_COPIES = 2, 8
"""How many times the journeys of a training set are planted upon: the fewer events it has, the more often."""


@dataclass(frozen=True)
class OrdinaryNoise:
    """What is planted as ordinary, as shares. left_behind: of EPCs. rerouted, at_once: of batches that could be.
    late_items: of transports of an item; late_shipments: of those of a batch. rereads: of events. missed_reads: the
    highest rate of a lot."""

    left_behind: float = 0.02
    rerouted: float = 0.03
    at_once: float = 0.03
    late_items: float = 0.004
    late_shipments: float = 0.01
    rereads: float = 0.004
    missed_reads: float = 0.3


@dataclass(frozen=True)
class PlantingSettings:
    """share: of the ordinary EPCs that bear an anomaly. copies: how many times all journeys are planted upon, with
    other draws. leave_out: families that are not planted. base_rate: the share of all events that bear each label,
    to which validation is weighted. noise: what is planted as ordinary."""

    share: float = 0.1
    copies: int = FEWEST_COPIES
    leave_out: tuple[str, ...] = LEFT_OUT
    base_rate: float = 0.003
    noise: OrdinaryNoise = field(default_factory=OrdinaryNoise)
