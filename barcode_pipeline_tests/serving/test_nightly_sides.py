"""Where live and nightly meet: the history is filled from nightly data, what came in live reaches the chain, a sample
of answers is judged again, and a file is judged offline as the API would."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from barcode_pipeline import chain
from barcode_pipeline.cli import main
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.followed import follow_codes
from barcode_pipeline.events.formats import LABELS, PROBABILITIES
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.times import day_number
from barcode_pipeline.sequences.features import compute_features
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.serving import nightly as nightly_side
from barcode_pipeline.serving import opening, stores
from barcode_pipeline.serving.clock import Clock, zone_clock
from barcode_pipeline.serving.judge import Models, Settings, judge
from barcode_pipeline.serving.judging import Judging
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.parity import compare, nightly_rows, summary
from barcode_pipeline.serving.requests import read_rows
from barcode_pipeline.serving.rows import labels_of_bits, unpack
from barcode_pipeline.serving.sample import Sample, read_sample
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.conftest import SmallProject
from barcode_pipeline_tests.serving.batch import as_sent, requests_by_time

ZONE = "Asia/Seoul"


def models_of(place: Workspace) -> Models:
    models = nightly_side.open_models(place)
    models.refresh()
    assert not models.now.refused
    return models.models()


def settings_of(place: Workspace) -> Settings:
    return Settings(place.reference, place.configuration.rules.settings())


def by_scan(place: Workspace) -> dict[tuple[Any, ...], tuple[list[bool], list[float]]]:
    """The nightly labels and probabilities of each event with an EPC."""
    labels, scores = (store.read(store.days()).to_pylist() for store in (place.labels, place.scores))
    return {
        (
            row["epc_code"],
            int(np.datetime64(row["event_time"], "s").astype(int)),
            row["business_step"],
            row["event_type"],
            row["location_id"],
            row["scan_location"],
        ): ([row[name] for name in LABELS], [score[name] for name in PROBABILITIES])
        for row, score in zip(labels, scores, strict=True)
        if row["epc_code"] is not None
    }


def test_filled_history_holds_the_nightly_result(
    copy_of_project: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    place = copy_of_project
    filled = nightly_side.fill(place)
    nightly = by_scan(place)
    assert filled.new == filled.scans == len(nightly) > 4000
    assert nightly_side.fill(place).new == 0
    history = stores.open_history(place)
    keys = sorted({key[0] for key in nightly})
    rows, key = unpack(history.journeys(keys))
    texts = {number: json.loads(text) for number, text in history.readings(np.unique(rows["reading"]).tolist()).items()}
    seen = 0
    for row, of in zip(rows, key, strict=True):
        location_id, _, name, step, kind = texts[int(row["reading"])]
        resolved = place.reference.sites
        known = np.flatnonzero(resolved.location_id == location_id)
        place_key = (location_id, resolved.name[known[0]] if len(known) else name)
        labels, probabilities = nightly[keys[of], int(row["time"]), step, kind, *place_key]
        assert labels_of_bits(row["verdict"]["rule_labels"][None])[0].tolist() == labels
        assert np.abs(row["verdict"]["lstm"] - probabilities).max() <= 1e-5
        seen += 1
    assert seen == len(nightly)
    assert history.live_days() == {} and history.alerts(None, opening_filter(), 5)[0] == []
    history.close()


def test_scores_of_the_svm_are_shares_of_its_training(small_project: SmallProject) -> None:
    """The machines' own scores, from which alerts come, have no bounds; what is answered has."""
    place = small_project.workspace
    models, settings, table = models_of(place), settings_of(place), place.merged.read(place.merged.days())
    coded = table.filter(pc.is_valid(table.column("epc_code")))
    events = read_events(one_chunk(coded), place.reference.sites)
    verdicts = judge(follow_codes(events, settings.rules.companies), np.arange(len(events)), None, models, settings)
    features = compute_features(events, place.reference, settings.rules.companies, settings.rules.v_max).values
    svm = models.svm
    assert svm is not None
    scores = svm.detector.score(JourneyFeatures(features, np.arange(len(features) + 1)))
    assert scores.min() < 0
    for label, name in enumerate(LABELS):
        below = np.searchsorted(np.sort(svm.detector.outlyingness_[label]), scores[:, label]) > 0
        assert ((verdicts["svm"][:, label] > 0) <= below).all(), name
        order = np.argsort(scores[:, label])
        assert (np.diff(verdicts["svm"][order, label]) >= 0).all(), name
    assert verdicts["svm"].min() >= 0 and 0.9 < verdicts["svm"].max() <= 1
    alerts = svm.calibration.alerts(svm.calibration.probabilities(scores))
    assert (labels_of_bits(verdicts["svm_labels"]) == alerts).all() and alerts.any()


