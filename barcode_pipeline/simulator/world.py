"""The parameters of a simulated world. What they do is told here, how it is done in the other modules."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime, timedelta

from barcode_pipeline.errors import UserError

DEFAULT_EVENTS = 100_000
DEFAULT_SEED = 1
LAYOUTS = ("one file per factory", "daily")


@dataclass(frozen=True)
class Noise:
    """Benign irregularities: none of them is an anomaly, and none should alarm.

    Rates are shares from 0 to 1 of what each comment names. `docs/simulator.md` describes each.
    """

    missed_reads: float = 0.02
    """Share of rows never read. Rows that carry truth are always read."""
    clock_skew_seconds: int = 120
    """Each site's clock is wrong by a whole number of seconds within ± this, drawn anew every day."""
    rereads: float = 0.003
    """Share of rows read once more, 1 to 60 seconds later."""
    stragglers: float = 0.015
    """Share of EPCs left behind once, hours to days, that then follow their batch."""
    cross_docked_batches: float = 0.015
    """Share of batches that leave one site 40 to 80 minutes after they came."""
    off_plan_batches: float = 0.02
    """Share of the batches sent to a wholesaler that go to one off the lot's plan."""
    rerouted_items: float = 0.0005
    """Share of EPCs that go, alone and rightly, to a wholesaler off the lot's plan."""
    delayed_items: float = 0.002
    """Share of transported EPCs that arrive late, median six hours (the tail of transport times)."""
    delayed_pallets: float = 0.0003
    """Share of transported pallets that arrive late as a whole, median six hours."""
    late_rows: float = 0.01
    """Share of rows sent one day to `World.late_days` late: seen in the daily layout and in event ids only."""
    duplicate_rows: float = 0.002
    """Share of rows written twice, exactly."""


@dataclass(frozen=True)
class AnomalyRates:
    """Share of all events that carry the truth of each variant (`docs/simulator.md` describes each)."""

    # epcFake
    not_six_parts: float = 0.0002
    wrong_header: float = 0.0002
    unregistered_company: float = 0.0002
    product_length: float = 0.0002
    lot_length: float = 0.0002
    serial_length: float = 0.0002
    date_unreadable: float = 0.0002
    date_in_future: float = 0.0002
    too_old: float = 0.0002
    missing_epc: float = 0.0002
    never_issued: float = 0.001
    # epcDup
    simultaneous: float = 0.0015
    slow_clone: float = 0.0015
    # locErr
    backward: float = 0.0005
    skipped_warehouse: float = 0.0004
    skipped_wholesaler: float = 0.0004
    unknown_location: float = 0.0004
    unknown_step: float = 0.0004
    diverted_item: float = 0.0005
    diverted_group: float = 0.0007
    # evtOrderErr
    inbound_twice: float = 0.0005
    outbound_before_inbound: float = 0.0005
    repeated_thrice: float = 0.0005
    missing_event_type: float = 0.0005
    sent_too_late: float = 0.0003
    """Only where the world has event ids."""
    short_dwell: float = 0.001
    # jump
    too_fast: float = 0.0015
    route_outlier: float = 0.0015
    ahead_of_truck: float = 0.0
    """Off by default: the specification names no jump that rules cannot see."""
    # Off by default, so that there are variants no teacher has met (`variants.NEVER_PLANTED`).
    backdated_code: float = 0.0
    reused_packaging: float = 0.0
    made_elsewhere: float = 0.0
    early_sale: float = 0.0


