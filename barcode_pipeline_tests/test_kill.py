"""`make run`, killed at random moments and started again, ends where an undisturbed run ends."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from barcode_pipeline_tests.test_commands import bare_environment, clone

EVENTS = 20_000
ROUNDS, KILLS = 4, 5
"""Each round starts from nothing and is killed so many times before it may end."""


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["make", "--old-file=.venv/.installed", "run", f"EVENTS={EVENTS}", "SEED=3"],
        cwd=folder,
        env=bare_environment(),
        stdin=subprocess.DEVNULL,
        stdout=(folder / "run.log").open("ab"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(folder: Path) -> None:
    process = start(folder)
    assert process.wait(600) == 0, (folder / "run.log").read_text(errors="replace")[-3000:]


def contents(folder: Path) -> dict[str, str]:
    """Hash of every data file. The ledger and what is kept beside it name files and times and are left out, and so are,
    of scores and alerts, the names of model files: another run's model has another one."""
    found = {}
    for path in sorted((folder / "data").rglob("*")):
        if path.is_file() and path.suffix != ".sqlite" and path.parent.name != "_made":
            names_a_model = path.parent.name in ("scores", "alerts") and path.suffix == ".parquet"
            content = but_for_the_model(path) if names_a_model else path.read_bytes()
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def but_for_the_model(path: Path) -> bytes:
    """A file's rows without the column that names their model."""
    table, sink = pq.read_table(path).drop_columns(["model_file"]), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as stream:
        stream.write_table(table.replace_schema_metadata())
    return sink.getvalue().to_pybytes()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Weights of the model in service."""
    pointer = json.loads((folder / "models" / "lstm" / "in_service.json").read_text())
    return torch.load(folder / "models" / "lstm" / pointer["model_file"], weights_only=True)["weights"]


@pytest.mark.slow
def test_killed_runs_end_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = clone(tmp_path / "undisturbed")
    finish(undisturbed)
    expected, learnt = contents(undisturbed), weights(undisturbed)
    begun = time.monotonic()
    finish(undisturbed)
    seconds = time.monotonic() - begun
    assert contents(undisturbed) == expected, "a second run makes other bytes"
    moments = random.Random(20)
    killed = 0
    for number in range(ROUNDS):
        folder = clone(tmp_path / f"killed_{number}")
        for _ in range(KILLS):
            process = start(folder)
            time.sleep(moments.uniform(0.3, 0.95) * seconds * moments.choice((0.3, 0.6, 1.0)))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            process.wait()
        finish(folder)
        found = contents(folder)
        assert found == expected, sorted(set(found.items()) ^ set(expected.items()))[:10]
        for name, tensor in weights(folder).items():
            assert torch.equal(tensor, learnt[name]), name
        shutil.rmtree(folder)
    assert killed >= ROUNDS * KILLS // 2, "the moments were too late to kill anything"
