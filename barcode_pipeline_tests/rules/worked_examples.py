"""The worked examples of the rules' contract (rules.md) as data: every case of its table, in its order.

Each example is ``(name, sites, routes, rows, expected)``: ``expected`` holds, row by row, the scores above 0.
The world is invented; distances are what the cases need. Nothing here runs a rule.
"""

from __future__ import annotations

from .reference_rules import Route, Row, Site

Example = tuple[str, list[Site], list[Route], list[Row], list[dict[str, float]]]

EPC = "001.8804823.1203199.150002.20250701.000000001"

SITES = [
    Site(1, "Incheon factory", 37.450, 126.650),
    Site(4, "Incheon factory warehouse", 37.465, 126.655),  # 1.7 km from the factory
    Site(7, "Incheon hub", 37.470, 126.700),
    Site(13, "Busan wholesaler", 35.100, 129.000),  # about 335 km from the Incheon hub
    Site(14, "Seoul wholesaler", 37.560, 126.990),
    Site(21, "Busan retailer east", 35.180, 129.080),  # 11 km from the Busan wholesaler
    Site(22, "Busan retailer west", 35.110, 128.960),
    Site(31, "Seoul retailer", 37.500, 127.030),
]

ROUTES = [
    Route("Busan wholesaler", "Busan retailer east", mean=5.2, std=2.6, minimum=1.05),
    Route("Busan wholesaler", "Busan retailer west", mean=5.2, std=2.6, minimum=1.05),
    Route("Incheon hub", "Busan wholesaler", mean=5.9, std=2.5, minimum=3.4),
]

WORDS_BY_LEVEL = {
    0: ("Factory", "Aggregation", "Aggregation"),
    1: ("WMS", "WMS_Inbound", "WMS_Outbound"),
    2: ("Logistics_HUB", "HUB_Inbound", "HUB_Outbound"),
    3: ("W_Stock_Inbound", "W_Stock_Inbound", "W_Stock_Outbound"),
    4: ("R_Stock_Inbound", "R_Stock_Inbound", "R_Stock_Outbound"),
}


def scan(
    time: str,
    location_id: int,
    level: int,
    direction: str = "in",
    *,
    epc: str = EPC,
    step: str | None = None,
    event_type: str | None = None,
    event_id: int | None = None,
) -> Row:
    """A row in the words real senders use for ``level`` and ``direction``, unless words are given."""
    usual_step, inbound, outbound = WORDS_BY_LEVEL[level]
    usual_type = inbound if direction == "in" else outbound
    return Row(epc, time, location_id, None, step or usual_step, event_type or usual_type, event_id)


def example(name: str, rows: list[Row], *expected: dict[str, float]) -> Example:
    if len(rows) != len(expected):
        raise ValueError(f"{name}: {len(rows)} rows, {len(expected)} expectations")
    return name, SITES, ROUTES, rows, list(expected)


