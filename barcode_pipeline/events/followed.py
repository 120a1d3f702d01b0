"""Events with what rules, features and moves all begin with, made once where several of them are asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from barcode_pipeline.events.codes import ParsedCodes, lots_of, parse_codes
from barcode_pipeline.events.journeys import Events, Travel, follow


@dataclass(frozen=True)
class Followed:
    """Whole journeys. codes: of `events.codes`, read. travel: of the events."""

    events: Events
    codes: ParsedCodes
    travel: Travel

    @cached_property
    def lots(self) -> pa.DictionaryArray:
        """The lot of each of `events.codes`, made when first asked for."""
        return lots_of(self.events.codes)

    def __len__(self) -> int:
        return len(self.events)


def follow_codes(events: Events, companies: tuple[str, ...] = ()) -> Followed:
    """companies: the registered ones, where rules or features are asked."""
    return Followed(events, parse_codes(events.codes, companies), follow(events))
