"""The order of travel, against Python's own sort."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline.events.journeys import NO_EVENT_ID, Events, find_journeys, follow
from barcode_pipeline.events.places import Places


def some_events(count: int, codes: int, ids: bool, seed: int) -> Events:
    """Events that agree in much, so that every part of the order decides somewhere."""
    random = np.random.default_rng(seed)
    few = [random.integers(0, most, count) for most in (4, 7, 5, 3, 3, 3)]
    time, level, direction, place, words, event_id = few
    return Events(
        epc=random.integers(-1, codes, count).astype(np.int32),
        time=np.where(random.random(count) < 0.1, -62_135_510_400, 253_402_214_400) + time,
        level=level.astype(np.int8),
        direction=direction.astype(np.int8),
        place=place.astype(np.int32),
        words=words.astype(np.int32),
        event_id=np.where(event_id > 0, event_id, NO_EVENT_ID) if ids else np.full(count, NO_EVENT_ID),
        codes=pa.array([f"code {number}" for number in range(codes)], pa.string()),
        places=Places(np.zeros(3, np.int32), np.arange(3), pa.nulls(3, pa.string())),
    )


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize(("count", "codes"), [(0, 0), (1, 1), (40, 0), (500, 60), (900, 2), (3_000, 1)])
def test_order_of_travel(count: int, codes: int, ids: bool) -> None:
    events = some_events(count, codes, ids, count + codes)
    columns = (events.time, events.level, np.minimum(events.direction, 3), events.event_id, events.place, events.words)
    rows = sorted(
        (row for row in range(count) if events.epc[row] >= 0),
        key=lambda row: (events.epc[row], *(int(column[row]) for column in columns)),
    )
    nameless = [row for row in range(count) if events.epc[row] < 0]
    found = find_journeys(events)
    assert found.order.tolist() == rows + nameless
    assert np.diff(found.offsets).tolist() == [int((events.epc == code).sum()) for code in range(codes)]
    travel = follow(events)
    assert np.array_equal(travel.journeys.order, found.order)
    for name in ("epc", "time", "level", "direction", "place"):
        assert np.array_equal(getattr(travel, name), getattr(events, name)[found.order])
