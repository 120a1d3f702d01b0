"""The commands that users type, in a shell, as the README writes them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from barcode_pipeline_tests.orchestration.project import make_project

REPOSITORY = Path(__file__).resolve().parents[1]
VARIABLES = re.compile(r"^(DAGSTER_|BARCODE_PIPELINE_|OMP_|VIRTUAL_ENV|PYTHON)")


def bare_environment() -> dict[str, str]:
    """That of a new terminal: without what this test's own environment sets."""
    return {name: value for name, value in os.environ.items() if not VARIABLES.match(name)}


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in bash as in a new terminal."""
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=bare_environment(), capture_output=True, text=True, check=False
    )


def clone(root: Path) -> Path:
    """What a clone with its virtual environment has, without data."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("env.sh", "dagster.yaml", "workspace.yaml", "Makefile"):
        shutil.copy(REPOSITORY / name, root / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    # An activate script for the Python that runs the tests, wherever it lies.
    activate = f'export PATH="{Path(sys.executable).parent}:$PATH" PYTHONPATH="{REPOSITORY}"\n'
    (root / ".venv" / "bin" / "activate").write_text(activate)
    return root


def test_a_date_is_materialised_as_the_readme_writes_it(tmp_path: Path) -> None:
    root = clone(make_project(tmp_path / "project", events=500))
    done = shell("source env.sh && dagster asset materialize --select merged_events --partition 2025-07-10", root)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (root / "data" / "interim" / "merged_events" / "2025-07-10.parquet").is_file()
    assert "merged_events: " in done.stderr + done.stdout
    # History is kept in the project, with the settings of dagster.yaml.
    assert (root / ".dagster_home" / "history" / "runs.db").is_file()
    assert (root / ".dagster_home" / "dagster.yaml").resolve() == (root / "dagster.yaml").resolve()


def test_a_clone_without_data_says_what_to_run_and_no_more(tmp_path: Path) -> None:
    root = clone(tmp_path / "project")
    done = shell("source env.sh && dagster asset materialize --select lstm_model", root)
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert re.search(r"^There is no training set in .*`make run`", told, re.MULTILINE)
    assert "Stack Trace" not in told and 'File "' not in told


def test_assets_are_listed_from_any_directory_under_strict_bash(tmp_path: Path) -> None:
    root = clone(tmp_path / "a project")
    done = shell(f"set -eu; source '{root}/env.sh'; dagster asset list; env", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert "evaluation_report" in lines and "merged_events" in lines
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    assert environment["BARCODE_PIPELINE_ROOT"] == str(root)
    assert environment["DAGSTER_HOME"] == str(root / ".dagster_home")
    # The first would keep `dagster dev` from serving, the second slows training where threads are few.
    assert "DAGSTER_MODULE_NAME" not in environment
    assert "OMP_NUM_THREADS" not in environment


@pytest.mark.parametrize("strict", ["", "set -eu; "])
def test_without_a_virtual_environment_env_sh_says_so(tmp_path: Path, strict: str) -> None:
    shutil.copy(REPOSITORY / "env.sh", tmp_path / "env.sh")
    done = shell(f"{strict}source env.sh || exit 7", tmp_path)
    assert done.returncode == 7
    assert "make install" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / ".dagster_home").exists()


def test_the_instance_reads_dagster_yaml(tmp_path: Path) -> None:
    root = clone(tmp_path / "project")
    program = (
        "import dagster as dg; i = dg.DagsterInstance.get(); p = i.get_concurrency_config().pool_config;"
        "print(i.telemetry_enabled, i.run_coordinator.dequeue_interval_seconds, p.default_pool_limit,"
        "i.run_monitoring_enabled, i.get_settings('run_monitoring')['free_slots_after_run_end_seconds'])"
    )
    done = shell(f'source env.sh && python -c "{program}"', root)
    assert done.stdout.split() == ["False", "1", "1", "True", "60"], done.stderr[-2000:]


def test_what_the_project_needs_is_pinned() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = dict(
        line.split("==")
        for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    names = {re.split(r"[<>=!\[; ]", requirement, maxsplit=1)[0].lower() for requirement in needed}
    assert names <= {name.lower() for name in pinned}
    # A local build's name cannot be installed elsewhere.
    assert not [version for version in pinned.values() if "+" in version]


def test_make_passes_on_which_data_is_asked_for() -> None:
    def asked(*arguments: str) -> str:
        command = ["make", "--dry-run", "--always-make", *arguments]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout

    assert "sample-data --events 20000 --seed 3" in asked("run", "EVENTS=20000", "SEED=3")
    assert re.search(r"sample-data *$", asked("data"), re.MULTILINE)
    assert "python -m benchmarks a b" in asked("bench", "FIGURES=a b")


def test_continuous_integration_runs_the_tests() -> None:
    script = REPOSITORY / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
