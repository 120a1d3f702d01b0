"""Who may ask, and how often: API keys that change without a restart, and a limit on the rate of requests."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from barcode_pipeline.errors import UserError

_LOOK_SECONDS = 1.0
_MOST_CLIENTS = 10_000


class Keys:
    """The keys of a file, one a line; `#` begins a comment. The file is looked at again when it changes.

    Parameters
    ----------
    path: None where no key is asked for.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = -_LOOK_SECONDS
        self._changed: tuple[int, int] | None = None
        self._digests: tuple[bytes, ...] = ()
        if path is not None:
            self._look()
            if not self._digests:
                raise UserError(f"{path} holds no key: write one a line, or leave serving.keys_file empty.")

    @property
    def asked_for(self) -> bool:
        return self._path is not None

    def find(self, given: str | None) -> int | None:
        """A number for the client whose key it is, None where it is no key. Takes as long for every key."""
        if self._path is None:
            return 0
        self._look()
        digest = hashlib.sha256((given or "").encode()).digest()
        found = None
        for number, key in enumerate(self._digests):
            if hmac.compare_digest(key, digest) and given:
                found = number
        return found

    def _look(self) -> None:
        if self._path is None or self._clock() - self._looked < _LOOK_SECONDS:
            return
        self._looked = self._clock()
        try:
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_size) == self._changed:
                return
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            if self._changed is None:
                raise UserError(f"The keys in {self._path} cannot be read ({error}): put one key a line.") from error
            return  # the keys that were there stay: a file that is being replaced locks nobody out
        self._changed = (stat.st_mtime_ns, stat.st_size)
        keys = [line.partition("#")[0].strip() for line in lines]
        self._digests = tuple(hashlib.sha256(key.encode()).digest() for key in keys if key)


class RateLimit:
    """So many requests a second of each client, and as many at once (a token bucket).

    Parameters
    ----------
    per_second: 0: no limit.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """0 where the client may ask now, else the seconds until it may."""
        if not self._per_second:
            return 0.0
        now = self._clock()
        left, since = self._left.pop(client, (max(1.0, self._per_second), now))
        left = min(max(1.0, self._per_second), left + (now - since) * self._per_second)
        allowed = left >= 1
        self._left[client] = (left - 1 if allowed else left, now)
        if len(self._left) > _MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._per_second


def check_open(host: str, keys: Keys) -> None:
    """Refuse to serve the network without keys."""
    if keys.asked_for or is_loopback(host):
        return
    raise UserError(
        f"serving.host is {host}, which others can reach, and no key is asked for: name a file of keys in "
        "serving.keys_file, or bind to 127.0.0.1."
    )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
