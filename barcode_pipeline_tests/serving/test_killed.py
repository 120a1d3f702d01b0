"""The service killed at any moment, Redis too, and minutes at full load. Slow: each start takes seconds.

The client retries, as clients do. In the end every event that was answered is there, once, and every answer is as a
service that nobody kills gives it.
"""

from __future__ import annotations

import datetime
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.serving import nightly
from barcode_pipeline.serving.answers import answer
from barcode_pipeline.serving.clock import zone_clock
from barcode_pipeline.serving.history import History
from barcode_pipeline.serving.judge import Models
from barcode_pipeline.serving.judging import Judging
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.requests import read_rows
from barcode_pipeline.serving.rows import unpack
from barcode_pipeline.serving.stores import open_history
from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.models.untrained import random_model
from barcode_pipeline_tests.serving.batch import as_sent
from barcode_pipeline_tests.serving.conftest import RedisServer, free_port
from barcode_pipeline_tests.serving.standins import PATHS

KILLS = 50
pytestmark = pytest.mark.slow


def project(root: Path, history: str = "sqlite") -> Workspace:
    """Reference tables, a model, and raw files that only the client reads."""
    write_simulation(root, World(events=6000, seed=9))
    (root / "configuration.toml").write_text(f'[serving]\nhistory = "{history}"\nsample_one_in = 5\n')
    registry = ModelRegistry(root / "models")
    registry.put_in_service(registry.add(random_model(4), datetime.date(2025, 9, 1)))
    return Workspace.open(root)


def requests_of(place: Workspace, size: int) -> list[bytes]:
    place.intake.take_in()
    table, _, _ = place.intake.read(place.intake.days())
    order = np.random.default_rng(0).permutation(len(table))
    rows = as_sent(table, order)
    sent = [rows[row] for row in np.argsort(order)]
    return [json.dumps({"data": sent[start : start + size]}).encode() for start in range(0, len(sent), size)]


