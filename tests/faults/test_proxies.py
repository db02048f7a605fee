"""The proxies fail as they say, and no otherwise."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from time import monotonic
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import lz4.frame
import pytest

from tests.faults.http_proxy import TABLE_IS_READ_ONLY, Fault, HttpProxy
from tests.faults.proxy import HOST, TcpProxy
from tests.waiting import until


@pytest.fixture
def echo():
    """A server that answers what it is told; yields its port."""
    with socket.create_server((HOST, 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection):
            with connection, suppress(ConnectionError):
                while piece := connection.recv(1024):
                    connection.sendall(piece)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def said(connection, text=b"hello"):
    connection.sendall(text)
    return connection.recv(1024)


def connect(proxy):
    return socket.create_connection((HOST, proxy.port), timeout=10)


def test_what_is_sent_goes_through_and_back(echo):
    with TcpProxy(echo) as proxy, connect(proxy) as client:
        assert said(client) == b"hello"
        proxy.delay = 0.1
        began = monotonic()
        assert said(client) == b"hello"
        assert monotonic() - began >= 0.2


def test_cut_resets_what_is_open_and_serves_what_comes(echo):
    with TcpProxy(echo) as proxy, connect(proxy) as client:
        assert said(client) == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionError):
            assert not client.recv(1024)
            raise ConnectionResetError
        with connect(proxy) as another:
            assert said(another) == b"hello"
        assert proxy.faults == 1


def test_refused_until_it_resumes_on_the_same_port(echo):
    with TcpProxy(echo) as proxy:
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        proxy.resume()
        with connect(proxy) as client:
            assert said(client) == b"hello"


def test_silence_accepts_and_never_answers(echo):
    with TcpProxy(echo) as proxy, connect(proxy) as client:
        assert said(client) == b"hello"
        proxy.silence()
        with connect(proxy) as another:
            another.settimeout(0.3)
            client.settimeout(0.3)
            for each in (client, another):
                with pytest.raises(TimeoutError):
                    said(each)
        proxy.resume(cut=False)
        client.settimeout(10)
        assert client.recv(1024) == b"hello"


class Engine(BaseHTTPRequestHandler):
    asked: list[bytes] = []

    def do_POST(self):
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["X-ClickHouse-Key"] == "new"
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"Ok.")

    def log_message(self, *arguments):
        """Say nothing."""


@contextmanager
def before_an_engine():
    Engine.asked.clear()
    with HTTPServer((HOST, 0), Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with HttpProxy(lambda: (server.server_port, "new")) as proxy:
            yield proxy
        server.shutdown()


def ask(proxy, statement="INSERT INTO `t` FORMAT Native", packed=False):
    body = lz4.frame.compress(statement.encode()) if packed else statement.encode()
    headers = {"Content-Encoding": "lz4"} if packed else {}
    with urlopen(Request(f"http://{HOST}:{proxy.port}/?a=b", body, headers), timeout=10) as answer:  # noqa: S310
        return answer.read()


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_is_lost_after_the_work_is_done(packed):
    with before_an_engine() as proxy:
        fault = proxy.inject(Fault("lose_answer", "INSERT INTO t", times=1))
        assert ask(proxy, "SELECT 1", packed) == b"Ok."
        with pytest.raises(OSError, match=r"closed|reset"):
            ask(proxy, packed=packed)
        until(lambda: len(Engine.asked) == 2)
        assert ask(proxy, packed=packed) == b"Ok."
        assert (fault.done, proxy.faults) == (1, 1)


def test_a_request_is_cut_before_anything_is_done():
    with before_an_engine() as proxy:
        proxy.inject(Fault("cut"))
        with pytest.raises(OSError, match=r"closed|reset"):
            ask(proxy)
        assert Engine.asked == []


def test_errors_look_like_clickhouse_s_and_come_as_often_as_told():
    with before_an_engine() as proxy:
        proxy.inject(Fault("error", times=2, every=2, code=TABLE_IS_READ_ONLY))
        answers = []
        for _ in range(5):
            try:
                answers.append(ask(proxy))
            except HTTPError as error:
                assert error.headers["X-ClickHouse-Exception-Code"] == "242"
                assert b"Code: 242. DB::Exception" in error.read()
                answers.append(error.code)
        assert answers == [500, b"Ok.", 500, b"Ok.", b"Ok."]
