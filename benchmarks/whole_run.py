"""The whole of `make run`, in a copy of this working tree: how long it takes and how much memory it holds at most."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from barcode_pipeline.errors import UserError
from benchmarks.results import REPOSITORY, Figure, rounded
from benchmarks.worlds import SEED, Worlds

SECONDS_BETWEEN_SAMPLES = 0.2
_PROCESSES = Path("/proc")
_INSTALLED = "--old-file=.venv/.installed"
"""The virtual environment is there already: make is told to take it as it is."""


def whole_run(worlds: Worlds) -> dict[str, Figure]:
    """Seconds and peak memory of `make run`, as a user has it right after the installation."""
    if not (_PROCESSES / "self" / "smaps_rollup").exists():
        raise UserError("peak_memory_gb and run_seconds are sampled from /proc/*/smaps_rollup: measure them on Linux.")
    copy = copy_working_tree(worlds.folder / "whole_run")
    asked = (f"EVENTS={worlds.events}", f"SEED={SEED}")
    run_make(copy, "install")
    run_make(copy, "data", *asked)
    seconds, samples, sampling = run_make(copy, "run", *asked)
    peak = max(samples)
    how = (
        f"`make run EVENTS={worlds.events} SEED={SEED}` in a copy of the working tree, {{}} "
        "Nothing of an earlier run lies there: compiling the kernels is included, installing and simulating are not."
    )
    memory = "memory of all its processes summed (PSS of /proc/*/smaps_rollup), the most of a sample every 0.2 s."
    more = {
        "samples": len(samples),
        "peak_after_seconds": rounded(samples.index(peak) * seconds / len(samples)),
        "share_of_time_sampling": rounded(sampling / seconds),
    }
    return {
        "peak_memory_gb": Figure(peak / 2**30, "GiB", how.format(memory), at_most=3, more=more),
        "run_seconds": Figure(
            seconds, "s", how.format("wall-clock seconds, memory being sampled meanwhile."), at_most=300, more=more
        ),
    }


def copy_working_tree(target: Path) -> Path:
    """Copy what git tracks or would track, with times of change; the virtual environment is linked."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise UserError(f"{REPOSITORY} is no git repository ({listed.stderr.strip()}): measure in a clone.")
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
    (target / ".venv").symlink_to(sys.prefix)
    return target


def run_make(folder: Path, goal: str, *variables: str) -> tuple[float, list[int], float]:
    """Run make in a folder: (seconds, memory of its processes at each sample in bytes, seconds spent sampling)."""
    log = folder / f"{goal}.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            ["make", _INSTALLED, goal, *variables],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            samples, sampling = _sample(process)
        finally:
            if process.poll() is None:  # We are being stopped, and its session would go on without us.
                os.killpg(process.pid, signal.SIGTERM)
        seconds = time.perf_counter() - started
    if process.returncode:
        end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        raise UserError(f"`make {goal}` ended with {process.returncode} in a copy of the tree:\n" + "\n".join(end))
    return seconds, samples, sampling


def _sample(process: subprocess.Popen[bytes]) -> tuple[list[int], float]:
    """Until a process ends: memory of its session at each sample in bytes, and seconds spent on looking."""
    samples, sampling = [0], 0.0
    while True:
        begun = time.perf_counter()
        samples.append(memory_of_session(process.pid))
        sampling += time.perf_counter() - begun
        try:
            process.wait(SECONDS_BETWEEN_SAMPLES)
            return samples, sampling
        except subprocess.TimeoutExpired:
            continue


def _environment(folder: Path) -> dict[str, str]:
    """Ours, without what `make bench` and env.sh have put there, and with the copy's code before the installed one."""
    ours = ("BARCODE_PIPELINE_", "DAGSTER_", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # Should make want to install all the same, pip must not point the linked environment at a folder that will go.
    return {**kept, "PYTHONPATH": str(folder), "PIP_DRY_RUN": "1"}


def memory_of_session(leader: int) -> int:
    """Proportional set size in bytes of a session's processes and of all that descend from them."""
    parents, members = {}, {leader}
    for folder in _PROCESSES.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name of the program, in brackets, may hold anything.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # It has ended.
        parents[int(folder.name)] = int(fields[1])
        if int(fields[3]) == leader:
            members.add(int(folder.name))
    grown = True
    while grown:
        children = {process for process, parent in parents.items() if parent in members} - members
        members |= children
        grown = bool(children)
    return sum(map(_proportional_set_size, members))


def _proportional_set_size(process: int) -> int:
    try:
        lines = (_PROCESSES / str(process) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # It has ended, or is a zombie.
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
