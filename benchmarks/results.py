"""What a figure is, and `results.json`: figures with the machine and the commit they were measured on.

How a figure is measured does not belong here.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from benchmarks.quiet import TOLERATED_CORES

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results.json"


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    value, unit: what was measured, also where it falls short of the target. how: in a sentence or two. at_most,
    at_least: the target, if there is one. more: what the value was made of (rounds, stages), plain values only.
    others: cores that were meanwhile busy with something else; None where that is not known.
    """

    value: float
    unit: str
    how: str
    at_most: float | None = None
    at_least: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    others: float | None = None

    def target(self) -> str | None:
        if self.at_most is not None:
            return f"≤ {self.at_most:,.10g}"
        return None if self.at_least is None else f"≥ {self.at_least:,.10g}"

    def disturbed(self) -> bool:
        """Whether something else was running: the value is then no figure of this program."""
        return self.others is not None and self.others > TOLERATED_CORES

    def met(self) -> bool | None:
        """Whether the target is reached, None without one or where the measurement was disturbed."""
        if self.disturbed():
            return None
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    def entry(self) -> dict[str, Any]:
        """What `results.json` holds of it."""
        entry: dict[str, Any] = {"value": rounded(self.value), "unit": self.unit, "how": self.how}
        if self.target() is not None:
            entry |= {"target": self.target(), "met": self.met()}
        if self.others is not None:
            entry |= {"cores_busy_with_others": round(self.others, 2), "disturbed": self.disturbed()}
        return entry | dict(self.more)


def rounded(value: float) -> float:
    """Four significant digits: more than a timing can bear would only look exact."""
    return float(f"{value:.4g}")


def write_results(figures: Mapping[str, Figure], path: Path = RESULTS) -> None:
    """Put figures into the file, beside and renamed. Those of earlier runs stay, with the commit of their own.

    Raises UserError where the file that lies there cannot be read.
    """
    here, commit = machine(), commit_of(REPOSITORY)
    earlier = _read(path)
    kept = dict(earlier.get("figures", {}))
    if earlier.get("machine", here) != here:
        kept = {name: {"machine": earlier["machine"], **entry} for name, entry in kept.items()}
    measured = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    new = {name: {**figure.entry(), "measured": measured, "commit": commit} for name, figure in figures.items()}
    content = {"figures": {**kept, **new}, "machine": here, "commit": commit}
    with written_beside(path) as beside:
        beside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): remove it and measure again.") from error
    if not isinstance(content, dict) or not isinstance(content.get("figures", {}), dict):
        raise UserError(f"{path} holds no figures by name: remove it and measure again.")
    return content


def machine() -> dict[str, Any]:
    """The machine and what runs on it."""
    return {
        "cpu": _cpu_model(),
        "cores": len(usable_cores()) or os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "pyarrow": importlib.metadata.version("pyarrow"),
        "numba": importlib.metadata.version("numba"),
    }


def usable_cores() -> set[int]:
    """The cores this process may run on; empty where the system does not say (it is no Linux)."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit_of(repository: Path) -> str | None:
    """The commit that is checked out, with `-dirty` where files differ from it; None outside git."""
    command = ["git", "-C", str(repository), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def table(figures: Mapping[str, Figure]) -> str:
    """The figures as lines of text: name, value, unit, target, whether it is met."""
    words = {None: "", True: "met", False: "missed"}
    rows = [("figure", "value", "unit", "target", "")]
    rows += [
        (
            name,
            f"{rounded(figure.value):,.10g}",
            figure.unit,
            figure.target() or "",
            "disturbed: measure again" if figure.disturbed() else words[figure.met()],
        )
        for name, figure in figures.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join((name.ljust(widths[0]), value.rjust(widths[1]), *map(str.ljust, rest, widths[2:]))).rstrip()
        for name, value, *rest in rows
    )
