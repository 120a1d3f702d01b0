"""Live equals batch: what requests are answered is what the chain gives on the rows known at that moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline.configuration import Configuration
from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.formats import LABELS, PROBABILITIES
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.serving.clock import zone_clock
from barcode_pipeline.serving.history import History
from barcode_pipeline.serving.judge import Models, Settings, batch_size
from barcode_pipeline.serving.judging import Judging
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.models_in_service import ModelsInService
from barcode_pipeline.serving.requests import read_rows
from barcode_pipeline.serving.rows import BY_MODEL, labels_of_bits
from barcode_pipeline.serving.sqlite_history import SqliteHistory
from barcode_pipeline.simulator import AnomalyRates, World, write_simulation
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.conftest import SmallProject
from barcode_pipeline_tests.models.untrained import random_model, random_pair
from barcode_pipeline_tests.serving.batch import as_sent, batch_verdicts, requests_by_time, with_ids
from barcode_pipeline_tests.serving.conftest import Opened

ZONE = "Asia/Seoul"


def judging(history: History, settings: Settings, models: Models, **more: int) -> Judging:
    return Judging(history, settings, lambda: models, zone_clock(ZONE), **more)


def test_a_replay_in_order_of_sending_gives_the_nightly_result(small_project: SmallProject, tmp_path: Path) -> None:
    place = small_project.workspace
    in_service = ModelsInService(place.models, budget=place.configuration.scoring.false_alerts_per_10k)
    assert in_service.refresh() and not in_service.now.refused
    models = in_service.models()
    table = place.merged.read(place.merged.days())
    labels = np.column_stack([place.labels.read(place.labels.days()).column(name).to_numpy() for name in LABELS])
    scores = place.scores.read(place.scores.days())
    nightly = np.column_stack([scores.column(name).to_numpy() for name in PROBABILITIES])
    time = table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    random = np.random.default_rng(0)
    requests = requests_by_time(time, random, 150)
    ids = np.empty(len(table), dtype=np.int64)
    ids[np.concatenate(requests)] = np.arange(len(table))  # sent in order: none is sent too late
    sent = as_sent(table, ids)
    settings = Settings(place.reference, place.configuration.rules.settings())
    desk = judging(SqliteHistory(tmp_path / "h.sqlite"), settings, models)
    seen = 0
    for rows in requests:
        verdicts = desk.judge([read_rows([sent[row] for row in rows], ZONE)]).verdicts[0]
        assert (labels_of_bits(verdicts["rule_labels"]) == labels[rows]).all()
        assert np.abs(verdicts["lstm"] - nightly[rows]).max() <= 1e-5
        assert models.lstm is not None
        alerts = models.lstm.calibration.alerts(nightly[rows])
        close = np.abs(nightly[rows] - models.lstm.calibration.threshold) <= 1e-5
        assert ((labels_of_bits(verdicts["lstm_labels"]) == alerts) | close).all()
        seen += len(rows)
    assert seen == len(table) > 4000
    assert labels.any() and (nightly > 0.5).any()
    desk.history.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[pa.Table, Settings]:
    """Some hundred events of few lots, with many anomalies."""
    root = tmp_path_factory.mktemp("world")
    rates = AnomalyRates(**dict.fromkeys(AnomalyRates.__dataclass_fields__, 0.004))
    write_simulation(root, World(events=3000, seed=5, anomalies=rates))
    place = Workspace(root, Configuration())
    place.intake.take_in()
    from barcode_pipeline import chain

    chain.make_merged(place, place.intake.days())
    table = place.merged.read(place.merged.days())
    return one_chunk(table), Settings(place.reference, place.configuration.rules.settings())


@pytest.mark.parametrize("longest", [10, 3])
@pytest.mark.parametrize("ids", ["as sent", "as scanned", "random"])
def test_a_replay_in_random_order_gives_what_the_chain_gives_on_the_rows_known_then(
    world: tuple[pa.Table, Settings], longest: int, ids: str
) -> None:
    everything, settings = world
    random = np.random.default_rng(longest)
    order, event_ids = _shuffled(everything, random, ids)
    model = random_model(seed=longest, longest=longest)
    _replay(MemoryHistory(), everything, order, event_ids, settings, model, random)


def test_each_store_gives_what_the_chain_gives(world: tuple[pa.Table, Settings], opened: Opened) -> None:
    everything, settings = world
    random = np.random.default_rng(3)
    order, event_ids = _shuffled(everything, random, "random")
    _replay(opened(), everything, order, event_ids, settings, random_pair(seed=3), random, reopen=opened)


def _shuffled(everything: pa.Table, random: np.random.Generator, ids: str) -> tuple[np.ndarray, np.ndarray]:
    """Whole lots in random order: rows of few lots, so that they meet one another."""
    codes = everything.column("epc_code").to_pylist()
    lots = np.array([".".join(code.split(".")[1:4]) if code else "" for code in codes])
    names, counts = np.unique(lots, return_counts=True)
    chosen = [*names[np.argsort(-counts)][:6], "", *random.choice(names, 12)]
    order = random.permutation(np.flatnonzero(np.isin(lots, chosen)))
    event_ids = np.zeros(len(everything), dtype=np.int64)
    time = everything.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    by = {"as sent": np.arange(len(order)), "as scanned": np.argsort(np.argsort(time[order], kind="stable"))}
    event_ids[order] = by.get(ids, random.permutation(len(order)))
    return order, event_ids


def _replay(
    history: History,
    everything: pa.Table,
    order: np.ndarray,
    event_ids: np.ndarray,
    settings: Settings,
    model: LstmModel,
    random: np.random.Generator,
    reopen: Opened | None = None,
) -> None:
    table, sent = with_ids(everything, event_ids), as_sent(everything, event_ids)
    desk, start, found, requests = judging(history, settings, Models(model), most_lots=8), 0, 0, 0
    while start < len(order):
        stop = min(start + int(random.integers(1, 60)), len(order))
        rows = order[start:stop]
        verdicts = desk.judge([read_rows([sent[row] for row in rows], ZONE)]).verdicts[0]
        known = order[:stop]
        scores, probabilities = batch_verdicts(table.take(pa.array(known)), settings, model)
        assert (verdicts["rule"] == scores[start:stop]).all()
        assert np.abs(verdicts["lstm"] - probabilities[start:stop]).max() <= 1e-5
        assert (verdicts["lstm_method"] == BY_MODEL).all()
        found += int((scores[start:stop] > 0).sum())
        start, requests = stop, requests + 1
        if reopen is not None and requests % 5 == 0:
            # As a process would that begins anew, or another that goes on.
            desk = judging(reopen(), settings, Models(model), most_lots=8)
    assert len(order) > 200 and found > 20 and requests > 5


def test_batches_have_few_sizes_and_are_hardly_larger() -> None:
    sizes = np.array([batch_size(passes) for passes in range(1, 6501)])
    assert (sizes >= np.arange(1, 6501)).all() and (sizes <= 1.25 * np.arange(1, 6501)).all()
    assert len(set(sizes.tolist())) < 50 and batch_size(65) == 80
