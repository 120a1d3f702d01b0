"""Events with what rules, features and moves all begin with, made once where several of them are asked."""

from __future__ import annotations

from dataclasses import dataclass

from barcode_pipeline.events.codes import ParsedCodes, parse_codes
from barcode_pipeline.events.journeys import Events, Travel, follow


@dataclass(frozen=True)
class Followed:
    """Whole journeys. codes: of `events.codes`, read. travel: of the events."""

    events: Events
    codes: ParsedCodes
    travel: Travel

    def __len__(self) -> int:
        return len(self.events)


def follow_codes(events: Events, companies: tuple[str, ...] = ()) -> Followed:
    """companies: the registered ones, where rules or features are asked."""
    return Followed(events, parse_codes(events.codes, companies), follow(events))