class Killable:
    """`barcode-pipeline serve` in a process of its own, always on the same port."""

    def __init__(self, place: Workspace) -> None:
        self.place, self.port = place, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "barcode_pipeline.cli", "serve", "--port", str(self.port)]
        environment = {**os.environ, "BARCODE_PIPELINE_ROOT": str(self.place.root), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def end(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait()


def ask(port: int, body: bytes, gone: threading.Event | None = None) -> Any:
    """The answer to a request, however often it takes; no answer but 200 and 503 counts as one."""
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("POST", PATHS["lstm"], body)
            response = connection.getresponse()
            content = response.read()
            if response.status == 200:
                return json.loads(content)
            assert response.status == 503, content
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)


def undisturbed(place: Workspace, bodies: list[bytes]) -> list[Any]:
    """The answers of a service that nobody kills."""
    models = nightly.open_models(place)
    models.refresh()
    desk = Judging(MemoryHistory(), nightly.judge_settings(place), models.models, zone_clock("Asia/Seoul"))
    answers = []
    for body in bodies:
        scans = read_rows(json.loads(body)["data"], "Asia/Seoul")
        answers.append(answer(scans, desk.judge([scans]).verdicts[0], "lstm", True))
    return [rounded(one) for one in answers]


def rounded(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: rounded(value) for name, value in content.items()}
    if isinstance(content, list):
        return [rounded(value) for value in content]
    return round(content, 2) if isinstance(content, float) else content


def check_history(history: History, place: Workspace, bodies: list[bytes]) -> None:
    """Every scan once: what the chain's functions make of all that was sent, and what will be handed to the chain."""
    from barcode_pipeline.events.codes import canonical_codes

    sent = [row for body in bodies for row in json.loads(body)["data"]]
    scans = read_rows(sent, "Asia/Seoul")
    import pyarrow as pa

    codes = canonical_codes(pa.array(scans.sent, pa.string())).to_pylist()
    keys = sorted({code for code in codes if code})
    rows, key = unpack(history.journeys(keys))
    found = [(keys[k], int(row["event_id"])) for k, row in zip(key, rows, strict=True)]
    assert len(set(found)) == len(found)
    memory = MemoryHistory()
    desk = Judging(memory, nightly.judge_settings(place), Models, zone_clock("Asia/Seoul"))
    for body in bodies:
        desk.judge([read_rows(json.loads(body)["data"], "Asia/Seoul")])
    rows, key = unpack(memory.journeys(keys))
    assert sorted(found) == sorted((keys[k], int(row["event_id"])) for k, row in zip(key, rows, strict=True))
    assert sum(history.live_days().values()) == sum(memory.live_days().values())


@contextmanager
def killing(service: Killable, kills: int) -> Iterator[list[int]]:
    """Kill the service again and again at random moments, `kills` times, and start it anew each time."""
    done: list[int] = [0]
    stop = threading.Event()
    chance = random.Random(1)

    def kill() -> None:
        while done[0] < kills and not stop.is_set():
            answered = threading.Event()
            while not stop.is_set() and not _lives(service.port):
                time.sleep(0.05)
            answered.wait(chance.uniform(0.0, 0.4))
            service.end(signal.SIGKILL)
            done[0] += 1
            service.start()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield done
    finally:
        thread.join()
        stop.set()


def _lives(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False


def test_killed_fifty_times_it_loses_nothing(tmp_path: Path) -> None:
    place = project(tmp_path)
    bodies = requests_of(place, 6)
    service = Killable(place)
    service.start()
    answers: list[Any] = []
    with killing(service, KILLS) as done:
        while done[0] < KILLS and len(answers) < len(bodies):
            answers.append(rounded(ask(service.port, bodies[len(answers)])))
    used = bodies[: len(answers)]
    again = [rounded(ask(service.port, body)) for body in used[::7]]
    service.end(signal.SIGTERM)
    assert done[0] == KILLS and len(used) > KILLS
    assert answers == undisturbed(place, used)
    assert again == answers[::7]
    history = open_history(place)
    check_history(history, place, used)
    history.close()


def test_redis_killed_and_restarted_loses_nothing(redis_server: RedisServer, tmp_path: Path) -> None:
    redis.Redis(port=redis_server.port).flushall()
    place = project(tmp_path, redis_server.url)
    bodies = requests_of(place, 12)[:250]
    service = Killable(place)
    service.start()
    answers: list[Any] = []
    stop, kills = threading.Event(), [0]

    def kill_redis() -> None:
        # By answers, not by the clock: a fast machine would be done before the third kill.
        chance, after = random.Random(2), 0
        while not stop.is_set():
            after += chance.randint(15, 50)
            while len(answers) < after and not stop.wait(0.001):
                pass
            if stop.is_set():
                return
            redis_server.kill()
            kills[0] += 1
            time.sleep(chance.uniform(0.0, 0.5))
            redis_server.start()

    while not _lives(service.port):
        time.sleep(0.1)
    thread = threading.Thread(target=kill_redis)
    thread.start()
    for body in bodies:
        answers.append(rounded(ask(service.port, body)))
    stop.set()
    thread.join()
    service.end(signal.SIGTERM)
    assert kills[0] >= 3
    assert answers == undisturbed(place, bodies)
    history = open_history(place)
    check_history(history, place, bodies)
    history.close()


def test_minutes_at_full_load_leave_latency_and_memory_flat(tmp_path: Path) -> None:
    """`SOAK_SECONDS` says how long; ten minutes by default."""
    seconds = float(os.environ.get("SOAK_SECONDS", "600"))
    place = project(tmp_path)
    rows = [row for body in requests_of(place, 50) for row in json.loads(body)["data"]]
    service = Killable(place)
    service.start()
    while not _lives(service.port):
        time.sleep(0.1)
    started, ms, memory, number = time.monotonic(), [], [], 0
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    assert service.process is not None
    while time.monotonic() - started < seconds:
        body = []
        for _ in range(50):
            # The same world over and over, each time with other lots: goods come and go.
            again, row = divmod(number, len(rows))
            number += 1
            code = rows[row]["epc_code"]
            parts = code.split(".") if code else []
            if len(parts) == 6:
                code = ".".join([*parts[:3], f"{again:06}", *parts[4:]])
            body.append(rows[row] | {"event_id": number, "epc_code": code})
        sent = time.perf_counter()
        connection.request("POST", PATHS["lstm"], json.dumps({"data": body}).encode())
        response = connection.getresponse()
        assert response.status == 200, response.read()
        response.read()
        ms.append(1000 * (time.perf_counter() - sent))
        if number % 5000 == 0:
            status = Path(f"/proc/{service.process.pid}/status").read_text()
            memory.append(int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]))
    service.end(signal.SIGTERM)
    part = len(ms) // 5
    early, late = float(np.median(ms[part : 2 * part])), float(np.median(ms[-part:]))
    held_early, held_late = memory[len(memory) // 3], memory[-1]
    print(f"{len(ms)} requests; p50 {early:.1f} → {late:.1f} ms; memory {held_early // 1024} → {held_late // 1024} MB")
    assert late < 1.5 * early + 2
    assert held_late < 1.15 * held_early + 20_000
