"""A real receiver of webhooks on a free port, which answers, refuses, hangs or drips as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """status: of every answer; 0 drips it, a byte each tenth of a second. seconds: before it answers."""

    status: int = 200
    seconds: float = 0.0
    address: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(json.loads(body))
            receiver.headers.append(dict(self.headers))
            receiver.end.wait(receiver.seconds)
            if receiver.status:
                self.send_response(receiver.status)
                if 300 <= receiver.status < 400:
                    self.send_header("Location", receiver.address + "/elsewhere")
                self.end_headers()
                return
            while not receiver.end.is_set():
                self.wfile.write(b"H")
                self.wfile.flush()
                time.sleep(0.1)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.end.set()
        server.shutdown()
        server.server_close()
