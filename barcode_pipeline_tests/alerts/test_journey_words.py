from __future__ import annotations

import pandas as pd

from barcode_pipeline.alerts.journey_words import ARROW, FIRST_SHOWN, LAST_SHOWN, journey_lines, place_words, step_words


def journey(count: int, number: int = 0, marked: tuple[int, ...] = ()) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": number,
            "time": pd.date_range("2025-07-01 10:23", periods=count, freq="1h"),
            "step": "WMS in",
            "place": [f"P{place}" for place in range(count)],
            "labels": ["jump" if place in marked else "" for place in range(count)],
        }
    )


def test_a_line_per_journey() -> None:
    lines = journey_lines(pd.concat([journey(2, 3, (1,)), journey(1, 1)], ignore_index=True))
    assert lines[3] == "07-01 10:23 WMS in, P0 → 07-01 11:23 WMS in, P1 [jump]"
    assert lines[1] == "07-01 10:23 WMS in, P0"


def test_the_middle_of_a_long_journey_is_left_out_but_for_alerts() -> None:
    steps = journey_lines(journey(40, marked=(20,)))[0].split(ARROW)
    places = [step.rsplit("P", 1)[1] if step != "…" else step for step in steps]
    last = [str(place) for place in range(40 - LAST_SHOWN, 40)]
    assert places == [*map(str, range(FIRST_SHOWN)), "…", "20 [jump]", "…", *last]


def test_steps_and_places_in_words() -> None:
    level, direction = pd.Series(["WMS", None, "POS_Sell", None]), pd.Series(["in", "other", "sale", "missing"])
    step = pd.Series(["WMS_Inbound", "Mars", "POS_Sell", None])
    assert step_words(level, direction, step).tolist() == ["WMS in", "Mars", "POS_Sell", "unknown step"]
    table = pd.DataFrame(
        {
            "site_name": ["Hub", None, None, None, None],
            "scan_location": ["as sent", "Yard", "Yard", None, None],
            "location_id": [1, None, 999, None, None],
            "location_text": [None, None, None, "A7", None],
        }
    )
    assert place_words(table).tolist() == ["Hub", "Yard", "place 999", "place A7", "place without a name"]
