"""What the tests of the embedded stack share: clients of a stack, and a look at processes."""

from __future__ import annotations

from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from pipeline.embedded.stack import Endpoints


def address(found: Endpoints) -> tuple[str, int]:
    assert found.clickhouse is not None
    parts = urlsplit(found.clickhouse)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def connect(found: Endpoints, **options: Any) -> Client:
    host, port = address(found)
    assert found.clickhouse_password is not None
    arguments = {"username": "touchline", "password": found.clickhouse_password.get_secret_value()}
    return clickhouse_connect.get_client(host=host, port=port, **{**arguments, **options})


def authorization(found: Endpoints) -> str:
    password = found.clickhouse_password
    assert password is not None
    return "Basic " + b64encode(f"touchline:{password.get_secret_value()}".encode()).decode()


def get(found: Endpoints, path: str, headers: dict[str, str]) -> tuple[int, str | None, bytes]:
    connection = HTTPConnection(*address(found))
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("X-ClickHouse-Exception-Code"), answer.read()
    finally:
        connection.close()


def number(answer: object) -> int:
    assert isinstance(answer, int)
    return answer


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in ("Z", "X")