def test_a_history_is_kept_in_step_with_some_dates(copy_of_project: Workspace) -> None:
    place, said, warned = copy_of_project, [], []
    day = place.merged.days()[-1]

    def keep() -> None:
        nightly_side.keep_in_step(place, [day], said.append, warned.append)

    keep()
    assert not said and not stores.has_history(place), "nobody asks for a live history here"
    nightly_side.fill(place, [day])
    history = stores.open_history(place)
    table = place.merged.read(place.merged.days(), ("epc_code", "event_time"))
    rows = table.to_pandas().dropna(subset="epc_code")
    of_day = rows[rows["event_time"].astype("datetime64[s]").dt.floor("D") == np.datetime64(day, "D")]
    lots = rows["epc_code"].astype(str).str.rsplit(".", n=2).str[0]
    held, _ = unpack(history.journeys(sorted(rows["epc_code"].astype(str).unique())))
    history.close()
    assert len(held) == lots.isin(lots[of_day.index]).sum() < len(rows), "whole lots of the date, and no more"
    keep()
    assert said == ["live history: 0 scans that it did not hold"] and not warned
    (place.root / "configuration.toml").write_text('[serving]\nhistory = "redis://127.0.0.1:1/0"\n')
    place = Workspace.open(place.root)
    keep()
    assert len(said) == 1 and "history fill" in warned[0]


def opening_filter() -> Any:
    from barcode_pipeline.serving.history import AlertFilter

    return AlertFilter()