WORKED_EXAMPLES: list[Example] = [
    example(
        "`BROKEN.EPC.FORMAT`",
        [scan("2025-07-02 09:00:00", 1, 0, epc="BROKEN.EPC.FORMAT")],
        {"epcFake": 100},
    ),
    example(
        "header, company and date all wrong",
        [scan("2025-07-02 09:00:00", 1, 0, epc="002.9999999.1203199.150002.20260701.000000001")],
        {"epcFake": 100},
    ),
    example(
        "serial of five digits",
        [scan("2025-07-02 09:00:00", 1, 0, epc="001.8804823.1203199.150002.20250701.12345")],
        {"epcFake": 10},
    ),
    example(
        "made 20200702, scanned five years later to the day, and a day after that",
        [
            scan("2025-07-02 09:00:00", 4, 1, "in", epc="001.8804823.1203199.150002.20200702.000000001"),
            scan("2025-07-03 09:00:00", 4, 1, "out", epc="001.8804823.1203199.150002.20200702.000000001"),
        ],
        {},
        {"epcFake": 15},
    ),
    example(
        "wholesaler and a retailer of another city in the same second",
        [scan("2025-07-02 09:00:00", 14, 3, "out"), scan("2025-07-02 09:00:00", 21, 4, "in")],
        {"epcDup": 90},
        {"epcDup": 90, "jump": 95},
    ),
    example(
        "fractions of one second at two sites",
        [scan("2025-07-02 09:00:00.1", 14, 3, "out"), scan("2025-07-02 09:00:00.9", 21, 4, "in")],
        {"epcDup": 90},
        {"epcDup": 90, "jump": 95},
    ),
    example(
        "fractions of one second at two sites, the second in order being the earlier",
        [scan("2025-07-02 09:00:00.9", 14, 3, "out"), scan("2025-07-02 09:00:00.1", 21, 4, "in")],
        {"epcDup": 90},
        {"epcDup": 90, "jump": 95},
    ),
    example(
        "retailer, then a wholesaler of the same city next day",
        [scan("2025-07-02 09:00:00", 21, 4), scan("2025-07-03 09:00:00", 13, 3)],
        {},
        {"locErr": 30},
    ),
    example(
        "Factory → Retailer, next day",
        [scan("2025-07-02 09:00:00", 1, 0), scan("2025-07-03 09:00:00", 31, 4)],
        {},
        {"locErr": 30},
    ),
    example(
        "Retailer → location 999 as Wholesaler",
        [scan("2025-07-02 09:00:00", 21, 4), scan("2025-07-03 09:00:00", 999, 3)],
        {},
        {"locErr": 30},
    ),
    example(
        "Retailer, then step `Mars`, then Wholesaler, three places",
        [
            scan("2025-07-02 09:00:00", 21, 4),
            scan("2025-07-03 09:00:00", 22, 4, step="Mars", event_type="Inbound"),
            scan("2025-07-04 09:00:00", 13, 3),
        ],
        {},
        {"locErr": 20},
        {},
    ),
    example(
        "W_Stock_Outbound → W_Stock_Inbound at the same wholesaler 39 min later",
        [scan("2025-07-02 09:00:00", 13, 3, "out"), scan("2025-07-02 09:39:00", 13, 3, "in")],
        {},
        {"evtOrderErr": 25},
    ),
    example(
        "place A in, place B in, place A in",
        [
            scan("2025-07-02 09:00:00", 21, 4),
            scan("2025-07-03 09:00:00", 22, 4),
            scan("2025-07-04 09:00:00", 21, 4),
        ],
        {},
        {},
        {},
    ),
    example(
        "WMS_Inbound three times, same place, two hours apart",
        [
            scan("2025-07-02 09:00:00", 4, 1),
            scan("2025-07-02 11:00:00", 4, 1),
            scan("2025-07-02 13:00:00", 4, 1),
        ],
        {},
        {"evtOrderErr": 25},
        {"evtOrderErr": 40},
    ),
    example(
        "`WMS`/`WMS_Inbound`, then `Warehouse`/`Inbound` at the same place 30 s later",
        [
            scan("2025-07-02 09:00:00", 4, 1),
            scan("2025-07-02 09:00:30", 4, 1, step="Warehouse", event_type="Inbound"),
        ],
        {},
        {},
    ),
    example(
        "ids 1, 2, 3: Factory 10:03, WMS 17:00, hub 07:59 the same day",
        [
            scan("2025-07-02 10:03:00", 1, 0, event_id=1),
            scan("2025-07-02 17:00:00", 4, 1, event_id=2),
            scan("2025-07-02 07:59:00", 7, 2, event_id=3),
        ],
        {},
        {},
        {"evtOrderErr": 25},
    ),
    example(
        "Factory 10:00:00, own warehouse 10:00:00",
        [scan("2025-07-02 10:00:00", 1, 0), scan("2025-07-02 10:00:00", 4, 1)],
        {},
        {},
    ),
    example(
        "Incheon hub out → Busan wholesaler in after 2 h",
        [scan("2025-07-02 10:00:00", 7, 2, "out"), scan("2025-07-02 12:00:00", 13, 3, "in")],
        {},
        {"jump": 95},
    ),
    example(
        "out → in on a route with mean 5.2 h, σ 2.6, elapsed 14 h (z = 3.4)",
        [scan("2025-07-02 06:00:00", 13, 3, "out"), scan("2025-07-02 20:00:00", 21, 4, "in")],
        {},
        {"jump": 80},
    ),
    example(
        "wholesaler in → retailer in 34 days later (two reads missed)",
        [scan("2025-07-02 09:00:00", 13, 3, "in"), scan("2025-08-05 09:00:00", 21, 4, "in")],
        {},
        {},
    ),
]