@dataclass(frozen=True)
class World:
    """All that determines a simulation: the same world gives the same bytes.

    Times are naive, in the pipeline's zone. `events` counts events before noise and anomalies.
    """

    events: int = DEFAULT_EVENTS
    seed: int = DEFAULT_SEED
    noise: Noise = field(default_factory=Noise)
    anomalies: AnomalyRates = field(default_factory=AnomalyRates)
    event_ids: bool = False
    """Whether rows carry the sender's `event_id`, in order of sending. Real files have none."""
    layout: str = LAYOUTS[0]
    """`one file per factory` (data/raw/icn.csv) or `daily` (data/raw/2025-12-17/icn.csv, the day of sending)."""
    start: datetime = datetime(2025, 7, 1, 10, 23, 38)
    """Time of the first event."""
    end: datetime = datetime(2025, 12, 16, 14, 2, 39)
    """Time of the last event."""
    events_per_epc: float = 4.6
    """Mean length of a journey. Shares of events between factories are kept."""
    lots: int = 104
    """Number of lots; a smaller world keeps them and makes them smaller, to one EPC at least."""
    batch_size: int = 100
    """EPCs that travel together. A sparse world has small batches."""
    pallet_size: int = 33
    """EPCs that are scanned in the same second."""
    unlisted_routes: float = 0.0
    """Share of the routes in use that the written transition table does not know."""
    long_journeys: float = 0.0
    """Share of EPCs that travel on, up to 40 events: returns and re-shipments. Their further events come on top of
    `events`, and rates of anomalies are shares of all."""
    network: int = 0
    """0: the invented network of `network`; any other number: one of `other_networks`, with its own products and
    lots. Given reference tables take the network's place."""
    slower_routes: tuple[date, float] | None = None
    """(day, factor): what leaves on or after this day takes so many times as long. The transition table, being
    history, does not know."""
    late_days: int = 5
    """Most days that a late row is late."""

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, with a `UserError`."""
        if self.events < 10:
            raise UserError(f"A world of {self.events} events cannot be simulated: ask for 10 or more.")
        if self.seed < 0:
            raise UserError(f"The seed is {self.seed}; it must be 0 or more.")
        if self.layout not in LAYOUTS:
            raise UserError(f"The layout {self.layout!r} is unknown; it is one of: {', '.join(LAYOUTS)}.")
        if self.end - self.start < timedelta(days=30):
            raise UserError("A world must last 30 days or more, else no journey gets anywhere.")
        if not 2.2 <= self.events_per_epc <= 9:
            raise UserError("A world's events_per_epc must lie between 2.2 and 9.")
        if min(self.lots, self.batch_size, self.pallet_size) < 1:
            raise UserError("A world's lots, batch_size and pallet_size must be 1 or more.")
        if self.late_days < 1:
            raise UserError("A world's late_days must be 1 or more.")
        if self.network < 0:
            raise UserError(f"The network is {self.network}; it must be 0 or more.")
        if self.slower_routes and not 0.5 <= self.slower_routes[1] <= 2:
            raise UserError(f"The factor of slower_routes is {self.slower_routes[1]}; it must lie between 0.5 and 2.")
        for group in (self.noise, self.anomalies):
            for name, value in asdict(group).items():
                if name == "clock_skew_seconds":
                    if value < 0:
                        raise UserError(f"A world's {name} is {value}; it must be 0 or more.")
                elif not 0 <= value <= 1:
                    raise UserError(f"A world's rate {name} is {value}; it must lie between 0 and 1.")
        if not 0 <= self.unlisted_routes < 1:
            raise UserError("A world's unlisted_routes must lie between 0 and 1.")
        if not 0 <= self.long_journeys <= 1:
            raise UserError("A world's long_journeys must lie between 0 and 1.")

    def without_anomalies(self) -> World:
        """Return the same world with its noise and without anomalies."""
        return replace(self, anomalies=AnomalyRates(**{item.name: 0.0 for item in fields(AnomalyRates)}))

    def clean(self) -> World:
        """Return the same world before noise and anomalies are laid over it; long journeys stay."""
        silent = Noise(**{item.name: 0 for item in fields(Noise)})
        return replace(self.without_anomalies(), noise=silent)

    def duration_seconds(self) -> int:
        """Return the seconds from the first event to the last."""
        return int((self.end - self.start).total_seconds())

    def parameters(self) -> dict[str, object]:
        """Return all parameters in a form that JSON can hold."""
        values = asdict(self)
        values["start"], values["end"] = self.start.isoformat(" "), self.end.isoformat(" ")
        if self.slower_routes:
            values["slower_routes"] = [self.slower_routes[0].isoformat(), self.slower_routes[1]]
        return values
