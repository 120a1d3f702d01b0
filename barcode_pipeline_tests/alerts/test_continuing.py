from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.alerts.continuing import link

DAY = 20_000


def alert(own_id: str, **known: Any) -> dict[str, Any]:
    usual = {
        "own_id": own_id, "severity": "LOW", "score": 25.0, "confidence": 0.5, "label": "jump", "lot": "A",
        "sites": ["Hub"], "epcs": [own_id], "epc_count": 1, "event_count": 1, "alert_id": own_id, "rank": 1,
        "since": np.datetime64(DAY - 1, "D").item(), "day": DAY - 1,
    }  # fmt: skip
    return usual | known


def linked(now: list[dict[str, Any]], before: list[dict[str, Any]]) -> pd.DataFrame:
    today = pd.DataFrame(now).drop(columns=["day", "alert_id", "rank", "since"])
    columns = list(alert("x"))
    return link(today, pd.DataFrame(before, columns=columns), DAY).set_index("own_id")


def test_without_earlier_ones_all_is_news() -> None:
    found = linked([alert("a"), alert("b", lot="B")], [])
    assert found["is_new"].all() and found["continues"].isna().all()
    assert found["alert_id"].tolist() == found.index.tolist()
    assert set(found["since"]) == {np.datetime64(DAY, "D").item()}


def test_the_same_epc_goes_on_whatever_the_label_and_site() -> None:
    found = linked([alert("b", label="locErr", lot="B", sites=["X"], epcs=["e", "f"])], [alert("a", epcs=["f", "g"])])
    assert found.loc["b", ["alert_id", "continues", "is_new"]].tolist() == ["a", "a", False]
    assert found.loc["b", "since"] == np.datetime64(DAY - 1, "D").item()


def test_the_same_lot_label_and_site_go_on() -> None:
    assert not linked([alert("b", sites=["Yard", "Hub"])], [alert("a")]).loc["b", "is_new"]
    for other in ({"lot": "B"}, {"label": "epcDup"}, {"sites": ["Yard"]}):
        assert linked([alert("b", **other)], [alert("a")]).loc["b", "is_new"], other


def test_rows_without_a_lot_go_on_by_label_and_site() -> None:
    assert not linked([alert("b", lot=None, epcs=[])], [alert("a", lot=None, epcs=[])]).loc["b", "is_new"]


def test_of_two_that_continue_one_the_more_important_keeps_the_id() -> None:
    found = linked([alert("b"), alert("c", severity="HIGH", score=90.0)], [alert("a")])
    assert found["alert_id"].to_dict() == {"c": "a", "b": "b"}
    assert found["continues"].tolist() == ["a", "a"] and not found["is_new"].any()


def test_the_newest_date_counts_and_then_the_epc() -> None:
    old = alert("a", day=DAY - 3, alert_id="old", epcs=["e"])
    lot, epc = alert("l", alert_id="lot", rank=1), alert("k", alert_id="epc", rank=9, epcs=["e"], lot="Z")
    assert linked([alert("b", epcs=["e"])], [old, lot, epc]).loc["b", "alert_id"] == "epc"
    assert linked([alert("b", epcs=["e"])], [old, lot]).loc["b", "alert_id"] == "lot"


def test_news_comes_first_then_severity_then_confidence() -> None:
    now = [
        alert("standing", severity="HIGH"),
        alert("low", lot="B", confidence=0.9),
        alert("high", lot="C", severity="HIGH", confidence=0.4),
        alert("surer", lot="D", severity="HIGH", confidence=0.8),
    ]
    found = linked(now, [alert("a")])
    assert found.index.tolist() == ["surer", "high", "low", "standing"]
    assert found["rank"].tolist() == [1, 2, 3, 4]


some = st.builds(
    lambda number, lot, label, site, epcs, severity: alert(
        f"{number}", lot=lot, label=label, sites=[site], epcs=[f"e{one}" for one in epcs], severity=severity
    ),
    st.integers(0, 1000), st.sampled_from("AB"), st.sampled_from(["jump", "locErr"]), st.sampled_from("XY"),
    st.sets(st.integers(0, 4), max_size=2), st.sampled_from(["HIGH", "LOW"]),
)  # fmt: skip


@given(
    st.lists(some, min_size=1, max_size=8, unique_by=lambda one: one["own_id"]),
    st.lists(some, max_size=8, unique_by=lambda one: one["own_id"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_ids_are_borne_once_and_order_plays_no_part(now: list[Any], before: list[Any], chance: Any) -> None:
    before = [
        one | {"alert_id": f"before{one['own_id']}", "rank": place, "day": DAY - 1 - place % 2}
        for place, one in enumerate(before)
    ]
    found = linked(now, before)
    assert found["alert_id"].is_unique and found["rank"].tolist() == list(range(1, len(now) + 1))
    goes_on = {
        one["own_id"]: any(
            set(one["epcs"]) & set(other["epcs"])
            or (one["lot"], one["label"], one["sites"]) == (other["lot"], other["label"], other["sites"])
            for other in before
        )
        for one in now
    }
    assert (~found["is_new"].astype(bool)).to_dict() == {name: goes_on[name] for name in found.index}
    assert set(found["continues"].dropna()) <= {one["alert_id"] for one in before}
    again = linked(chance.sample(now, len(now)), chance.sample(before, len(before)))
    assert again.to_dict() == found.to_dict()
