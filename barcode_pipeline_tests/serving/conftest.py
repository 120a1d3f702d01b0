"""What the tests of the live API share: a Redis of their own, and small worlds as rows that clients send."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from barcode_pipeline.serving.history import History
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.redis_history import RedisHistory
from barcode_pipeline.serving.sqlite_history import SqliteHistory

Opened = Callable[[], History]
"""Opens the same store once more, as another process would."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class RedisServer:
    """A Redis with an append-only file, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                   "--appendonly", "yes", "--appendfsync", "always", "--save", ""]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                redis.Redis(port=self.port).ping()
                return
            except redis.RedisError:
                time.sleep(0.05)
        raise AssertionError("redis-server does not answer")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: the Redis history is not tested here")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """A store of each kind, empty, to be opened as often as the test likes."""
    made: list[History] = []
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        redis.Redis(port=server.port).flushall()
    memory = MemoryHistory()

    def open_once() -> History:
        if request.param == "memory":
            return memory
        one: History = SqliteHistory(tmp_path / "h.sqlite") if request.param == "sqlite" else RedisHistory(server.url)
        made.append(one)
        return one

    yield open_once
    for one in made:
        one.close()