def test_live_goes_on_where_the_nightly_data_end(copy_of_project: Workspace) -> None:
    """Filled with the earlier dates, the later ones come in live: all is as if the chain had seen all."""
    place = copy_of_project
    days = place.merged.days()
    cut = days[int(len(days) * 0.8)]
    table = place.merged.read(days)
    time = table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    early = pa.array(time < cut * 86_400)
    apart = Workspace(place.root / "apart", place.configuration)
    first = table.filter(early)
    apart.merged.write(first, time[time < cut * 86_400] // 86_400, [day for day in days if day < cut])
    history = MemoryHistory()
    from barcode_pipeline.serving.fill import fill_history

    models, settings = models_of(place), settings_of(place)
    fill_history(history, apart.merged, settings, models, now=1, say=lambda _: None)
    desk = Judging(history, settings, lambda: models, zone_clock(ZONE))
    late = np.flatnonzero(time >= cut * 86_400)
    sent = as_sent(table, np.argsort(np.argsort(time, kind="stable")) + 10)
    scores = place.scores.read(place.scores.days())
    nightly = np.column_stack([scores.column(name).to_numpy() for name in PROBABILITIES])
    requests = [late[part] for part in requests_by_time(time[late], np.random.default_rng(1), 60)]
    for rows in requests:
        verdicts = desk.judge([read_rows([sent[row] for row in rows], ZONE)]).verdicts[0]
        assert np.abs(verdicts["lstm"] - nightly[rows]).max() <= 1e-5
    assert len(late) > 500


def sent_live(place: Workspace, count: int, **changes: Any) -> list[dict[str, Any]]:
    """Rows of the nightly data once more, and later."""
    table = place.merged.read(place.merged.days()[-1:])
    rows = as_sent(table.slice(0, count), np.arange(min(count, len(table))) + 10**6)
    return [row | changes for row in rows]


def clock_on(day: str) -> Clock:
    return Clock(lambda: 86_400_000 * day_number(day), lambda now: now // 86_400_000)


def test_what_came_in_live_reaches_the_chain_once(copy_of_project: Workspace) -> None:
    place = copy_of_project
    history = stores.open_history(place)
    newest = place.merged.read(place.merged.days()[-1:])
    twice = as_sent(newest.slice(0, 5), np.arange(5) + 10**6)  # they are in a raw file too
    codes = ["001.8804823.1203199.150002.20250701.000000777", "ODD\"CODE;,' x", None, "001-8804823-1-2-3-4"]
    odd = {
        "business_step": 'W "x", y;z',
        "event_type": "ß\u2028é",
        "scan_location": "Ort, \u0085x",
        "location_id": "D-7",
    }
    new = [
        twice[0] | {"event_id": 2 * 10**6 + n, "epc_code": code, **(odd if n % 2 else {})}
        for n, code in enumerate(codes)
    ]
    desk = Judging(history, settings_of(place), Models, clock_on("2025-12-20"))
    desk.judge([read_rows(twice + new + twice, ZONE)])
    history.close()
    assert stores.export(place) == {"2025-12-20.csv": 9}
    assert stores.export(place) == {}
    before = sum(place.merged.rows(day) or 0 for day in place.merged.days())
    taken = place.intake.take_in()
    assert [(file.path, file.rows_kept, file.rows_quarantined) for file in taken] == [("live/2025-12-20.csv", 9, 0)]
    chain.make_merged(place, place.intake.days())
    merged = place.merged.read(place.merged.days())
    assert len(merged) == before + 4  # what came both ways is one scan
    found = [row for row in merged.to_pylist() if (row["event_id"] or 0) >= 2 * 10**6]
    assert sorted(row["epc_code"] or "" for row in found) == sorted(
        ["001.8804823.1203199.150002.20250701.000000777", "ODD\"CODE;,' X", "", "001.8804823.1.2.3.4"]
    )
    strange = next(row for row in found if row["epc_code"] == "ODD\"CODE;,' X")
    assert (strange["business_step"], strange["event_type"], strange["location_text"]) == (
        'W "x", y;z',
        "ß\u2028é",
        "D-7",
    )
    assert strange["scan_location"] == "Ort, \u0085x" and strange["file_id"] == "1"


def test_more_of_a_day_makes_its_file_anew(copy_of_project: Workspace) -> None:
    place = copy_of_project
    for number in range(2):
        history = stores.open_history(place)
        desk = Judging(history, settings_of(place), Models, clock_on("2025-12-21"))
        desk.judge([read_rows(sent_live(place, 3, file_id=number, event_type=f"T{number}"), ZONE)])
        history.close()
        assert stores.export(place) == {"2025-12-21.csv": 3 * (number + 1)}


@pytest.fixture
def sampled(copy_of_project: Workspace) -> Workspace:
    """A replay of which every EPC is in the sample."""
    place = copy_of_project
    table = place.merged.read(place.merged.days())
    time = table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    sent = as_sent(table, np.argsort(np.argsort(time, kind="stable")))
    models = models_of(place)
    sample = Sample(stores.serving_folder(place) / "answers", 1)
    desk = Judging(MemoryHistory(), settings_of(place), lambda: models, zone_clock(ZONE), sample=sample)
    for rows in requests_by_time(time, np.random.default_rng(0), 300)[:8]:
        desk.judge([read_rows([sent[row] for row in rows], ZONE)])
    return place


def test_the_sample_is_judged_again_to_the_same(sampled: Workspace) -> None:
    found = summary(nightly_side.parity(sampled))
    assert found["equal"] > 500 and found["mismatch"] == found["missing"] == found["not comparable"] == 0


def test_parity_tells_mismatch_from_missing(sampled: Workspace) -> None:
    folder = stores.serving_folder(sampled) / "answers"
    sample = read_sample(folder)[:60]
    nightly, settings = nightly_rows(sampled.merged, sample), settings_of(sampled)
    model = models_of(sampled).lstm

    def outcomes(sample: Any, nightly: pa.Table, settings: Settings = settings) -> dict[str, int]:
        return summary(compare(sample, nightly, lambda _: model, settings))

    assert {found for found, count in outcomes(sample, nightly).items() if count} == {"equal"}
    gone = nightly.filter(pa.compute.not_equal(nightly.column("epc_code").cast(pa.string()), sample[0].epc))
    lost = [one for one in compare(sample, gone, lambda _: model, settings) if one.outcome != "equal"]
    assert {(one.epc, one.outcome) for one in lost} == {(sample[0].epc, "missing")}
    wrong = sample[0].verdicts.copy()
    wrong["lstm"][0, 0] += 1e-4
    told = compare([replace(sample[0], verdicts=wrong)], nightly, lambda _: model, settings)
    assert told[0].outcome == "mismatch" and "probabilities differ by 0.0001" in told[0].why
    wrong = sample[0].verdicts.copy()
    wrong["rule_labels"][0] ^= 1
    assert compare([replace(sample[0], verdicts=wrong)], nightly, lambda _: model, settings)[0].why.startswith(
        "the rules"
    )
    slower = replace(settings, rules=replace(settings.rules, v_max=1.0))
    assert outcomes(sample, nightly, slower)["mismatch"] > 0  # a live side of another configuration
    assert summary(compare(sample, nightly, lambda _: None, settings))["not comparable"] > 0


def test_a_sample_that_was_cut_off_is_read(tmp_path: Path, sampled: Workspace) -> None:
    folder = stores.serving_folder(sampled) / "answers"
    path = next(folder.glob("*.jsonl"))
    count = len(read_sample(folder))
    path.write_bytes(path.read_bytes()[:-10])
    assert len(read_sample(folder)) == count - 1


def test_which_epcs_are_sampled_is_the_same_everywhere(tmp_path: Path) -> None:
    sample = Sample(tmp_path, 4)
    chosen = [number for number in range(40) if sample.wants(f"EPC{number}")]
    assert chosen == [number for number in range(40) if Sample(tmp_path / "x", 4).wants(f"EPC{number}")]
    assert 0 < len(chosen) < 25
    assert not any(Sample(tmp_path, 0).wants(f"EPC{number}") for number in range(40))


def test_a_file_is_judged_as_the_api_judges_its_rows(
    copy_of_project: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = copy_of_project
    monkeypatch.setenv("BARCODE_PIPELINE_ROOT", str(place.root))
    table = place.merged.read(place.merged.days())
    rows = as_sent(table.slice(0, 300), np.arange(300))
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    path = place.root / "some.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    models = models_of(Workspace.open(place.root))
    from barcode_pipeline.serving.answers import answer

    for endpoint in ("lstm", "rule", "svm"):
        assert main(["score", str(path), "--endpoint", endpoint]) == 0
        told = json.loads(capsys.readouterr().out)
        scans = read_rows(rows, ZONE)
        desk = Judging(MemoryHistory(), settings_of(place), lambda: models, zone_clock(ZONE))
        assert told == json.loads(json.dumps(answer(scans, desk.judge([scans]).verdicts[0], endpoint, True)))  # type: ignore[arg-type]
    path.write_text(text.getvalue().replace("2025-0", "never-"), encoding="utf-8")
    assert main(["score", str(path)]) == 2
    assert "line 2" in capsys.readouterr().err
    with pytest.raises(UserError, match="There is no file"):
        opening.score(place, place.root / "none.csv", "lstm")


def test_commands_tell_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BARCODE_PIPELINE_ROOT", str(tmp_path))
    assert main(["history", "fill"]) == 2
    (tmp_path / "configuration.toml").write_text('[serving]\nhistory = "redis://127.0.0.1:1/0"\n')
    assert main(["history", "fill"]) == 2
    (tmp_path / "configuration.toml").write_text("[serving]\nworkers = 2\n")
    assert main(["serve"]) == 2
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    told = capsys.readouterr().err
    assert "needs Redis" in told and "no key is asked for" in told
