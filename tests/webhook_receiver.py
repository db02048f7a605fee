"""HTTP servers that alerts are delivered to in tests: they verify, fail, hang or lead astray."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

#: Base64 of 32 bytes, made up.
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class Receiver:
    """An endpoint for webhooks.

    Attributes:
        fails: Share of requests that are answered with 503, before they count.
        hangs: Whether nothing is answered.
        leads: Where every request is redirected to, or empty.
        told: CloudEvents that were taken, with the time, in order of receipt.
        refused: Why requests were not taken.
    """

    fails: float = 0.0
    hangs: bool = False
    leads: str = ""
    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _dice: random.Random = field(default_factory=lambda: random.Random(5))

    def answer(self, headers: Any, body: bytes) -> int:
        """Take a request, or not; return the status."""
        at = time()
        if self.hangs:
            self._closing.wait(60)
            return 503
        with self._lock:
            if self.leads:
                return 307
            if self._dice.random() < self.fails:
                return 503
            try:
                Webhook(SECRET).verify(body, {key.lower(): value for key, value in headers.items()})
            except WebhookVerificationError as error:
                self.refused.append(str(error))
                return 401
            event = json.loads(body)
            assert headers["webhook-id"].startswith("msg_")
            self.told.append((at, event))
            return 204

    def notifications(self) -> list[dict[str, Any]]:
        """Return what was told, in order of receipt."""
        with self._lock:
            return [event["data"] for _, event in self.told]

    def moments(self, *actions: str) -> set[str]:
        """Return the moments that notifications of some actions listed."""
        return {
            moment
            for said in self.notifications()
            if said["action"] in actions
            for moment in said["moment_ids"]
        }

    def close(self) -> None:
        """Answer what hangs."""
        self._closing.set()


@contextmanager
def receiving(receiver: Receiver, port: int = 0) -> Iterator[Receiver]:
    """Serve a receiver on loopback for the duration of a block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            status = receiver.answer(self.headers, self.rfile.read(length))
            self.send_response(status)
            if status == 307:
                self.send_header("Location", receiver.leads)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            return  # a client that was killed

    server = Server(("127.0.0.1", port), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.close()
        server.shutdown()
        server.server_close()
        thread.join()
