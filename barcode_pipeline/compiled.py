"""Compiling loops over journeys, with a cache that knows when any of the code has changed.

numba's own cache looks at a function's file alone: after a change to a function that is called from another
file, the caller would go on running the old machine code. So the cache lies in a folder named by the content
of the packages that compile anything: kernels also hold constants of files that compile nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

_COMPILING = ("events", "rules", "sequences", "models")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function on its first call; it runs without the interpreter lock and is cached on disk."""
    kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return kernel


def inlined(function: _Function) -> _Function:
    """Compile a small function into each compiled caller: a call with many arrays costs more than such a body."""
    kernel: Any = numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")(function)
    return kernel


def _cache_folder() -> Path:
    package = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode() + Path(__file__).read_bytes())
    for part in _COMPILING:
        for path in sorted((package / part).rglob("*.py")):
            digest.update(path.read_bytes())
    home = package / "__pycache__"
    if not os.access(package, os.W_OK):
        home = Path(tempfile.gettempdir()) / f"barcode_pipeline_{os.getuid()}"
    folder = home / f"kernels-{digest.hexdigest()[:16]}"
    if not folder.exists():
        for outdated in home.glob("kernels-*"):
            shutil.rmtree(outdated, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    return folder


numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]
