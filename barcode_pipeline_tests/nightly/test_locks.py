"""One at a time: a lock that dies with its process, and says who holds it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from barcode_pipeline.events.locks import BusyError, alone

HOLDER = """
import sys
from pathlib import Path
from barcode_pipeline.events.locks import alone
with alone(Path(sys.argv[1]), "the holder"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_who_does_not_wait_is_told_who_holds_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(BusyError, match=rf"^the holder \(process {holder.pid} on .*, since 20"),
        alone(tmp_path / "lock", "another", wait=False),
    ):
        pass


def test_the_lock_dies_with_its_process(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with alone(tmp_path / "lock", "another", wait=False):
        assert (tmp_path / "lock").read_text().startswith("another (process ")


def test_who_waits_says_for_whom_and_comes_next(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    said: list[str] = []
    entered = threading.Event()

    def wait() -> None:
        with alone(tmp_path / "lock", "the waiting one", said.append):
            entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not said:
        assert thread.is_alive()
    assert said[0].startswith(f"waiting for the holder (process {holder.pid}") and not entered.is_set()
    assert holder.stdin is not None
    holder.stdin.close()
    thread.join(20)
    assert entered.is_set() and len(said) == 1


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), alone(tmp_path / "lock", "one"):
        raise ValueError("x")
    with alone(tmp_path / "lock", "two", wait=False):
        pass
