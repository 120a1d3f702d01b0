"""What every store of the history promises, each of them for real."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.serving import sqlite_history
from barcode_pipeline.serving.clock import zone_clock
from barcode_pipeline.serving.history import LIVE, Alert, AlertFilter, Changes, Conflict, History, HistoryDown
from barcode_pipeline.serving.judge import Models
from barcode_pipeline.serving.judging import Judging
from barcode_pipeline.serving.redis_history import RedisHistory
from barcode_pipeline.serving.requests import read_rows
from barcode_pipeline.serving.rows import ROW, unpack
from barcode_pipeline.serving.service import warm_up
from barcode_pipeline.serving.sqlite_history import SqliteHistory
from barcode_pipeline_tests.models.untrained import random_model
from barcode_pipeline_tests.serving.cases import EPC, EVENT
from barcode_pipeline_tests.serving.conftest import Opened, RedisServer, free_port
from barcode_pipeline_tests.serving.standins import FixedModels, plain_lstm, settings

BIG = 2**64 - 1


def alert(number: int, **more: object) -> Alert:
    facts = {"key": f"E{number}", "time": 100 * number, "event_id": number, "reading": BIG - number, "location_id": 7,
             "place": "Hub", "labels": 0b100, "scores": (0.0, 0.0, 30.0 + number, 0.0, 0.0), "method": "lstm",
             "received": 1_000 + number}  # fmt: skip
    return Alert(**(facts | more))  # type: ignore[arg-type]


def write(history: History, **changes: object) -> None:
    facts: dict[str, object] = {"journeys": {}, "now": 5} | changes
    with history.transaction(list(facts["journeys"])) as transaction:  # type: ignore[call-overload]
        transaction.write(Changes(**facts))  # type: ignore[arg-type]


def test_what_was_written_is_read(opened: Opened) -> None:
    history = opened()
    write(history, journeys={"A": b"1" * ROW.itemsize, "B": b"2"}, lots={"A": "L", "B": "L"}, readings={BIG: "[1]"})
    with opened().transaction(["B", "X", "A"]) as transaction:
        assert list(transaction.journeys) == [b"2", None, b"1" * ROW.itemsize]
        news = transaction.lots({"L": None, "M": None})
        assert sorted(news["L"].journeys or ()) == [("A", b"1" * ROW.itemsize), ("B", b"2")]
        assert not news["M"].journeys
    assert history.journeys(["A", "X"]) == [b"1" * ROW.itemsize, None]
    assert history.readings([BIG, 5]) == {BIG: "[1]"} == history.some_readings(10)
    assert history.recent_lots(5) == ["L"]
    assert history.sizes() == {"epcs": 2, "alerts": 0}


def test_a_block_that_fails_writes_nothing(opened: Opened) -> None:
    history = opened()
    with pytest.raises(RuntimeError), history.transaction(["A"]) as transaction:
        transaction.write(Changes({"A": b"1"}, now=1))
        raise RuntimeError
    assert history.journeys(["A"]) == [None]


def test_many_keys_at_once(opened: Opened) -> None:
    history = opened()
    keys = [f"K{number}" for number in range(2500)]
    write(history, journeys={key: key.encode() for key in keys})
    assert history.journeys(keys) == [key.encode() for key in keys]
    assert history.journeys([]) == []


def test_pages_of_alerts_stay_while_new_ones_come_in(opened: Opened) -> None:
    history = opened()
    write(history, alerts=[alert(number) for number in range(1, 6)])
    first, cursor = history.alerts(None, AlertFilter(), 2)
    write(history, alerts=[alert(9, time=0)])
    second, cursor = history.alerts(cursor, AlertFilter(), 2)
    third, cursor = history.alerts(cursor, AlertFilter(), 10)
    assert [one.event_id for one in first + second + third] == [1, 2, 3, 4, 5, 9]
    assert first[0] == alert(1)
    assert history.alerts(cursor, AlertFilter(), 10) == ([], cursor)
    write(history, alerts=[alert(10)])
    assert [one.event_id for one in history.alerts(cursor, AlertFilter(), 10)[0]] == [10]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (AlertFilter(since=300), [3, 4]),
        (AlertFilter(label=2), [1, 2, 3]),
        (AlertFilter(label=2, score=32.5), [3]),
        (AlertFilter(score=32.5), [3, 4]),
        (AlertFilter(site=7), [1, 3, 4]),
        (AlertFilter(site="Dock"), [2]),
        (AlertFilter(label=0), [4]),
        (AlertFilter(since=200, label=2, site=7), [3]),
    ],
)
def test_alerts_are_filtered(opened: Opened, chosen: AlertFilter, expected: list[int]) -> None:
    history = opened()
    fake = alert(4, labels=1, scores=(99.0, 0.0, 0.0, 0.0, 0.0))
    write(history, alerts=[alert(1), alert(2, location_id=None, place="Dock"), alert(3), fake])
    assert [one.event_id for one in history.alerts(None, chosen, 10)[0]] == expected


def test_live_scans_are_kept_by_day(opened: Opened) -> None:
    history = opened()
    row = np.zeros(1, LIVE)
    row["event_id"] = 12
    write(history, live=[("A", row.tobytes()), ("", row.tobytes())], day=20_000)
    write(history, live=[("B", row.tobytes())], day=20_000)
    write(history, live=[("C", row.tobytes())], day=20_001)
    assert opened().live_days() == {20_000: 3, 20_001: 1}
    assert history.live(20_000) == [("A", row.tobytes()), ("", row.tobytes()), ("B", row.tobytes())]
    assert history.live(7) == []


def test_a_lot_that_another_process_changed_is_brought_up(opened: Opened) -> None:
    history, other = opened(), opened()
    write(history, journeys={"A": b"1"}, lots={"A": "L"}, moves={"L": b"m1"})
    with history.transaction(["A"]) as transaction:
        version = transaction.lots({"L": None})["L"].version
        unchanged = transaction.lots({"L": version})["L"]
        assert unchanged.version == version and not unchanged.changes and unchanged.journeys is None
    if other is history:
        return  # one process alone
    write(other, journeys={"B": b"2"}, lots={"B": "L"}, moves={"L": b"m2"})
    with history.transaction(["A"]) as transaction:
        news = transaction.lots({"L": version})["L"]
    assert news.version > version
    assert news.changes == [b"m2"] or sorted(news.journeys or ()) == [("A", b"1"), ("B", b"2")]
    write(other, journeys={"B": b"3"}, lots={"B": "L"})  # as `history fill` writes: without the changes
    with history.transaction(["A"]) as transaction:
        anew = transaction.lots({"L": news.version})["L"]
    assert sorted(anew.journeys or ()) == [("A", b"1"), ("B", b"3")]


def test_what_nothing_touches_is_forgotten(opened: Opened) -> None:
    history = opened()
    write(history, journeys={"A": b"1"}, alerts=[alert(1)], now=1_000)
    write(history, journeys={"B": b"2"}, now=9_000)
    history.prune(5_000)
    assert history.journeys(["B"]) == [b"2"]
    if not isinstance(history, RedisHistory):  # Redis forgets by itself, by the time of day
        assert history.journeys(["A"]) == [None]
        assert history.alerts(None, AlertFilter(), 5)[0] == []


def test_two_processes_with_one_epc_lose_no_event(opened: Opened) -> None:
    """Each writes thirty events of one EPC, one by one; both at once."""
    histories = [opened(), opened()]
    if histories[0] is histories[1]:
        pytest.skip("the memory is of one thread")
    failed: list[BaseException] = []
    models = Models(plain_lstm())
    # Compiled beforehand: who compiles within a transaction keeps the other waiting for longer than it waits.
    warm_up(settings(), FixedModels(models), "Asia/Seoul")

    def work(number: int) -> None:
        desk = Judging(histories[number], settings(), lambda: models, zone_clock("Asia/Seoul"))
        try:
            for event in range(30):
                time = f"2025-07-0{number + 1}T10:00:{event:02}"
                rows = [EVENT | {"event_id": 100 * number + event, "event_time": time}]
                desk.judge([read_rows(rows, "Asia/Seoul")])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    rows, _ = unpack(histories[0].journeys([EPC]))
    assert sorted(rows["event_id"]) == [*range(30), *range(100, 130)]
    assert sorted(rows["arrival"]) == list(range(1, 61))  # each saw all of those before it, and no half of one
    assert sum(histories[0].live_days().values()) == 60


def test_an_epc_that_is_scanned_for_ever_is_judged_by_its_last_events_alone(opened: Opened) -> None:
    """Whether its lot is in memory or has to be read: what was cut off its journey plays no part."""
    model, desks = random_model(seed=1), []
    # The lots of both are alike; that of the second is another one.
    for lot, reading_again in (("150002", False), ("150003", True)):
        desk = Judging(opened(), settings(), lambda: Models(model), zone_clock("Asia/Seoul"), last_events=3)
        found = []
        for event in range(9):
            code = EPC.replace("150002", lot)
            place = {"location_id": 1 + event % 2, "event_time": f"2025-07-{event + 2:02}T10:00:00"}
            rows = [EVENT | place | {"epc_code": code, "event_id": 10 * event + reading_again}]
            found.append(desk.judge([read_rows(rows, "Asia/Seoul")]).verdicts[0][["rule", "lstm"]])
            if reading_again:
                desk._lots.forget()
        desks.append(np.concatenate(found))
        assert len(unpack(desk.history.journeys([code]))[0]) == 3
    np.testing.assert_array_equal(desks[0], desks[1])


def test_redis_tells_a_conflict(redis_server: RedisServer) -> None:
    one, other = RedisHistory(redis_server.url), RedisHistory(redis_server.url)
    with pytest.raises(Conflict), one.transaction(["C1"]) as transaction:
        write(other, journeys={"C1": b"other"})
        transaction.write(Changes({"C1": b"mine"}, now=1))
    assert one.journeys(["C1"]) == [b"other"]


def test_redis_that_is_not_there_is_told() -> None:
    with pytest.raises(HistoryDown, match="does not answer"):
        RedisHistory(f"redis://127.0.0.1:{free_port()}/0")


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    SqliteHistory(path).close()
    import sqlite3

    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match="format version 99"):
        SqliteHistory(path)
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(UserError, match="cannot be used as a history"):
        SqliteHistory(path)


def test_checkpoints_do_not_look_like_another_writer(tmp_path: Path) -> None:
    """Else every lot would be read anew after each."""
    history = SqliteHistory(tmp_path / "h.sqlite")
    write(history, journeys={"A": b"1"}, lots={"A": "L"})
    versions = set()
    for number in range(6):
        with history.transaction(["A"]) as transaction:
            versions.add(transaction.lots({"L": None})["L"].version)
            transaction.write(Changes({"A": bytes(5000) * (number + 1)}, {"A": "L"}, now=number))
        checkpoint = threading.Thread(
            target=lambda: history._connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        )
        checkpoint.start()
        checkpoint.join()
    assert len(versions) == 1
    history.close()


def test_the_log_does_not_grow_for_ever_while_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pause between writes nobody finds all of the log moved, and without help it would never begin anew."""
    monkeypatch.setattr(sqlite_history, "LONGEST_LOG", 100)
    path = tmp_path / "h.sqlite"
    history = SqliteHistory(path)
    log, written, largest, ends = path.with_name("h.sqlite-wal"), 0, 0, time.monotonic() + 120
    while written < 500 or written * 20_000 < 3 * largest:
        assert time.monotonic() < ends, f"{written * 20_000} bytes were written, and the log has had {largest}"
        key = f"E{written % 500}"
        with history.transaction([key]) as transaction:
            time.sleep(0.01)  # judging
            transaction.write(Changes({key: bytes(20_000)}, now=5))
        written, largest = written + 1, max(largest, log.stat().st_size)
    assert sum(row is not None for row in history.journeys([f"E{number}" for number in range(500)])) == 500
    history.close()
