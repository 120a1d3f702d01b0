"""The worlds of the study, and what the benign table says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.simulator import STUDY_WORLDS, Simulation, World, simulate, study_world
from barcode_pipeline.simulator.columns import decoded
from barcode_pipeline.simulator.journeys import BENIGN_KINDS
from barcode_pipeline.simulator.variants import NEVER_PLANTED, VARIANTS
from barcode_pipeline_tests.simulator.judging import KEY, aftermath, events, truth

EVENTS = 20_000


def test_names() -> None:
    assert list(STUDY_WORLDS) == [
        "default", "missed_10", "missed_30", "sparse", "skew_10_minutes", "unseen_network", "unseen_variants",
        "long_journeys",
    ]  # fmt: skip
    assert study_world("default", 7, EVENTS) == World(events=EVENTS, seed=7)
    with pytest.raises(UserError, match="missed_10"):
        study_world("missed", 7, EVENTS)


@pytest.mark.parametrize("name", STUDY_WORLDS)
def test_each_can_be_simulated_and_has_truth(name: str) -> None:
    simulation = simulate(study_world(name, 3, 5_000))
    assert simulation.rows > 3_000
    assert simulation.anomalies.num_rows > 10


@pytest.mark.parametrize("event_ids", [False, True])
def test_each_label_is_sparse_in_the_sparse_world(event_ids: bool) -> None:
    world = STUDY_WORLDS["sparse"](World(events=60_000, seed=3, event_ids=event_ids))
    share = truth(simulate(world))["label"].value_counts() / 60_000
    assert len(share) == 5
    assert share.between(0.0007, 0.0013).all(), share.to_dict()


def test_missed_reads_and_unseen_networks_differ_in_nothing_else() -> None:
    default = World(events=EVENTS, seed=3)
    for name, missed in (("missed_10", 0.1), ("missed_30", 0.3)):
        assert study_world(name, 3, EVENTS) == replace(default, noise=replace(default.noise, missed_reads=missed))
    networks = {study_world("unseen_network", seed, EVENTS).network for seed in range(5)}
    assert len(networks) == 5 and 0 not in networks


def test_unseen_variants_are_laid_over_a_default_world_that_stays_as_it_was() -> None:
    default, unseen = (simulate(study_world(name, 3, EVENTS)) for name in ("default", "unseen_variants"))
    before, after = truth(default), truth(unseen)
    assert set(NEVER_PLANTED) <= set(after["variant"])
    assert not set(NEVER_PLANTED) & set(before["variant"])
    old = after[~after["variant"].isin(NEVER_PLANTED)]
    assert set(map(tuple, old.to_numpy())) == set(map(tuple, before.to_numpy()))


@pytest.fixture(scope="module")
def default() -> Simulation:
    return simulate(World(events=EVENTS, seed=3))


def test_benign_irregularities_are_told_and_are_neither_truth_nor_aftermath(default: Simulation) -> None:
    benign = decoded(default.benign).to_pandas()
    assert set(benign["kind"]) == set(BENIGN_KINDS) - {"further_journey"}
    share = benign["kind"].value_counts() / EVENTS
    assert share["after_missed_read"] == pytest.approx(0.02 * (1 - 1 / 4.6), rel=0.25)
    assert share["reread"] == pytest.approx(0.003, rel=0.3)
    assert share["straggler"] == pytest.approx(2 * 0.015 / 4.6, rel=0.3)
    keys = {tuple(row) for row in benign.astype(object).where(benign.notna(), None)[KEY].to_numpy()}
    assert keys <= set(map(tuple, events(default)[KEY].to_numpy()))
    assert not keys & set(map(tuple, truth(default)[KEY].to_numpy()))
    assert not keys & set(map(tuple, aftermath(default)[KEY].to_numpy()))


def test_benign_kinds_are_what_they_say(default: Simulation) -> None:
    rows = events(default).sort_values(["epc_code", "event_time"], kind="stable")
    rows["event_time"] = pd.to_datetime(rows["event_time"])
    rows["wait"] = rows.groupby("epc_code")["event_time"].diff().dt.total_seconds()
    rows["before"] = rows.groupby("epc_code")["event_type"].shift(1)
    benign = decoded(default.benign).to_pandas()
    found = rows.merge(benign[["epc_code", "event_time", "event_type", "kind"]])
    reread = found[found["kind"] == "reread"]
    assert (reread["wait"] <= 60).all() and (reread["before"] == reread["event_type"]).all()
    docked = found[(found["kind"] == "cross_docked") & found["before"].str.endswith("Inbound")]
    assert len(docked) and docked["wait"].between(35 * 60, 85 * 60).all()
    delayed = found[(found["kind"] == "delayed") & found["before"].str.endswith("Outbound")]
    usual = rows[rows["event_type"].isin(delayed["event_type"]) & rows["before"].str.endswith("Outbound", na=False)]
    assert delayed["wait"].median() > 1.5 * usual["wait"].median()


def test_a_clean_world_has_no_benign_irregularities() -> None:
    assert simulate(World(events=5_000).clean()).benign.num_rows == 0


def test_the_document_names_every_world_variant_and_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    names = [*STUDY_WORLDS, *BENIGN_KINDS]
    assert [name for name in names if f"`{name}`" not in text] == []
    table = {tuple(cell.strip("` ") for cell in line.split("|")[1:3]) for line in text.splitlines() if "|" in line}
    assert {(variant.label, variant.name) for variant in VARIANTS} <= table
